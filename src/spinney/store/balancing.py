"""Load balancers and the members of their pools, as rows.

Guaranteed: a pool that goes takes its members' rows with it, so that nobody waits for it. Not guaranteed: that somebody acts on
what is asked of a member; whoever waits has a deadline of its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.balancing.model import Balancer, BalancerState, Member, MemberState
from spinney.domain.node import NodeStatus
from spinney.store import database, status
from spinney.store.rows import Mapper
from spinney.store.tables import balancer as table
from spinney.store.tables import cluster, node
from spinney.store.tables import pool_member as member_table

BALANCERS = Mapper(table, Balancer, {"state": BalancerState})
MEMBERS = Mapper(member_table, Member, {"state": MemberState})
#: How what is told about a node begins that the load balancer cannot reach.
COMPLAINT = "Load balancer: "
#: Seconds after which what was counted says nothing about now.
_FRESH = 30.0
_CHUNK = 500


# --- load balancers ---------------------------------------------------------------------------------------------------


def begin(connection: Connection, balancer_id: str, cluster_id: str, policy_id: str) -> None:
    """That of a policy that is being attached; one that was about to go, because the policy had been detached, stays. Of which
    kind a new one is, an engine says."""
    now = database.now(connection)
    known = (table.c.cluster_id == cluster_id) & (table.c.policy_id == policy_id)
    kept = table.update().where(known).values(state=BalancerState.MAKING, state_reason="", updated_at=now)
    if not connection.execute(kept).rowcount:
        new = Balancer(id=balancer_id, cluster_id=cluster_id, policy_id=policy_id, kind="", created_at=now)
        BALANCERS.insert(connection, [new])


def end(connection: Connection, cluster_id: str, policy_id: str | None = None) -> None:
    """Those of policies that are being detached; without ``policy_id``: all of the cluster. Their containers go later."""
    which = table.c.cluster_id == cluster_id
    if policy_id is not None:
        which &= table.c.policy_id == policy_id
    ids = list(connection.execute(sa.select(table.c.id).where(which)).scalars())
    if not ids:
        return
    connection.execute(member_table.delete().where(member_table.c.balancer_id.in_(ids)))
    connection.execute(
        table.update().where(table.c.id.in_(ids)).values(state=BalancerState.GOING, state_reason="It is being removed.")
    )
    _forget_address(connection, cluster_id, policy_id)
    _forget_membership(connection, cluster_id)


def _forget_address(connection: Connection, cluster_id: str, policy_id: str | None) -> None:
    data = connection.execute(sa.select(cluster.c.data).where(cluster.c.id == cluster_id)).scalar() or {}
    left = {} if policy_id is None else {k: v for k, v in data.get("loadbalancers", {}).items() if k != policy_id}
    others = {key: value for key, value in data.items() if key != "loadbalancers"}
    changed = {**others, "loadbalancers": left} if left else others
    if changed != data:
        connection.execute(cluster.update().where(cluster.c.id == cluster_id).values(data=changed))


def _forget_membership(connection: Connection, cluster_id: str) -> None:
    """A pool of another policy is shown again by the engine that looks after it."""
    told = sa.select(node.c.id, node.c.data).where(node.c.cluster_id == cluster_id)
    for node_id, data in connection.execute(told).all():
        if "lb_member" in data:
            left = {key: value for key, value in data.items() if key != "lb_member"}
            connection.execute(node.update().where(node.c.id == node_id).values(data=left))
    complaining = node.c.status_reason.startswith(COMPLAINT, autoescape=True)
    forgiven = connection.execute(
        node.update()
        .where(node.c.cluster_id == cluster_id, node.c.status == NodeStatus.WARNING, complaining)
        .values(status=NodeStatus.ACTIVE, status_reason="There is no load balancer any more.")
    )
    if forgiven.rowcount:
        status.refresh(connection, [cluster_id])


def remove(connection: Connection, balancer_id: str) -> None:
    """Once its container is gone. One that is to stay after all is left alone."""
    connection.execute(table.delete().where(table.c.id == balancer_id, table.c.state == BalancerState.GOING))


def find(connection: Connection, *where: sa.ColumnElement[bool]) -> list[Balancer]:
    rows = connection.execute(BALANCERS.select().where(*where).order_by(table.c.created_at, table.c.id))
    return [BALANCERS.value(row) for row in rows]


def of_cluster(connection: Connection, cluster_id: str) -> list[Balancer]:
    """Those that are not going."""
    return find(connection, table.c.cluster_id == cluster_id, table.c.state != BalancerState.GOING)


def nodes_of(connection: Connection, cluster_id: str) -> list[str]:
    """The nodes whose containers are load balancers of the cluster, as long as there are any."""
    query = sa.select(node.c.id).join(table, table.c.node_id == node.c.id).where(table.c.cluster_id == cluster_id)
    return list(connection.execute(query).scalars())


def among(connection: Connection, node_ids: Collection[str]) -> frozenset[str]:
    """Those of the nodes that are load balancers."""
    if not node_ids:
        return frozenset()
    return frozenset(connection.execute(sa.select(table.c.node_id).where(table.c.node_id.in_(node_ids))).scalars())


def request_rate(connection: Connection, cluster_id: str) -> float | None:
    """Requests per second that all load balancers of a cluster take together; None: unknown."""
    now = database.now(connection)
    counted = [one.data.get("stats") or {} for one in of_cluster(connection, cluster_id)]
    rates: list[Any] = [stats.get("rate") for stats in counted if now - float(stats.get("at", 0.0)) <= _FRESH]
    return sum(rates) if rates and len(rates) == len(counted) and None not in rates else None


# --- members of pools -------------------------------------------------------------------------------------------------


def _of(node_id: str, physical_id: str) -> sa.ColumnElement[bool]:
    return (member_table.c.node_id == node_id) & (member_table.c.physical_id == physical_id)


def in_pools(connection: Connection, node_ids: Sequence[str]) -> set[str]:
    """The containers of these nodes that some pool may still send something to."""
    found: set[str] = set()
    for start in range(0, len(node_ids), _CHUNK):
        some = member_table.c.node_id.in_(node_ids[start : start + _CHUNK])
        query = sa.select(member_table.c.physical_id).where(some, member_table.c.state != MemberState.OUT)
        found |= set(connection.execute(query).scalars())
    return found


def ask_to_leave(connection: Connection, node_id: str, physical_id: str, action_id: str, leave_by: float) -> None:
    """Have the container taken out of every pool it is in, and kept out for as long as the action lives."""
    query = sa.select(member_table.c.balancer_id, member_table.c.data).where(_of(node_id, physical_id))
    for balancer_id, data in connection.execute(query).all():
        connection.execute(
            member_table.update()
            .where(_of(node_id, physical_id), member_table.c.balancer_id == balancer_id)
            .values(leave_by=leave_by, data={**data, "asked_by": action_id})
        )


def members_of(connection: Connection, balancer_ids: Sequence[str]) -> list[Member]:
    query = MEMBERS.select().where(member_table.c.balancer_id.in_(balancer_ids))
    return [
        MEMBERS.value(row) for row in connection.execute(query.order_by(member_table.c.slot, member_table.c.node_id))
    ]


def keep(connection: Connection, before: Sequence[Member], after: Sequence[Member]) -> None:
    """Write what has changed. A member that was asked to leave meanwhile stays as it is, to be looked at again."""
    known = {(one.balancer_id, one.node_id, one.physical_id): one for one in before}
    for one in after:
        old = known.pop((one.balancer_id, one.node_id, one.physical_id), None)
        if old is None:
            MEMBERS.insert(connection, [one])
        elif old != one:
            connection.execute(member_table.update().where(_unchanged(old)).values(MEMBERS.row(one)))
    for old in known.values():
        connection.execute(member_table.delete().where(_unchanged(old)))


def _unchanged(member: Member) -> sa.ColumnElement[bool]:
    return sa.and_(
        member_table.c.balancer_id == member.balancer_id,
        _of(member.node_id, member.physical_id),
        member_table.c.leave_by.is_(None) if member.leave_by is None else member_table.c.leave_by == member.leave_by,
    )
