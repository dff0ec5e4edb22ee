"""Forgetting what is old: finished actions and events, decisions that no node refers to, failures that no longer count."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.config import RetentionSettings
from spinney.domain.action import LIVE_STATUSES
from spinney.store import database, exec_sessions, idempotency, scaling_history
from spinney.store.fleets import SETBACK_WINDOW
from spinney.store.tables import action, cluster, decision, event, hold, node, resolved_image, setback, webhook_use

#: Rows removed at a time, so that nobody waits long for the writer.
_CHUNK = 2000
_MINUTE = 60.0


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
    # A decision is stored just before its nodes refer to it, in one transaction; the minute is for what was read before that.
    used = sa.exists().where(node.c.decision_id == decision.c.id) | sa.exists().where(
        hold.c.decision_id == decision.c.id
    )
    forgotten = sa.select(decision.c.id).where(decision.c.decided_at < now - _MINUTE, ~used).limit(_CHUNK)
    removed += _remove(connection, decision, list(connection.execute(forgotten).scalars()))
    owned = sa.exists().where(cluster.c.id == resolved_image.c.owner_id) | sa.exists().where(
        node.c.id == resolved_image.c.owner_id
    )
    removed += connection.execute(resolved_image.delete().where(~owned)).rowcount
    removed += scaling_history.prune(connection, now, settings.scaling, _CHUNK)
    removed += idempotency.prune(connection, now, _CHUNK)
    removed += exec_sessions.prune(connection, now)
    removed += connection.execute(webhook_use.delete().where(webhook_use.c.expires_at < now - _MINUTE)).rowcount
    removed += connection.execute(setback.delete().where(setback.c.at < now - SETBACK_WINDOW)).rowcount
    return removed


def _remove(connection: Connection, table: sa.Table, ids: list[str]) -> int:
    if ids:
        connection.execute(table.delete().where(table.c.id.in_(ids)))
    return len(ids)
