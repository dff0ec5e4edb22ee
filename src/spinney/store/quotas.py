"""Limits of projects, what counts against them, and reserving.

Guaranteed: of transactions that add to what a project has, each sees what those before it added, whichever process they run
in, as long as each reserves before it adds: they queue up at the project's row in ``tenant``. That row is written and not
only locked, so that Galera, whose row locks are local to a node, refuses all but one of two that meet at COMMIT.

A node counts for the project of its cluster, an orphan for its own. A limit lower than what is in use takes nothing away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from spinney.domain import quota as domain
from spinney.domain.action import LIVE_STATUSES, ActionKind
from spinney.domain.quota import CLUSTERS, CPU, MEMORY, NODES, RECEIVERS, RESOURCES, SECRETS, Amounts, ClusterUse, Share
from spinney.errors import OverQuota
from spinney.store.tables import action, cluster, node, profile, receiver, secret, tenant
from spinney.store.tables import quota as table

_OF_MEMBERS = profile.alias("own")
_OF_CLUSTER = profile.alias("common")
_COUNTED = {CLUSTERS: cluster, RECEIVERS: receiver, SECRETS: secret}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What is to become of a cluster; None: that stays as it is."""

    desired: int | None = None
    profile_id: str | None = None
    #: Orphans that join it.
    joining: Sequence[str] = ()
    #: The profile of one more member, beside what the cluster is to have.
    member: str | None = None
    #: The action that asks: what it is about to make of the cluster is not there yet.
    action: str | None = None


def reserve(connection: Connection, project: str, asked: Amounts, defaults: Amounts) -> None:
    """To be called before the rows are written that use what is asked for, in the same transaction. Raises: OverQuota."""
    _refuse(fault(connection, project, asked, defaults))


def reserve_growth(connection: Connection, project: str, cluster_id: str, change: Change, defaults: Amounts) -> None:
    """The same for a change of a cluster, before it is stored. Raises: OverQuota."""
    _refuse(growth_fault(connection, project, cluster_id, change, defaults))


def _refuse(reason: str | None) -> None:
    if reason is not None:
        raise OverQuota(f"{reason[0].upper()}{reason[1:]}.")


def fault(connection: Connection, project: str, asked: Amounts, defaults: Amounts, *, lock: bool = True) -> str | None:
    """Why the project cannot have that too. Without a limit on it nothing is locked and nothing is counted.

    ``lock`` False: whoever asks only wants to know, and stores nothing.
    """
    return _fault(connection, project, asked, of(connection, project, defaults), lock, None)


def _fault(
    connection: Connection, project: str, asked: Amounts, limits: Amounts, lock: bool, action_id: str | None
) -> str | None:
    wanted = domain.grows(asked, limits)
    if not wanted:
        return None
    if lock:
        _queue_up(connection, project)
    return domain.fault(limits, used(connection, project, wanted, beside=action_id), asked)


def growth_fault(
    connection: Connection, project: str, cluster_id: str, change: Change, defaults: Amounts, *, lock: bool = True
) -> str | None:
    limits = of(connection, project, defaults)
    if all(limits[name] < 0 for name in (NODES, CPU, MEMORY)):
        return None
    now = _clusters(connection, cluster.c.id == cluster_id, change.action)[cluster_id]
    more = [(share_of(connection, change.member), 1)] if change.member is not None else []
    then = ClusterUse(
        now.desired if change.desired is None else change.desired,
        now.share if change.profile_id is None else now.share.dearest(share_of(connection, change.profile_id)),
        [*now.members, *more],
    )
    asked = domain.less(then.amounts, now.amounts, _of_orphans(connection, change.joining))
    return _fault(connection, project, asked, limits, lock, change.action)


def update_fault(
    connection: Connection, node_id: str, profile_id: str, defaults: Amounts, *, lock: bool = True
) -> str | None:
    """Why a node cannot be made from that profile instead of its own."""
    counted = (
        sa.select(sa.func.coalesce(cluster.c.project, node.c.project).label("project"), node.c.profile_id)
        .add_columns(_OF_CLUSTER.c.cpu, _OF_CLUSTER.c.memory)
        .select_from(
            node.outerjoin(cluster, node.c.cluster_id == cluster.c.id).outerjoin(
                _OF_CLUSTER, cluster.c.profile_id == _OF_CLUSTER.c.id
            )
        )
    )
    row = connection.execute(counted.where(node.c.id == node_id)).first()
    if row is None:
        return None
    least = _share(row.cpu, row.memory)
    before, after = (share_of(connection, one).dearest(least) for one in (row.profile_id, profile_id))
    asked = domain.less(domain.of_nodes(after), domain.of_nodes(before))
    return fault(connection, row.project, asked, defaults, lock=lock)


def of(connection: Connection, project: str, defaults: Amounts) -> dict[str, float]:
    """The limits of a project; -1: none."""
    rows = connection.execute(sa.select(table.c.resource, table.c.hard_limit).where(table.c.project == project))
    return {**defaults, **{resource: limit for resource, limit in rows if resource in RESOURCES}}


def put(connection: Connection, project: str, limits: Mapping[str, float]) -> None:
    """Those of the resources that are named; the others stay as they are."""
    _queue_up(connection, project)
    where = table.c.project == project, table.c.resource.in_(limits)
    connection.execute(table.delete().where(*where))
    rows = [{"project": project, "resource": name, "hard_limit": limit} for name, limit in limits.items()]
    if rows:
        connection.execute(table.insert(), rows)


def forget(connection: Connection, project: str) -> None:
    """The project has the deployment's limits again."""
    connection.execute(table.delete().where(table.c.project == project))


def projects(connection: Connection) -> list[str]:
    """Those that have ever reserved anything."""
    return list(connection.execute(sa.select(tenant.c.project).order_by(tenant.c.project)).scalars())


def _queue_up(connection: Connection, project: str) -> None:
    took = tenant.update().where(tenant.c.project == project).values(reservations=tenant.c.reservations + 1)
    if connection.execute(took).rowcount:
        return
    try:
        with connection.begin_nested():
            connection.execute(tenant.insert(), {"project": project, "reservations": 1})
    except IntegrityError:  # somebody else made it meanwhile
        connection.execute(took)


def used(
    connection: Connection, project: str, resources: Sequence[str] | None = None, *, beside: str | None = None
) -> dict[str, float]:
    """What counts against a project's limits; ``resources``: only those are wanted; ``beside``: this action does not."""
    wanted = RESOURCES if resources is None else resources
    found: dict[str, float] = {
        name: _count(connection, counted, project) for name, counted in _COUNTED.items() if name in wanted
    }
    if {NODES, CPU, MEMORY} & set(wanted):
        found |= _of_nodes(connection, project, beside)
    return {name: found.get(name, 0) for name in wanted}


def _count(connection: Connection, counted: sa.Table, project: str) -> int:
    return connection.execute(
        sa.select(sa.func.count()).select_from(counted).where(counted.c.project == project)
    ).scalar_one()


def _of_nodes(connection: Connection, project: str, beside: str | None) -> dict[str, float]:
    sums = {NODES: 0.0, CPU: 0.0, MEMORY: 0.0}
    for use in _clusters(connection, cluster.c.project == project, beside).values():
        for name, amount in use.amounts.items():
            sums[name] += amount
    orphans = (
        sa.select(sa.func.count(), sa.func.sum(_OF_MEMBERS.c.cpu), sa.func.sum(_OF_MEMBERS.c.memory))
        .select_from(node.outerjoin(_OF_MEMBERS, node.c.profile_id == _OF_MEMBERS.c.id))
        .where(node.c.project == project, node.c.cluster_id == "")
    )
    number, cpu, memory = connection.execute(orphans).one()
    return {NODES: sums[NODES] + number, CPU: sums[CPU] + (cpu or 0), MEMORY: sums[MEMORY] + int(memory or 0)}


def _clusters(connection: Connection, which: sa.ColumnElement[bool], beside: str | None) -> dict[str, ClusterUse]:
    common = cluster.outerjoin(_OF_CLUSTER, cluster.c.profile_id == _OF_CLUSTER.c.id)
    sizes = connection.execute(
        sa.select(cluster.c.id, cluster.c.desired_capacity, _OF_CLUSTER.c.cpu, _OF_CLUSTER.c.memory)
        .select_from(common)
        .where(which)
    ).all()
    members: dict[str, list[tuple[Share, int]]] = {row.id: [] for row in sizes}
    kinds = (node.c.cluster_id, _OF_MEMBERS.c.cpu, _OF_MEMBERS.c.memory)
    counted = connection.execute(
        sa.select(*kinds, sa.func.count())
        .select_from(
            node.join(cluster, node.c.cluster_id == cluster.c.id).outerjoin(
                _OF_MEMBERS, node.c.profile_id == _OF_MEMBERS.c.id
            )
        )
        .where(which)
        .group_by(*kinds)
    )
    for cluster_id, cpu, memory, number in counted:
        members[cluster_id].append((_share(cpu, memory), number))
    coming = _updates(connection, which, beside)
    return {
        row.id: ClusterUse(
            row.desired_capacity, _share(row.cpu, row.memory).dearest(coming.get(row.id, Share())), members[row.id]
        )
        for row in sizes
    }


def _updates(connection: Connection, which: sa.ColumnElement[bool], beside: str | None) -> dict[str, Share]:
    """Clusters whose update has begun, with the share of what their members are made of from now on."""
    begun = sa.and_(
        action.c.target == cluster.c.id,
        action.c.action == ActionKind.CLUSTER_UPDATE.value,
        action.c.status.in_([status.value for status in LIVE_STATUSES]),
        action.c.start_time.is_not(None),
    )
    rows = connection.execute(
        sa.select(cluster.c.id, action.c.id.label("action"), action.c.inputs)
        .select_from(cluster.join(action, begun))
        .where(which)
    )
    profiles = {row.id: row.inputs.get("new_profile_id") for row in rows if row.action != beside}
    return {cluster_id: share_of(connection, str(found)) for cluster_id, found in profiles.items() if found is not None}


def share_of(connection: Connection, profile_id: str) -> Share:
    """What one node made from the profile counts for, beside being one."""
    row = connection.execute(sa.select(profile.c.cpu, profile.c.memory).where(profile.c.id == profile_id)).first()
    return Share() if row is None else _share(row.cpu, row.memory)


def _of_orphans(connection: Connection, node_ids: Sequence[str]) -> dict[str, float]:
    """What nodes count for that are to join a cluster: each counts twice until it has."""
    if not node_ids:
        return {}
    sums = sa.select(sa.func.count(), sa.func.sum(profile.c.cpu), sa.func.sum(profile.c.memory)).select_from(
        node.outerjoin(profile, node.c.profile_id == profile.c.id)
    )
    number, cpu, memory = connection.execute(sums.where(node.c.id.in_(node_ids), node.c.cluster_id == "")).one()
    return {NODES: number, CPU: cpu or 0.0, MEMORY: int(memory or 0)}


def _share(cpu: Any, memory: Any) -> Share:
    return Share(cpu or 0.0, int(memory or 0))
