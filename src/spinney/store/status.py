"""The one writer of cluster statuses."""

from __future__ import annotations

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.action import LIVE_STATUSES, Action, ActionKind
from spinney.domain.cluster import STATUS_WHILE, Cluster, ClusterStatus, evaluate
from spinney.domain.node import NodeStatus
from spinney.domain.rollout.model import Progress
from spinney.store.rows import ACTIONS, CLUSTERS
from spinney.store.tables import action, node
from spinney.store.tables import cluster as table


def member_statuses(connection: Connection, cluster_id: str) -> dict[NodeStatus, int]:
    rows = connection.execute(
        sa.select(node.c.status, sa.func.count()).where(node.c.cluster_id == cluster_id).group_by(node.c.status)
    )
    return {NodeStatus(status): count for status, count in rows}


def refresh(connection: Connection, cluster_ids: Iterable[str], because: str = "") -> None:
    """Recompute the status of clusters whose members changed.

    A cluster with an action at work keeps showing that action; it is evaluated when the action concludes. One whose members
    are taken to another profile shows that while nothing else is at work.
    """
    for cluster_id in sorted(set(cluster_ids) - {""}):
        found = CLUSTERS.one(connection, table.c.id == cluster_id)
        if found is None or _kind_at_work(connection, cluster_id) in STATUS_WHILE:
            continue
        rolling = _rolling(connection, cluster_id)
        if rolling is None:
            write(connection, found, because)
        else:
            paused = rolling.outputs.get("state") == Progress.PAUSED
            _store(
                connection, found, ClusterStatus.WARNING if paused else ClusterStatus.UPDATING, rolling.status_reason
            )


def write(connection: Connection, cluster: Cluster, because: str) -> Cluster:
    """Evaluate a cluster on which nothing is at work, and store the result."""
    status, reason = evaluate(cluster, member_statuses(connection, cluster.id), because.rstrip("."))
    _store(connection, cluster, status, reason)
    return cluster


def _store(connection: Connection, cluster: Cluster, status: ClusterStatus, reason: str) -> None:
    if (status, reason) != (cluster.status, cluster.status_reason):
        connection.execute(table.update().where(table.c.id == cluster.id).values(status=status, status_reason=reason))


def _rolling(connection: Connection, cluster_id: str) -> Action | None:
    """The update to another profile that has begun and goes on."""
    begun = ACTIONS.all(
        connection,
        action.c.target == cluster_id,
        action.c.action == ActionKind.CLUSTER_UPDATE,
        action.c.status.in_([status.value for status in LIVE_STATUSES]),
        action.c.start_time.is_not(None),
    )
    return next((one for one in begun if one.rolling), None)


def _kind_at_work(connection: Connection, cluster_id: str) -> ActionKind | None:
    kind = connection.execute(sa.select(action.c.action).where(action.c.running_target == cluster_id)).scalar()
    return None if kind is None else ActionKind(kind)
