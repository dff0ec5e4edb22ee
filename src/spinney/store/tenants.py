"""Containers as preemption sees them: how important their clusters are, and what they hold of their hosts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.action import LIVE_STATUSES, ActionKind
from spinney.domain.cluster import priority_of
from spinney.domain.node import NodeStatus
from spinney.domain.placement.model import Occupant, Port
from spinney.domain.preemption import Tenant
from spinney.store.tables import action, cluster, hold, node, port

_LIVE = [status.value for status in LIVE_STATUSES]


def priorities(connection: Connection, cluster_ids: Collection[str]) -> dict[str, int]:
    if not cluster_ids:
        return {}
    rows = connection.execute(sa.select(cluster.c.id, cluster.c.config).where(cluster.c.id.in_(cluster_ids)))
    return {cluster_id: priority_of(config) for cluster_id, config in rows}


def on_hosts(connection: Connection, host_ids: Collection[str], project: str) -> list[Tenant]:
    """A project's containers on hosts, without those that anything is being done with."""
    at_work = sa.exists().where(action.c.target == node.c.id, action.c.status.in_(_LIVE))
    moving = sa.exists().where(hold.c.node_id == node.c.id)
    n = node.c
    rows = connection.execute(
        sa.select(n.id, n.name, n.cluster_id, n.host_id, n.reserved_cpu, n.reserved_memory)
        .where(n.host_id.in_(host_ids), n.project == project, n.status == NodeStatus.ACTIVE.value, ~at_work, ~moving)
        .order_by(n.id)
    ).all()
    importance = priorities(connection, {row.cluster_id for row in rows} - {""})
    ports = _ports(connection, host_ids)
    return [
        Tenant(
            row.id,
            row.name,
            importance.get(row.cluster_id, 0),
            Occupant(
                row.host_id,
                row.reserved_cpu,
                row.reserved_memory,
                row.cluster_id or row.id,
                tuple(ports[row.id]),
                project,
            ),
        )
        for row in rows
    ]


def _ports(connection: Connection, host_ids: Collection[str]) -> dict[str, list[Port]]:
    found: dict[str, list[Port]] = defaultdict(list)
    rows = connection.execute(
        sa.select(port.c.node_id, port.c.protocol, port.c.port).where(port.c.host_id.in_(host_ids))
    )
    for node_id, protocol, number in rows:
        found[node_id].append((protocol, number))
    return found


def awaiting_evictions(connection: Connection) -> set[str]:
    """Waiting nodes for which room is being made already."""
    under_way = sa.select(action.c.inputs).where(
        action.c.action == ActionKind.NODE_EVICT.value, action.c.status.in_(_LIVE)
    )
    return {str(inputs.get("for")) for inputs in connection.execute(under_way).scalars()}
