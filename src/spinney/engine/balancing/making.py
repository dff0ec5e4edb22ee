"""The node of a load balancer of our own: ordered, ordered again, and given up, as actions like any other.

Guaranteed: a load balancer has at most one node, which is the owner's of its cluster and counts against that project's quotas;
one that somebody deletes is made anew. Image rules do not hold for the image that the operator gave for it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.action import LIVE_STATUSES, Action, ActionKind, Cause, queued
from spinney.domain.balancing.model import ROLE, Balancer, BalancerState, Service
from spinney.domain.cluster import Cluster
from spinney.domain.identity import Owner
from spinney.domain.node import Node, NodeStatus
from spinney.domain.profile import Profile
from spinney.domain.quota import Share, of_nodes
from spinney.drivers.balancer.provided import provided
from spinney.engine.context import EngineContext
from spinney.errors import ResourceInUse
from spinney.profiles.balancer import balancer_spec
from spinney.profiles.container import CONTAINER
from spinney.profiles.container_request import set_aside
from spinney.profiles.registry import validate_spec
from spinney.store import actions, balancing, profiles, quotas
from spinney.store.pools import Condition, Situation
from spinney.store.rows import NODES, PROFILES
from spinney.store.tables import action as action_table
from spinney.store.tables import balancer as table
from spinney.store.tables import profile as profile_table

#: Seconds between two attempts at a node that cannot be made.
_AGAIN = 30.0
_LONGEST_NAME = 240


def make(connection: Connection, context: EngineContext, situation: Situation, service: Service) -> Condition:
    """What is missing of a load balancer that has no container yet, after ordering it where that is possible."""
    image = provided(context.balancer)
    if image.missing:
        return BalancerState.ERROR, f"{image.missing[0].upper()}{image.missing[1:]}."
    spec = balancer_spec(image.reference, service, context.balancer, situation.pins, brought=image.archive is not None)
    node = situation.node
    if node is None:
        return _create(connection, context, situation, spec)
    if situation.node_busy or node.waiting_since is not None or node.status is not NodeStatus.ERROR:
        return BalancerState.MAKING, f"Node {node.name}: {node.status_reason}"
    now = context.clock.now()
    tried = situation.balancer.data.get("tried_at")
    if tried is None or now - tried >= _AGAIN:
        _note(connection, situation.balancer, tried_at=now)
        _try_again(connection, context, node, spec)
    return BalancerState.ERROR, f"Node {node.name}: {node.status_reason}"


def _create(connection: Connection, context: EngineContext, situation: Situation, spec: dict[str, Any]) -> Condition:
    cluster, now = situation.cluster, context.clock.now()
    assert cluster is not None
    profile = _profile(context, cluster, spec, now)
    over = quotas.fault(
        connection,
        cluster.project,
        of_nodes(Share(profile.cpu or 0.0, profile.memory or 0)),
        context.rules.allowed.limits,
    )
    if over is not None:
        return BalancerState.ERROR, f"No load balancer can be made: {over}."
    node = Node(
        id=context.ids.new(),
        name=_name(cluster),
        profile_id=profile.id,
        role=ROLE,
        data={ROLE: {"cluster_id": cluster.id, "policy_id": situation.balancer.policy_id}},
        user=cluster.user,
        project=cluster.project,
        domain=cluster.domain,
        init_at=now,
    )
    if not _take(connection, situation.balancer, node.id, profile.id):
        return BalancerState.MAKING, "Somebody else makes it."
    profiles.insert(connection, profile, situation.pins)
    NODES.insert(connection, [node])
    actions.insert(connection, [_order(context, ActionKind.NODE_CREATE, node)])
    _drop_profile(connection, situation.balancer.data.get("profile_id"))
    return BalancerState.MAKING, f"Node {node.name} is being made."


def _name(cluster: Cluster) -> str:
    return f"{cluster.name[:_LONGEST_NAME]}.{ROLE}"


def _profile(context: EngineContext, cluster: Cluster, spec: dict[str, Any], now: float) -> Profile:
    cpu, memory = set_aside(validate_spec(spec).properties, context.rules.catalog.defaults)
    return Profile(
        id=context.ids.new(),
        name=_name(cluster),
        type=CONTAINER.name_version,
        spec=spec,
        metadata={},
        user=cluster.user,
        project=cluster.project,
        domain=cluster.domain,
        created_at=now,
        cpu=cpu,
        memory=memory,
    )


def _take(connection: Connection, of: Balancer, node_id: str, profile_id: str) -> bool:
    """Whether nobody was faster, and the load balancer is still wanted."""
    same = table.c.node_id.is_(None) if of.node_id is None else table.c.node_id == of.node_id
    done = connection.execute(
        table.update()
        .where(table.c.id == of.id, same, table.c.state != BalancerState.GOING)
        .values(node_id=node_id, data={**of.data, "profile_id": profile_id})
    )
    return done.rowcount == 1


def _note(connection: Connection, of: Balancer, **data: Any) -> None:
    connection.execute(table.update().where(table.c.id == of.id).values(data={**of.data, **data}))


def _try_again(connection: Connection, context: EngineContext, node: Node, spec: dict[str, Any]) -> None:
    """From the profile that it has; where it is to have another one by now, from scratch."""
    own = PROFILES.one(connection, profile_table.c.id == node.profile_id)
    if own is not None and own.spec == spec:
        again = _order(context, ActionKind.NODE_RECOVER, node, inputs={"operation": "RECREATE"})
        actions.insert(connection, [again])
    elif node.physical_id is None:
        actions.submit(connection, _order(context, ActionKind.NODE_DELETE, node))


def give_up(connection: Connection, context: EngineContext, situation: Situation) -> None:
    """Of one that is not wanted any more: its node first, then what else there is of it."""
    of = situation.balancer
    if situation.node is not None:
        if not _is_being_deleted(connection, situation.node.id):
            actions.submit(connection, _order(context, ActionKind.NODE_DELETE, situation.node))
        return
    _drop_profile(connection, of.data.get("profile_id"))
    balancing.remove(connection, of.id)


def _is_being_deleted(connection: Connection, node_id: str) -> bool:
    live = action_table.c.status.in_([one.value for one in LIVE_STATUSES])
    query = sa.select(action_table.c.id).where(
        action_table.c.target == node_id, action_table.c.action == ActionKind.NODE_DELETE.value, live
    )
    return connection.execute(query.limit(1)).first() is not None


def _drop_profile(connection: Connection, profile_id: Any) -> None:
    """Somebody may have made nodes of it."""
    if profile_id is not None:
        with suppress(ResourceInUse):
            profiles.remove(connection, str(profile_id))


def _order(context: EngineContext, kind: ActionKind, node: Node, **fields: Any) -> Action:
    return queued(
        kind,
        node.id,
        Owner(node.user, node.project, node.domain),
        action_id=context.ids.new(),
        cause=Cause.HEALING,
        now=context.clock.now(),
        reason="For load balancing.",
        **fields,
    )
