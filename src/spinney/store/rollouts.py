"""What updates of clusters have ordered, as rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.action import FINAL_STATUSES, ActionKind, ActionStatus
from spinney.domain.node import Node
from spinney.store import actions
from spinney.store.rows import NODES
from spinney.store.tables import action as table
from spinney.store.tables import event
from spinney.store.tables import node as node_table


@dataclass(frozen=True, slots=True)
class Part:
    """One of an update's children: the update of a member, or the fetching of an image."""

    id: str
    node_id: str
    kind: ActionKind
    status: ActionStatus
    reason: str
    created_at: float
    ended_at: float
    begun: bool
    inputs: Mapping[str, Any]
    outputs: Mapping[str, Any]

    @property
    def final(self) -> bool:
        return self.status in FINAL_STATUSES


def parts(connection: Connection, action_id: str) -> list[Part]:
    """In the order in which they were asked for."""
    c = table.c
    rows = connection.execute(
        sa.select(
            c.id,
            c.target,
            c.action,
            c.status,
            c.status_reason,
            c.created_at,
            c.end_time,
            c.start_time,
            c.inputs,
            c.outputs,
        )
        .where(c.parent_id == action_id)
        .order_by(c.created_at, c.id)
    )
    return [
        Part(
            row.id,
            row.target,
            ActionKind(row.action),
            ActionStatus(row.status),
            row.status_reason,
            row.created_at,
            row.end_time or 0.0,
            row.start_time is not None,
            row.inputs,
            row.outputs,
        )
        for row in rows
    ]


def members(connection: Connection, cluster_id: str) -> list[Node]:
    """The tainted first, then in the order of their indexes."""
    found = NODES.all(connection, node_table.c.cluster_id == cluster_id)
    return sorted(found, key=lambda node: (not node.tainted, node.index, node.id))


def last_ailment(connection: Connection, node_id: str, until: float) -> str:
    """What was the matter with the node's container when that was found out last; empty: nothing is known of it."""
    c = event.c
    found = connection.execute(
        sa.select(c.status_reason)
        .where(c.oid == node_id, c.action.startswith("CONTAINER_", autoescape=True), c.timestamp <= until)
        .order_by(c.timestamp.desc())
        .limit(1)
    ).scalar()
    return "" if found is None else str(found).rstrip(".")


def call_off(connection: Connection, ids: Collection[str]) -> None:
    """Ask those of the parts to stop."""
    if ids:
        actions.request_cancel(connection, table.c.id.in_(ids))
