"""Forgetting what is old: finished actions and events."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.config import RetentionSettings
from spinney.domain.action import LIVE_STATUSES
from spinney.store import database
from spinney.store.tables import action, event

#: Rows removed at a time, so that nobody waits long for the writer.
_CHUNK = 2000


def prune(connection: Connection, settings: RetentionSettings) -> int:
    """Remove at most a chunk of each kind; returns how many rows went.

    A finished child is kept as long as its parent is live, because the parent counts its children when it concludes.
    """
    now = database.now(connection)
    removed = 0
    if settings.actions > 0:
        parent = action.alias("parent")
        needed = sa.exists().where(
            parent.c.id == action.c.parent_id, parent.c.status.in_([s.value for s in LIVE_STATUSES])
        )
        old = sa.select(action.c.id).where(action.c.end_time < now - settings.actions, ~needed).limit(_CHUNK)
        removed += _remove(connection, action, list(connection.execute(old).scalars()))
    if settings.events > 0:
        old_events = sa.select(event.c.id).where(event.c.timestamp < now - settings.events).limit(_CHUNK)
        removed += _remove(connection, event, list(connection.execute(old_events).scalars()))
    return removed


def _remove(connection: Connection, table: sa.Table, ids: list[str]) -> int:
    if ids:
        connection.execute(table.delete().where(table.c.id.in_(ids)))
    return len(ids)
