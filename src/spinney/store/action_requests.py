"""Actions as the API shows them, and what users do to them.

The queue itself is in ``store.actions``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from spinney.domain.action import FINAL_STATUSES, LIVE_STATUSES, ActionKind, ActionStatus
from spinney.store.identity import Finder
from spinney.store.rows import ACTIONS
from spinney.store.tables import action as table

FINDER = Finder("action", table, ACTIONS.select())
_LIVE = [status.value for status in LIVE_STATUSES]
_FINAL = [status.value for status in FINAL_STATUSES]


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


def cancel_by_force(connection: Connection, action_id: str, now: float) -> None:
    """Make an action and its children CANCELLED at once, and take them from whoever works on them.

    The engine that did so loses its fence and can record nothing more.
    """
    connection.execute(
        table.update()
        .where(sa.or_(table.c.id == action_id, table.c.parent_id == action_id), table.c.status.in_(_LIVE))
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


def forget_checks(connection: Connection, target: str) -> None:
    """Remove the finished check actions of a cluster, children first."""
    finished = sa.select(table.c.id).where(
        table.c.target == target, table.c.action == ActionKind.CLUSTER_CHECK, table.c.status.in_(_FINAL)
    )
    ids = list(connection.execute(finished).scalars())
    if ids:
        connection.execute(table.delete().where(table.c.parent_id.in_(ids), table.c.status.in_(_FINAL)))
        connection.execute(table.delete().where(table.c.id.in_(ids)))
