"""Engine sessions: who is alive, by the database's clock.

A claim is good while its engine's session is. Renewing one row renews every claim of the engine. A session that ran out can
never be renewed: the engine begins a new one under a new id and owns nothing of what it had.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.action import ActionStatus
from spinney.errors import LeaseLost
from spinney.store import database
from spinney.store.tables import action
from spinney.store.tables import engine as table


@dataclass(frozen=True, slots=True)
class EngineRow:
    id: str
    hostname: str
    started_at: float
    seen_at: float
    expires_at: float
    address: str | None


def begin(connection: Connection, engine_id: str, hostname: str, lease: float, address: str | None) -> None:
    now = database.now(connection)
    connection.execute(
        table.insert().values(
            id=engine_id, hostname=hostname, started_at=now, seen_at=now, expires_at=now + lease, address=address
        )
    )


def renew(connection: Connection, engine_id: str, lease: float) -> None:
    """Raises: LeaseLost when the session has run out or was ended by another."""
    now = database.now(connection)
    renewed = connection.execute(
        table.update()
        .where(table.c.id == engine_id, table.c.expires_at > now)
        .values(seen_at=now, expires_at=now + lease)
    )
    if renewed.rowcount != 1:
        raise LeaseLost(f"engine session {engine_id} has run out")


def require(connection: Connection, engine_id: str) -> float:
    """The database's time, if the session is alive. Raises: LeaseLost."""
    now = database.now(connection)
    alive = sa.select(table.c.id).where(table.c.id == engine_id, table.c.expires_at > now)
    if connection.execute(alive).first() is None:
        raise LeaseLost(f"engine session {engine_id} has run out")
    return now


def take_over(connection: Connection, *, everything: bool = False) -> list[str]:
    """End the sessions that ran out and put their actions back into the queue; ``everything``: all sessions there are.

    Returns the ids ended. What they were doing is resumed by whoever claims it next, by observing and deciding again.
    """
    now = database.now(connection)
    dead_rows = sa.select(table.c.id)
    if not everything:
        dead_rows = dead_rows.where(table.c.expires_at <= now)
    dead = list(connection.execute(dead_rows.with_for_update(skip_locked=True)).scalars())
    if dead:
        release(connection, dead)
    return dead


def end(connection: Connection, engine_id: str) -> None:
    """A clean end: what is still claimed can be resumed at once."""
    release(connection, [engine_id])


def release(connection: Connection, engine_ids: list[str]) -> None:
    connection.execute(
        action.update()
        .where(action.c.owner.in_(engine_ids), action.c.status == ActionStatus.RUNNING)
        .values(status=ActionStatus.READY, owner=None, running_target=None)
    )
    connection.execute(table.delete().where(table.c.id.in_(engine_ids)))


def alive(connection: Connection) -> list[EngineRow]:
    now = database.now(connection)
    return [EngineRow(**row._asdict()) for row in connection.execute(_select().where(table.c.expires_at > now))]


def everyone(connection: Connection) -> list[EngineRow]:
    return [EngineRow(**row._asdict()) for row in connection.execute(_select().order_by(table.c.started_at))]


def _select() -> sa.Select[Any]:
    return sa.select(
        table.c.id, table.c.hostname, table.c.started_at, table.c.seen_at, table.c.expires_at, table.c.address
    )
