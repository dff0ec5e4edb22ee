"""All that is to be known about one load balancer at one moment, and what is told of it.

Guaranteed: a load balancer that is going is not said to be anything else; what users see of it (the address in the cluster's
data, the membership in the nodes') is written only where it differs. Not guaranteed: that it stays: whoever stores a node that
it read before drops what was told meanwhile, until somebody looks again.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain import ownership
from spinney.domain.action import LIVE_STATUSES
from spinney.domain.balancing.model import Balancer, BalancerState, Member, MemberState
from spinney.domain.cluster import Cluster
from spinney.domain.host import Host
from spinney.domain.node import Node, NodeStatus
from spinney.domain.profile import Profile
from spinney.policies.loadbalance import LoadBalanceProperties
from spinney.policies.registry import validate_spec
from spinney.store import actions, balancing, engines, hosts, status
from spinney.store.balancing import COMPLAINT
from spinney.store.rows import CLUSTERS, NODES, PROFILES
from spinney.store.tables import action, binding, cluster, node, pin, policy, pool_member, profile
from spinney.store.tables import balancer as table
from spinney.store.tables import host as host_table

_LIVE = [one.value for one in LIVE_STATUSES]
#: By load balancer: what is compared to know whether to look at it.
Pulses = Mapping[str, tuple[object, ...]]
#: How a load balancer is, and why.
Condition = tuple[BalancerState, str]


def pulses(connection: Connection, engine_id: str) -> Pulses:
    """Of those that this engine looks after: another value whenever something about them may have changed."""
    rows = connection.execute(sa.select(table.c.id, table.c.cluster_id, table.c.node_id, table.c.state)).all()
    if not rows:
        return {}
    alive = [row.id for row in engines.alive(connection)]
    mine = [row for row in rows if ownership.owner(row.id, alive) == engine_id]
    clusters = {row.cluster_id for row in mine}
    c = node.c
    query = sa.select(c.cluster_id, c.id, c.physical_id, c.host_id, c.status, c.ready, c.ready_at, c.power)
    query = query.where(sa.or_(c.cluster_id.in_(clusters), c.id.in_([row.node_id for row in mine if row.node_id])))
    nodes = sorted(tuple(found) for found in connection.execute(query)) if mine else []
    m = pool_member.c
    asked = sa.select(m.balancer_id, m.physical_id, m.leave_by).where(m.cluster_id.in_(clusters))
    leaving = sorted(tuple(found) for found in connection.execute(asked.where(m.leave_by.is_not(None))))
    on = sa.select(binding.c.cluster_id, binding.c.id, binding.c.enabled).where(binding.c.cluster_id.in_(clusters))
    enabled = sorted(tuple(found) for found in connection.execute(on))
    return {
        row.id: (
            row.state,
            *(found for found in nodes if found[0] == row.cluster_id or found[1] == row.node_id),
            *(found for found in leaving if found[0] == row.id),
            *(found for found in enabled if found[0] == row.cluster_id),
        )
        for row in mine
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """``policy`` None: it is detached. ``node``: the load balancer's own, with the host it is on and whether something works on
    it; ``busy``: those of the actions that live which want members out."""

    balancer: Balancer
    cluster: Cluster | None
    profile: Profile | None
    #: By kind, what the cluster's profile names.
    pins: Mapping[str, str]
    policy: LoadBalanceProperties | None
    enabled: bool
    node: Node | None
    node_busy: bool
    members: Sequence[Member]
    nodes: Sequence[Node]
    hosts: Mapping[str, Host]
    busy: frozenset[str]

    @property
    def host(self) -> Host | None:
        return None if self.node is None else self.hosts.get(self.node.host_id or "")


def situation(connection: Connection, balancer_id: str) -> Situation | None:
    """None: it is gone."""
    found = balancing.BALANCERS.one(connection, table.c.id == balancer_id)
    if found is None:
        return None
    of = CLUSTERS.one(connection, cluster.c.id == found.cluster_id)
    own = None if found.node_id is None else NODES.one(connection, node.c.id == found.node_id)
    nodes = NODES.all(connection, node.c.cluster_id == found.cluster_id)
    members = balancing.members_of(connection, [found.id])
    where = {one.host_id for one in (*nodes, *([own] if own else [])) if one.host_id is not None}
    attached, enabled = _attached(connection, found)
    asking = {str(one.data["asked_by"]) for one in members if "asked_by" in one.data}
    return Situation(
        balancer=found,
        cluster=of,
        profile=None if of is None else PROFILES.one(connection, profile.c.id == of.profile_id),
        pins={} if of is None else _pins(connection, of.profile_id),
        policy=attached,
        enabled=enabled,
        node=own,
        node_busy=own is not None and bool(actions.live_targets(connection, [own.id])),
        members=members,
        nodes=nodes,
        hosts={one.node_id: one for one in hosts.find(connection, host_table.c.node_id.in_(where))} if where else {},
        busy=_living(connection, asking),
    )


def _attached(connection: Connection, of: Balancer) -> tuple[LoadBalanceProperties | None, bool]:
    query = (
        sa.select(policy.c.spec, binding.c.enabled)
        .join_from(binding, policy, policy.c.id == binding.c.policy_id)
        .where(binding.c.cluster_id == of.cluster_id, binding.c.policy_id == of.policy_id)
    )
    row = connection.execute(query).first()
    if row is None or of.state is BalancerState.GOING:
        return None, False
    properties = validate_spec(row.spec).properties
    assert isinstance(properties, LoadBalanceProperties)
    return properties, bool(row.enabled)


def _pins(connection: Connection, profile_id: str) -> dict[str, str]:
    rows = connection.execute(sa.select(pin.c.kind, pin.c.target_id).where(pin.c.profile_id == profile_id))
    return {row.kind: row.target_id for row in rows}


def _living(connection: Connection, action_ids: Iterable[str]) -> frozenset[str]:
    wanted = list(action_ids)
    if not wanted:
        return frozenset()
    query = sa.select(action.c.id).where(action.c.id.in_(wanted), action.c.status.in_(_LIVE))
    return frozenset(connection.execute(query).scalars())


# --- what is told -----------------------------------------------------------------------------------------------------


def settle(connection: Connection, of: Balancer, kind: str, data: Mapping[str, Any]) -> None:
    """Of which kind it is; whoever was faster has settled that."""
    values = {"kind": kind, "data": {**of.data, **data}}
    connection.execute(table.update().where(table.c.id == of.id, table.c.kind == "").values(values))


def bind(connection: Connection, of: Balancer, facts: Mapping[str, Any]) -> None:
    """What the policy's binding shows of it."""
    ours = (binding.c.cluster_id == of.cluster_id) & (binding.c.policy_id == of.policy_id)
    row = connection.execute(sa.select(binding.c.data).where(ours)).first()
    if row is None:
        return
    told = {name: {**shown, "data": dict(facts)} for name, shown in row.data.items()}
    if told != row.data:
        connection.execute(binding.update().where(ours).values(data=told))


def say(connection: Connection, of: Balancer, condition: Condition, now: float, data: Mapping[str, Any]) -> None:
    """``data``: what changes of it; None: that goes."""
    row = connection.execute(sa.select(table.c.data).where(table.c.id == of.id)).first()
    if row is None:
        return
    merged = {key: value for key, value in {**row.data, **data}.items() if value is not None}
    state, reason = condition
    if (of.state, of.state_reason, row.data) != (state, reason, merged):
        connection.execute(
            table.update()
            .where(table.c.id == of.id, table.c.state != BalancerState.GOING)
            .values(state=state, state_reason=reason, data=merged, updated_at=now)
        )


def show(connection: Connection, of: Balancer, address: str | None) -> None:
    """What its pool's rows come to, to whoever looks at the cluster and its nodes."""
    _show_address(connection, of, address)
    others = [one.id for one in balancing.of_cluster(connection, of.cluster_id)]
    members = sorted(balancing.members_of(connection, others), key=lambda one: -others.index(one.balancer_id))
    inside = {one.node_id: _member_id(one) for one in members if one.state is MemberState.IN}
    complaints = {one.node_id: one.complaint for one in members if one.complaint}
    changed = False
    for found in NODES.all(connection, node.c.cluster_id == of.cluster_id):
        told = inside.get(found.id), complaints.get(found.id)
        if _told(found, *told):
            # Whoever carries out an action on it stores what came of it at any time.
            row = connection.execute(NODES.select().where(node.c.id == found.id).with_for_update()).first()
            values = {} if row is None else _told(NODES.value(row), *told)
            if values:
                connection.execute(node.update().where(node.c.id == found.id).values(values))
            changed |= "status" in values
    if changed:
        status.refresh(connection, [of.cluster_id])


def _told(found: Node, member_id: str | None, problem: str | None) -> dict[str, Any]:
    return _marked(found, member_id) | _warned(found, problem)


def _member_id(member: Member) -> str:
    """Always the same for one container in one pool."""
    return str(uuid.uuid5(uuid.UUID(member.balancer_id), member.physical_id))


def _show_address(connection: Connection, of: Balancer, address: str | None) -> None:
    row = connection.execute(sa.select(cluster.c.data).where(cluster.c.id == of.cluster_id)).first()
    if row is None or address is None:
        return
    told = {**(row.data.get("loadbalancers") or {}), of.policy_id: {"vip_address": address}}
    if told != row.data.get("loadbalancers"):
        changed = {**row.data, "loadbalancers": told}
        connection.execute(cluster.update().where(cluster.c.id == of.cluster_id).values(data=changed))


def _marked(found: Node, member_id: str | None) -> dict[str, Any]:
    if found.data.get("lb_member") == member_id:
        return {}
    data = {key: value for key, value in found.data.items() if key != "lb_member"}
    return {"data": data if member_id is None else {**data, "lb_member": member_id}}


def _warned(found: Node, problem: str | None) -> dict[str, Any]:
    ours = found.status is NodeStatus.WARNING and found.status_reason.startswith(COMPLAINT)
    if problem is not None and (found.status is NodeStatus.ACTIVE or ours):
        told = f"{COMPLAINT}{problem}"
        return {} if ours and found.status_reason == told else {"status": NodeStatus.WARNING, "status_reason": told}
    if problem is None and ours:
        return {"status": NodeStatus.ACTIVE, "status_reason": f"{COMPLAINT}it can be reached."}
    return {}
