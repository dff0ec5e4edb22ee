"""What the growing and shrinking of host clusters needs of the store."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.action import ActionKind
from spinney.domain.cluster import Cluster
from spinney.domain.node import Node
from spinney.profiles.docker_host import DOCKER_HOST
from spinney.store import actions
from spinney.store.rows import CLUSTERS, NODES
from spinney.store.tables import action, cluster, host, node, pin, profile

_RESIZES = (
    ActionKind.CLUSTER_CREATE,
    ActionKind.CLUSTER_SCALE_OUT,
    ActionKind.CLUSTER_SCALE_IN,
    ActionKind.CLUSTER_RESIZE,
    ActionKind.CLUSTER_ADD_NODES,
    ActionKind.CLUSTER_DEL_NODES,
)


def host_clusters(connection: Connection) -> list[Cluster]:
    is_one = sa.exists().where(profile.c.id == cluster.c.profile_id, profile.c.type == DOCKER_HOST.name_version)
    return CLUSTERS.all(connection, is_one)


def last_resized(connection: Connection, cluster_id: str) -> float | None:
    """When its size was last meant to change, by whomever. None: longer ago than actions are kept."""
    of_cluster = action.c.target == cluster_id, action.c.action.in_([kind.value for kind in _RESIZES])
    return connection.execute(sa.select(sa.func.max(action.c.created_at)).where(*of_cluster)).scalar()


def waiting_for(connection: Connection, cluster_id: str, limit: int) -> list[Node]:
    """Nodes that wait for room in a host cluster, the longest waiting first, without those that anything works on."""
    meant = sa.select(pin.c.profile_id).where(pin.c.target_id == cluster_id)
    waits = node.c.waiting_since.is_not(None) & node.c.profile_id.in_(meant)
    query = NODES.select().where(waits).order_by(node.c.waiting_since, node.c.id).limit(limit)
    found = [NODES.value(row) for row in connection.execute(query)]
    busy = actions.live_targets(connection, [one.id for one in found])
    return [one for one in found if one.id not in busy]


def endpoints(connection: Connection) -> set[str]:
    """Of all hosts there are."""
    return set(connection.execute(sa.select(host.c.endpoint)).scalars())


def next_members(connection: Connection, host_ids: Collection[str]) -> list[Node]:
    """One node of each cluster of containers on the hosts, made as that cluster's next member would be."""
    if not host_ids:
        return []
    ones = (
        sa.select(sa.func.min(node.c.id))
        .where(node.c.host_id.in_(host_ids), node.c.cluster_id != "")
        .group_by(node.c.cluster_id)
    )
    revision = sa.select(cluster.c.profile_id).where(cluster.c.id == node.c.cluster_id).scalar_subquery()
    query = sa.select(*NODES.columns, revision).where(node.c.id.in_(ones)).order_by(node.c.id)
    return [NODES.value(row[:-1], profile_id=row[-1]) for row in connection.execute(query) if row[-1] is not None]
