"""Messages to addresses outside: who sends which next.

A claim is the row's count of attempts with a time before which nobody else takes it. Guaranteed: of two engines one gets a
message; projects take turns. Not guaranteed: that a message is sent once only: whose claim has run out may have sent it.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.event import Event, Level, of_action
from spinney.store import database
from spinney.store.rows import ACTIONS, EVENTS
from spinney.store.tables import action, cluster, node
from spinney.store.tables import outbox as table

#: Of one project in one claim.
PER_PROJECT = 4


@dataclass(frozen=True, slots=True)
class Claimed:
    """``attempts``: with this one; the fence of what is written about it."""

    id: str
    action_id: str
    project: str
    url: str
    secret_id: str | None
    secret_key: str | None
    body: Any
    expires_at: float
    attempts: int


def due(connection: Connection) -> bool:
    now = database.now(connection)
    return connection.execute(sa.select(table.c.id).where(table.c.next_at <= now).limit(1)).first() is not None


def claim(connection: Connection, count: int, hold: float, busy: Collection[str]) -> list[Claimed]:
    """Up to so many, for ``hold`` seconds each; none of projects that are busy."""
    now = database.now(connection)
    turn = sa.func.row_number().over(partition_by=table.c.project, order_by=(table.c.next_at, table.c.id))
    waiting = (
        sa.select(table, turn.label("turn")).where(table.c.next_at <= now, table.c.project.not_in(busy)).subquery()
    )
    found = connection.execute(
        sa.select(waiting)
        .where(waiting.c.turn <= PER_PROJECT)
        .order_by(waiting.c.turn, waiting.c.next_at, waiting.c.id)
        .limit(count)
    ).all()
    return [_claimed(row) for row in found if _take(connection, row, now, hold)]


def _take(connection: Connection, row: Any, now: float, hold: float) -> bool:
    """False: another engine was first."""
    taken = connection.execute(
        table.update()
        .where(table.c.id == row.id, table.c.attempts == row.attempts, table.c.next_at <= now)
        .values(attempts=row.attempts + 1, next_at=now + hold)
    )
    return taken.rowcount == 1


def _claimed(row: Any) -> Claimed:
    return Claimed(
        row.id,
        row.action_id,
        row.project,
        row.url,
        row.secret_id,
        row.secret_key,
        row.body,
        row.expires_at,
        row.attempts + 1,
    )


def _ours(claimed: Claimed) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.id == claimed.id, table.c.attempts == claimed.attempts)


def sent(connection: Connection, claimed: Claimed) -> None:
    connection.execute(table.delete().where(_ours(claimed)))


def put_off(connection: Connection, claimed: Claimed, until: float, told: str | None, event_id: str) -> None:
    """``told``: what an event says of it; None: nothing new."""
    changed = connection.execute(table.update().where(_ours(claimed)).values(next_at=until))
    if changed.rowcount and told is not None:
        _tell(connection, claimed, told, event_id)


def give_up(connection: Connection, claimed: Claimed, told: str, event_id: str) -> None:
    removed = connection.execute(table.delete().where(_ours(claimed)))
    if removed.rowcount:
        _tell(connection, claimed, told, event_id)


def _tell(connection: Connection, claimed: Claimed, told: str, event_id: str) -> None:
    found = ACTIONS.one(connection, action.c.id == claimed.action_id)
    if found is None:  # nobody is left whom it is about
        return
    named = cluster if found.action.on_cluster else node
    name = connection.execute(sa.select(named.c.name).where(named.c.id == found.target)).scalar() or found.name
    now = database.now(connection)
    event: Event = of_action(found, name, "error", Level.WARN, told, event_id=event_id, now=now)
    EVENTS.insert(connection, [event])
