"""Bringing a database to the schema this code needs."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from spinney.store.database import Store


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.attributes["connection"] = connection
    return config


def upgrade(store: Store) -> None:
    """Run what is missing, in one transaction where the database can. Two processes at once take turns on SQLite."""

    def run(connection: Connection) -> None:
        command.upgrade(_config(connection), "head")

    store.run(run)


def versions(store: Store) -> tuple[str | None, str | None]:
    """(the database's version, the version this code needs)."""
    current = store.run(lambda connection: MigrationContext.configure(connection).get_current_revision())
    return current, ScriptDirectory.from_config(_config()).get_current_head()
