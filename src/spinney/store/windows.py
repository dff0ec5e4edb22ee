"""Actions that keep a window of children at work: they wait, and are woken by each child that ends and after a pause.

Guaranteed: while it waits such an action goes on holding its target, unless it is an update: that takes long, and lets scaling,
healing and policies go on meanwhile. That a child has ended wakes it in the transaction that records that end
(``work.wake_parents`` asks ``in_window``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.store.tables import action as table

KINDS = (ActionKind.HOST_DRAIN, ActionKind.CLUSTER_REBALANCE, ActionKind.CLUSTER_UPDATE)
_IDLE = sa.and_(table.c.status == ActionStatus.WAITING.value, table.c.action.in_([kind.value for kind in KINDS]))


_POLICIES = [kind.value for kind in ActionKind if kind.about_policy]
#: Whether whatever else works on its target does not keep it from going on: each of its steps is one transaction. An image is
#: fetched without touching the node that it is for; what the policies of a cluster have said is stored with what is at work.
UNHOLDING = sa.or_(
    table.c.action.in_([ActionKind.NODE_FETCH.value, *_POLICIES]),
    sa.and_(table.c.action == ActionKind.CLUSTER_UPDATE.value, table.c.start_time.is_not(None)),
)


def unholding(kind: str, start_time: float | None) -> bool:
    """The same of a row."""
    if kind == ActionKind.CLUSTER_UPDATE:
        return start_time is not None
    return kind == ActionKind.NODE_FETCH or kind in _POLICIES


def in_window(kind: str) -> bool:
    """Whether a parent of this kind is woken by any of its children, not only by the last."""
    return kind in KINDS


def wait(
    connection: Connection, action: Action, data: Mapping[str, Any], outputs: Mapping[str, Any], reason: str, at: float
) -> None:
    """Step back until a child ends, or that moment."""
    lets_go = {"running_target": None} if action.action is ActionKind.CLUSTER_UPDATE else {}
    connection.execute(
        table.update()
        .where(table.c.id == action.id)
        .values(
            status=ActionStatus.WAITING,
            status_reason=reason,
            data=dict(data),
            outputs=dict(outputs),
            ready_at=at,
            owner=None,
            **lets_go,
        )
    )


def end(
    connection: Connection, action: Action, status: ActionStatus, outputs: Mapping[str, Any], reason: str, now: float
) -> None:
    connection.execute(
        table.update()
        .where(table.c.id == action.id)
        .values(
            status=status,
            status_reason=reason,
            outputs=dict(outputs),
            end_time=now,
            updated_at=now,
            owner=None,
            running_target=None,
        )
    )


def due(connection: Connection, now: float) -> bool:
    """Whether any has waited long enough, or was asked to stop."""
    return connection.execute(sa.select(table.c.id).where(_IDLE, table.c.ready_at <= now).limit(1)).first() is not None


def wake(connection: Connection, now: float) -> bool:
    woken = connection.execute(
        table.update().where(_IDLE, table.c.ready_at <= now).values(status=ActionStatus.READY, owner=None)
    )
    return woken.rowcount > 0
