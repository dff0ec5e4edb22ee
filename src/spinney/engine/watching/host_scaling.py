"""Growing host clusters for containers that wait for room, and giving empty hosts back, where a policy says so.

Guaranteed: one engine acts for a host cluster at a time, through the cluster's ordinary actions, which yield to users'; nothing
is ordered while any action lives on the cluster, nor more hosts while one that was to join could not. For how long a host has
been empty is known to the acting engine alone: another one that takes over counts anew.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from spinney.domain import host_scaling, ownership
from spinney.domain.action import Action, ActionKind, Cause, queued
from spinney.domain.cluster import Cluster
from spinney.domain.host import Duty, Host, HostState
from spinney.domain.host_scaling import Situation
from spinney.domain.identity import Owner
from spinney.domain.member import Member
from spinney.domain.node import Node, NodeStatus
from spinney.domain.placement.model import PlacementRequest
from spinney.domain.policy import HostScaling
from spinney.engine.catalog import ContainerProfile, HostProfile
from spinney.engine.context import EngineContext
from spinney.engine.placing.asking import requests_for
from spinney.engine.worker import Session
from spinney.profiles.docker_host import expected
from spinney.store import actions, bindings, engines, fleets, hosts, scaling
from spinney.store.members import members
from spinney.store.tables import node as node_table

log = logging.getLogger(__name__)

#: Seconds.
_TICK = 2.0
_WAITING_AT_MOST = 200

#: Since when hosts are seen empty, on the engine's own clock.
EmptySince = dict[str, float]


async def scale(session: Session) -> None:
    """Runs until cancelled."""
    context = session.context
    empty: dict[str, EmptySince] = {}
    while True:
        await context.clock.sleep(_TICK)
        mine = await context.store.read(_mine, session.id)
        empty = {cluster.id: empty.get(cluster.id, {}) for cluster, _ in mine}
        for cluster, rules in mine:
            ordered = await context.store.transact(_adjust, context, cluster, rules, empty[cluster.id])
            if ordered is not None:
                log.info("host cluster %s: %s", cluster.name, ordered.status_reason)
                session.wake_at(context.clock.now())


def _mine(connection: Connection, engine_id: str) -> list[tuple[Cluster, HostScaling]]:
    """The host clusters with such a policy that this engine acts for."""
    found = scaling.host_clusters(connection)
    rules = bindings.host_scaling_for(connection, [cluster.id for cluster in found]) if found else {}
    alive = [row.id for row in engines.alive(connection)] if rules else []
    return [
        (cluster, _bounded(cluster, rules[cluster.id]))
        for cluster in found
        if cluster.id in rules and ownership.owner(cluster.id, alive) == engine_id
    ]


def _bounded(cluster: Cluster, rules: HostScaling) -> HostScaling:
    """The policy within what the cluster itself allows."""
    maximum = rules.maximum if cluster.max_size < 0 else min(rules.maximum, cluster.max_size)
    return HostScaling(max(rules.minimum, cluster.min_size), maximum, rules.cooldown, rules.idle_time)


def _adjust(
    connection: Connection, context: EngineContext, cluster: Cluster, rules: HostScaling, empty: EmptySince
) -> Action | None:
    there = members(connection, cluster.id)
    idle = _idle(connection, context, there, rules, empty)
    waiting = _waiting_for(connection, context, cluster.id)
    if not (waiting or idle) or actions.live_targets(connection, [cluster.id]):
        return None
    found = hosts.find(connection, node_table.c.cluster_id == cluster.id)
    requests = waiting or _requests(connection, context, scaling.next_members(connection, [h.node_id for h in found]))
    now = context.clock.now()
    around = fleets.surroundings(connection, requests, found, network_limit=context.rules.subnet_count, now=now)
    situation = Situation(rules, len(there), found, around, scaling.last_resized(connection, cluster.id), now)
    ordered = None
    if not waiting:
        ordered = _give_back(context, cluster, situation, idle, requests)
    elif not any(one.status is NodeStatus.ERROR and not one.made for one in there):
        machines = _machines(connection, context, cluster, found)
        ordered = _grow(context, cluster, situation, machines, waiting)
    if ordered is not None:
        actions.insert(connection, [ordered])
    return ordered


def _grow(
    context: EngineContext,
    cluster: Cluster,
    situation: Situation,
    machines: Sequence[Host],
    waiting: Sequence[PlacementRequest],
) -> Action | None:
    count = host_scaling.grow(situation, machines, waiting)
    reason = f"Containers that wait for room: {len(waiting)}; more hosts: {count}."
    kind = ActionKind.CLUSTER_SCALE_OUT
    return _order(context, cluster, kind, {"count": count}, reason, situation.now) if count else None


def _give_back(
    context: EngineContext,
    cluster: Cluster,
    situation: Situation,
    idle: Sequence[str],
    likely: Sequence[PlacementRequest],
) -> Action | None:
    going = host_scaling.give_back(situation, idle, likely)
    inputs = {"candidates": going, "count": len(going), "destroy_after_deletion": True}
    reason = f"Hosts that have been empty for {situation.rules.idle_time} s: {len(going)}."
    kind = ActionKind.CLUSTER_DEL_NODES
    return _order(context, cluster, kind, inputs, reason, situation.now) if going else None


def _idle(
    connection: Connection, context: EngineContext, there: Sequence[Member], rules: HostScaling, empty: EmptySince
) -> list[str]:
    """Hosts that have been empty for long enough, the youngest first. ``empty`` is brought up to date."""
    busy = actions.live_targets(connection, [member.id for member in there])
    free = {
        member.id: member.index
        for member in there
        if member.made and member.status is NodeStatus.ACTIVE and not member.used and member.duty is Duty.OPEN
        if member.id not in busy
    }
    now = context.clock.monotonic()
    for host_id in empty.keys() - free.keys():
        del empty[host_id]
    for host_id in free:
        empty.setdefault(host_id, now)
    return sorted((i for i in free if now - empty[i] >= rules.idle_time), key=lambda i: -free[i])


def _waiting_for(connection: Connection, context: EngineContext, cluster_id: str) -> list[PlacementRequest]:
    found = _requests(connection, context, scaling.waiting_for(connection, cluster_id, _WAITING_AT_MOST))
    return [request for request in found if request.host_node is None]


def _requests(connection: Connection, context: EngineContext, nodes: Sequence[Node]) -> list[PlacementRequest]:
    profiles = context.rules.catalog.load(connection, {node.profile_id for node in nodes})
    wanted = [(node, p) for node in nodes if isinstance(p := profiles.get(node.profile_id), ContainerProfile)]
    return requests_for(connection, wanted)


def _machines(connection: Connection, context: EngineContext, cluster: Cluster, found: Sequence[Host]) -> list[Host]:
    """The machines that are no hosts yet, in the order in which they would be taken, as what they are expected to be."""
    profile = context.rules.catalog.load(connection, [cluster.profile_id]).get(cluster.profile_id)
    if not isinstance(profile, HostProfile):
        return []
    taken = scaling.endpoints(connection)
    ready = [host for host in found if host.state is HostState.READY and host.facts]
    like = min(ready, key=lambda host: (host.memory, host.cpu, host.node_id), default=None)
    left = [machine for machine in profile.properties.machines() if machine.endpoint not in taken]
    return [expected(machine, cluster.id, cluster.project, like) for machine in left]


def _order(
    context: EngineContext, cluster: Cluster, kind: ActionKind, inputs: Mapping[str, Any], reason: str, now: float
) -> Action:
    return queued(
        kind,
        cluster.id,
        Owner(cluster.user, cluster.project, cluster.domain),
        action_id=context.ids.new(),
        cause=Cause.HEALING,
        now=now,
        reason=reason,
        cluster_id=cluster.id,
        timeout=cluster.timeout,
        inputs=inputs,
    )
