"""Bringing a database to the schema this code needs.

Alembic is loaded only when there is something to do: most starts find the schema as it should be.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.store.database import Store

if TYPE_CHECKING:
    from alembic.config import Config

#: The newest migration in ``migrations/versions``.
HEAD = "0001"
_VERSION = sa.table("alembic_version", sa.column("version_num", sa.String))


def alembic_config(connection: Connection | None = None) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    return config


def upgrade(store: Store) -> None:
    """Run what is missing, in one transaction where the database can. Two processes at once take turns on SQLite."""
    if store.run(_current) != HEAD:
        store.run(_upgrade)


def _upgrade(connection: Connection) -> None:
    from alembic import command

    command.upgrade(alembic_config(connection), "head")


def _current(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table(_VERSION.name):
        return None
    return connection.execute(sa.select(_VERSION.c.version_num)).scalar()


def versions(store: Store) -> tuple[str | None, str]:
    """(the database's version, the version this code needs)."""
    return store.run(_current), HEAD
