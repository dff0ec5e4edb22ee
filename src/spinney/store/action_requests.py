"""Actions as the API shows them, and what users do to them.

The queue itself is in ``store.actions``.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from spinney.domain.action import FINAL_STATUSES, LIVE_STATUSES, Action, ActionKind, ActionStatus
from spinney.domain.node import NodeStatus
from spinney.store import duties, lifecycle, placements, status, work
from spinney.store.identity import Finder
from spinney.store.rows import ACTIONS
from spinney.store.tables import action as table
from spinney.store.tables import cluster, node

FINDER = Finder("action", table, ACTIONS.select())
_LIVE = [live.value for live in LIVE_STATUSES]
_FINAL = [final.value for final in FINAL_STATUSES]
_SETTLED = (NodeStatus.ACTIVE, NodeStatus.WARNING, NodeStatus.ERROR)
_UNSETTLED = [shown.value for shown in NodeStatus if shown not in _SETTLED]


def children_of(connection: Connection, rows: Sequence[Row[Any]]) -> dict[str, list[str]]:
    """For each live action the ids of its live children; those without any are left out."""
    parents = [row.id for row in rows if row.status not in _FINAL]
    found: dict[str, list[str]] = {}
    if parents:
        children = connection.execute(
            sa.select(table.c.parent_id, table.c.id)
            .where(table.c.parent_id.in_(parents), table.c.status.in_(_LIVE))
            .order_by(table.c.id)
        )
        for parent, child in children:
            found.setdefault(parent, []).append(child)
    return found


def being_deleted(connection: Connection, target: str) -> bool:
    """Whether somebody asked for the target's deletion and that is not yet done or given up."""
    deletions = (ActionKind.CLUSTER_DELETE, ActionKind.NODE_DELETE)
    live = sa.select(table.c.id).where(
        table.c.target == target, table.c.status.in_(_LIVE), table.c.action.in_(deletions)
    )
    return connection.execute(live.limit(1)).first() is not None


def cancel_by_force(connection: Connection, action_id: str, now: float) -> list[Action]:
    """Make an action and its children CANCELLED at once, and take them from whoever works on them; returns them as they were.

    The engine that did so loses its fence and can record nothing more; what its nodes have come to is found by checking or
    recovering them.
    """
    ended = ACTIONS.all(
        connection, sa.or_(table.c.id == action_id, table.c.parent_id == action_id), table.c.status.in_(_LIVE)
    )
    connection.execute(
        table.update()
        .where(table.c.id.in_([found.id for found in ended]))
        .values(
            status=ActionStatus.CANCELLED,
            status_reason="Cancelled by force",
            cancel_requested=True,
            owner=None,
            running_target=None,
            end_time=now,
            updated_at=now,
        )
    )
    lifecycle.forget(connection, [found.id for found in ended])
    for drained in (found.target for found in ended if found.action is ActionKind.HOST_DRAIN):
        duties.drain_ended(connection, drained, "its drain was cancelled by force", now)
    # Whatever was made or left where these are is nobody's now, and is reaped.
    placements.give_up(connection, [found.target for found in ended])
    reason = "An action on it was cancelled by force. Check or recover the node to see how it is."
    connection.execute(
        node.update()
        .where(node.c.id.in_([found.target for found in ended]), node.c.status.in_(_UNSETTLED))
        .values(
            status=sa.case((node.c.physical_id.is_(None), NodeStatus.ERROR.value), else_=NodeStatus.WARNING.value),
            status_reason=reason,
        )
    )
    work.wake_parents(connection, {found.parent_id for found in ended if found.parent_id is not None}, now)
    status.refresh(connection, {found.cluster_id for found in ended}, "An action was cancelled by force")
    return ended


def names_of(connection: Connection, targets: Collection[str]) -> dict[str, str]:
    """What the objects are called on which actions are; those that are gone are left out."""
    found = [sa.select(one.c.id, one.c.name).where(one.c.id.in_(list(targets))) for one in (cluster, node)]
    return {row.id: row.name for row in connection.execute(sa.union_all(*found))}


def forget_checks(connection: Connection, target: str) -> None:
    """Remove the finished check actions of a cluster, children first."""
    finished = sa.select(table.c.id).where(
        table.c.target == target, table.c.action == ActionKind.CLUSTER_CHECK, table.c.status.in_(_FINAL)
    )
    ids = list(connection.execute(finished).scalars())
    if ids:
        connection.execute(table.delete().where(table.c.parent_id.in_(ids), table.c.status.in_(_FINAL)))
        connection.execute(table.delete().where(table.c.id.in_(ids)))
