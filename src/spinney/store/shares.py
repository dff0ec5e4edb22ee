"""Host clusters that their owners let other projects use.

A share covers the members of the cluster, whoever they are by then. Revoking one stops placements from the next decision on;
what is placed already is found by ``revoked_residents``, to be drained.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row
from sqlalchemy.exc import IntegrityError

from spinney.domain.alias import HostIdentity, index_of
from spinney.profiles.hosts import EVERYBODY
from spinney.store import clusters, nodes
from spinney.store.identity import as_uuid
from spinney.store.tables import cluster, host, node, pin
from spinney.store.tables import share as table

_home = node.alias("home")


@dataclass(frozen=True, slots=True)
class Resident:
    """A container on a host that its project may no longer use."""

    node_id: str
    host_id: str
    project: str


@dataclass(frozen=True, slots=True)
class SharedHost:
    """``index``: of the host's node, from which its alias is made."""

    index: int
    state: str
    zone: str | None
    region: str | None


def add(connection: Connection, cluster_id: str, project: str, now: float) -> Row[Any]:
    """Sharing again what is shared changes nothing."""
    try:
        with connection.begin_nested():
            connection.execute(table.insert().values(cluster_id=cluster_id, project=project, created_at=now))
    except IntegrityError:
        pass
    found = get(connection, cluster_id, project)
    assert found is not None
    return found


def get(connection: Connection, cluster_id: str, project: str) -> Row[Any] | None:
    return connection.execute(
        sa.select(table).where(table.c.cluster_id == cluster_id, table.c.project == project)
    ).first()


def of_cluster(connection: Connection, cluster_id: str) -> Sequence[Row[Any]]:
    return connection.execute(sa.select(table).where(table.c.cluster_id == cluster_id).order_by(table.c.project)).all()


def remove(connection: Connection, cluster_id: str, project: str) -> bool:
    """False: there was no such share."""
    gone = connection.execute(table.delete().where(table.c.cluster_id == cluster_id, table.c.project == project))
    return gone.rowcount > 0


def grantees(connection: Connection, cluster_ids: Collection[str]) -> dict[str, frozenset[str]]:
    """With whom each of the clusters is shared."""
    found: dict[str, set[str]] = defaultdict(set)
    if cluster_ids:
        rows = sa.select(table.c.cluster_id, table.c.project).where(table.c.cluster_id.in_(cluster_ids))
        for cluster_id, project in connection.execute(rows):
            found[cluster_id].add(project)
    return {cluster_id: frozenset(found[cluster_id]) for cluster_id in cluster_ids}


def _granted(project: str) -> sa.Select[Any]:
    return sa.select(table.c.cluster_id).where(table.c.project.in_((project, EVERYBODY)))


def shared_with(connection: Connection, project: str) -> Sequence[Row[Any]]:
    """Rows of ``clusters.VIEW`` that others let the project use, in the order of their names, then ids."""
    query = clusters.VIEW.where(cluster.c.project != project, cluster.c.id.in_(_granted(project)))
    return connection.execute(query.order_by(cluster.c.name, cluster.c.id)).all()


def find_cluster(connection: Connection, word: str, project: str) -> Row[Any] | None:
    """A row of ``clusters.VIEW`` that others let the project use, by id or name; None when the word fits none or several."""
    uuid = as_uuid(word)
    which = cluster.c.name == word if uuid is None else cluster.c.id == uuid
    query = clusters.VIEW.where(which, cluster.c.project != project, cluster.c.id.in_(_granted(project)))
    found = connection.execute(query.limit(2)).all()
    return found[0] if len(found) == 1 else None


def member(connection: Connection, cluster_id: str, word: str) -> Row[Any] | None:
    """A row of ``nodes.VIEW``: the member of a cluster that an alias or an id means."""
    index, uuid = index_of(word), as_uuid(word)
    if index is None and uuid is None:
        return None
    which = node.c.id == uuid if index is None else node.c.index == index
    return connection.execute(nodes.VIEW.where(node.c.cluster_id == cluster_id, which)).first()


def find_node(connection: Connection, word: str, project: str) -> Row[Any] | None:
    """A row of ``nodes.VIEW``: a member, by its id, of a cluster that others let the project use."""
    uuid = as_uuid(word)
    if uuid is None:
        return None
    return connection.execute(nodes.VIEW.where(node.c.id == uuid, node.c.cluster_id.in_(_granted(project)))).first()


def forget(connection: Connection, cluster_id: str) -> None:
    """Of a cluster that is deleted."""
    connection.execute(table.delete().where(table.c.cluster_id == cluster_id))


def barred(connection: Connection, wanted: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """Those of the pairs (project, profile id) whose profile pins a host or host cluster that the project may not use now.

    What is pinned may have left the shared cluster, or the share may be gone. Pins of nothing that exists are not for here.
    """
    profiles = {profile_id for _, profile_id in wanted}
    pinned = sa.select(pin.c.profile_id, cluster.c.project, cluster.c.id.label("cluster_id")).join(
        cluster, pin.c.target_id == cluster.c.id
    )
    alone = sa.select(pin.c.profile_id, node.c.project, node.c.cluster_id).join(node, pin.c.target_id == node.c.id)
    targets: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for query in (pinned, alone):
        for profile_id, owner, cluster_id in connection.execute(query.where(pin.c.profile_id.in_(profiles))):
            targets[profile_id].append((owner, cluster_id))
    foreign = {
        (project, profile_id): {cluster_id for owner, cluster_id in targets[profile_id] if owner != project}
        for project, profile_id in wanted
    }
    shared = grantees(connection, set().union(*foreign.values()))
    return {
        (project, profile_id)
        for (project, profile_id), clusters_needed in foreign.items()
        if any(shared[one].isdisjoint({project, EVERYBODY}) for one in clusters_needed)
    }


def foreign_hosts(connection: Connection, project: str, pinned: Collection[str]) -> list[HostIdentity]:
    """The hosts of others among those that are pinned, and among the members of pinned clusters."""
    rows = connection.execute(
        sa.select(node.c.id, node.c.name, node.c.project, node.c.index)
        .join_from(host, node, host.c.node_id == node.c.id)
        .where(node.c.project != project, sa.or_(node.c.cluster_id.in_(pinned), node.c.id.in_(pinned)))
    )
    return [HostIdentity(*row) for row in rows]


def revoked_residents(connection: Connection, cluster_id: str | None = None) -> list[Resident]:
    """Containers on hosts that their projects may not use any more; ``cluster_id``: on hosts of that cluster alone."""
    allowed = sa.exists().where(
        table.c.cluster_id == _home.c.cluster_id, table.c.project.in_((node.c.project, EVERYBODY))
    )
    query = (
        sa.select(node.c.id, node.c.host_id, node.c.project)
        .join_from(node, _home, node.c.host_id == _home.c.id)
        .where(_home.c.project != node.c.project, ~allowed)
        .order_by(node.c.id)
    )
    if cluster_id is not None:
        query = query.where(_home.c.cluster_id == cluster_id)
    return [Resident(*row) for row in connection.execute(query)]


def hosts_shown(connection: Connection, cluster_id: str) -> list[SharedHost]:
    """The hosts of a cluster, as far as a grantee may know them, in the order of their indices."""
    rows = connection.execute(
        sa.select(node.c.index, host.c.state, host.c.zone, host.c.region)
        .join_from(host, node, host.c.node_id == node.c.id)
        .where(node.c.cluster_id == cluster_id)
        .order_by(node.c.index)
    )
    return [SharedHost(*row) for row in rows]
