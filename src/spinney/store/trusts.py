"""Which trust lets the service act for a user in a project."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from spinney.store.tables import trust as table


def find(connection: Connection, user: str, project: str, roles: Sequence[str]) -> str | None:
    """The trust's id; None: there is none with these roles."""
    query = table.select().where(table.c.user == user, table.c.project == project)
    row = connection.execute(query).first()
    return str(row.trust_id) if row is not None and set(roles) <= set(row.roles) else None


def keep(connection: Connection, user: str, project: str, trust_id: str, roles: Sequence[str], now: float) -> None:
    """In place of the one before."""
    forget(connection, user, project)
    connection.execute(
        table.insert().values(user=user, project=project, trust_id=trust_id, roles=list(roles), created_at=now)
    )


def forget(connection: Connection, user: str, project: str) -> None:
    connection.execute(table.delete().where(table.c.user == user, table.c.project == project))
