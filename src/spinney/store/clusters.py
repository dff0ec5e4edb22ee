"""Clusters as the API shows and changes them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from spinney.domain.cluster import Cluster
from spinney.domain.node import NodeStatus
from spinney.store.identity import Finder
from spinney.store.rows import CLUSTERS
from spinney.store.tables import cluster as table
from spinney.store.tables import node, pin, profile

#: Each row is a cluster with its profile's name and type, and whether profiles name it as their host cluster.
VIEW: sa.Select[Any] = sa.select(
    *CLUSTERS.columns,
    profile.c.name.label("profile_name"),
    profile.c.type.label("profile_type"),
    sa.exists().where(pin.c.target_id == table.c.id).label("pinned"),
).select_from(table.outerjoin(profile, table.c.profile_id == profile.c.id))

COLUMNS = tuple(str(column.key) for column in VIEW.selected_columns)
FINDER = Finder("cluster", table, VIEW)
_WIDTH = len(CLUSTERS.names)
_MEMBERS = sa.select(node.c.id).where(node.c.cluster_id == sa.bindparam("cluster")).order_by(node.c.index, node.c.id)
#: Three columns that one index has: no row of a node is read.
_COUNTS = (
    sa.select(node.c.cluster_id, node.c.status, node.c.ready, sa.func.count())
    .where(node.c.cluster_id.in_(sa.bindparam("clusters", expanding=True)))
    .group_by(node.c.cluster_id, node.c.status, node.c.ready)
)


@dataclass(frozen=True, slots=True)
class MemberCount:
    """How many members a cluster has, how many of them are as they should be, and how many may be given work."""

    active: int = 0
    total: int = 0
    ready: int = 0


def value(row: Row[Any]) -> Cluster:
    """The cluster in a row of ``VIEW``."""
    return CLUSTERS.value(row[:_WIDTH])


def insert(connection: Connection, cluster: Cluster) -> None:
    CLUSTERS.insert(connection, [cluster])


def count(connection: Connection, project: str) -> int:
    return connection.execute(sa.select(sa.func.count()).where(table.c.project == project)).scalar_one()


def member_ids(connection: Connection, cluster_id: str) -> list[str]:
    """In the order of their indices."""
    return list(connection.execute(_MEMBERS, {"cluster": cluster_id}).scalars())


def members_of(connection: Connection, cluster_ids: Collection[str]) -> dict[str, list[str]]:
    """The same for many clusters in one statement."""
    found: dict[str, list[str]] = {cluster_id: [] for cluster_id in cluster_ids}
    if found:
        rows = connection.execute(
            sa.select(node.c.cluster_id, node.c.id)
            .where(node.c.cluster_id.in_(found))
            .order_by(node.c.cluster_id, node.c.index, node.c.id)
        )
        for cluster_id, node_id in rows:
            found[cluster_id].append(node_id)
    return found


def member_counts(connection: Connection, cluster_ids: Collection[str]) -> dict[str, MemberCount]:
    """Of many clusters in one statement."""
    found = dict.fromkeys(cluster_ids, MemberCount())
    if found:
        for cluster_id, status, ready, number in connection.execute(_COUNTS, {"clusters": list(found)}):
            before = found[cluster_id]
            active = number if status == NodeStatus.ACTIVE else 0
            at_work = number if ready else 0
            found[cluster_id] = MemberCount(before.active + active, before.total + number, before.ready + at_work)
    return found


def member_count(connection: Connection, cluster_id: str) -> int:
    return connection.execute(sa.select(sa.func.count()).where(node.c.cluster_id == cluster_id)).scalar_one()


def take_index(connection: Connection, cluster_id: str) -> int:
    """The next index of the cluster, taken: nobody else gets it."""
    connection.execute(table.update().where(table.c.id == cluster_id).values(next_index=table.c.next_index + 1))
    following: int = connection.execute(sa.select(table.c.next_index).where(table.c.id == cluster_id)).scalar_one()
    return following - 1
