"""Ordering that containers of less important clusters make room.

Guaranteed: one engine orders at a time; a waiting node for which room is being made has nothing more made for it; only
containers of the waiting node's own project are pushed out, because priorities are set by the clusters' owners. Not guaranteed:
that the room goes to whom it was made for, should somebody else be faster; nor any disruption budget.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from spinney.domain import ownership, preemption
from spinney.domain.action import Action, ActionKind, Cause, queued
from spinney.domain.identity import Owner
from spinney.domain.node import Node
from spinney.domain.placement.answers import Placed
from spinney.domain.placement.model import PlacementRequest
from spinney.domain.placement.scheduler import Fleet
from spinney.domain.preemption import Eviction, Tenant
from spinney.engine.catalog import ContainerProfile
from spinney.engine.context import EngineContext
from spinney.engine.placing.asking import requests_for
from spinney.store import actions, engines, fleets, tenants

#: Waiting nodes looked at in one go, the most important first.
_AT_ONCE = 10
_OWNERSHIP = "preemption"

Wanted = tuple[Node, PlacementRequest, int]


def order(connection: Connection, context: EngineContext, engine_id: str, waiting: Sequence[Node]) -> int:
    """Order evictions for those of the waiting nodes for which they make room; returns how many."""
    if ownership.owner(_OWNERSHIP, [row.id for row in engines.alive(connection)]) != engine_id:
        return 0
    wanted = _wanted(connection, context, waiting)
    if not wanted:
        return 0
    requests = [request for _, request, _ in wanted]
    hosts = fleets.candidates(connection, requests)
    now = context.clock.now()
    around = fleets.surroundings(connection, requests, hosts, network_limit=context.rules.subnet_count, now=now)
    fleet = Fleet(hosts, around)
    projects = {node.project for node, _, _ in wanted}
    theirs = {project: tenants.on_hosts(connection, [h.node_id for h in hosts], project) for project in projects}
    ordered: list[Action] = []
    for node, request, priority in wanted:
        if isinstance(fleet.place([request])[0], Placed):
            continue  # it is ordered where all that wait are
        eviction = preemption.choose(fleet, hosts, request, priority, theirs[node.project])
        if eviction is not None:
            preemption.carry_out(fleet, request, eviction)
            theirs[node.project] = [one for one in theirs[node.project] if one not in eviction.victims]
            ordered += [_eviction(context, node, priority, eviction, victim, now) for victim in eviction.victims]
    actions.insert(connection, ordered)
    return len(ordered)


def _wanted(connection: Connection, context: EngineContext, waiting: Sequence[Node]) -> list[Wanted]:
    importance = tenants.priorities(connection, {node.cluster_id for node in waiting} - {""})
    busy = actions.live_targets(connection, [node.id for node in waiting]) | tenants.awaiting_evictions(connection)
    profiles = context.rules.catalog.load(connection, {node.profile_id for node in waiting})
    found = sorted(
        ((importance.get(node.cluster_id, 0), node) for node in waiting if node.id not in busy),
        key=lambda pair: (-pair[0], pair[1].waiting_since or 0.0, pair[1].id),
    )
    chosen = [(n, p, i) for i, n in found if isinstance(p := profiles.get(n.profile_id), ContainerProfile)][:_AT_ONCE]
    requests = requests_for(connection, [(node, profile) for node, profile, _ in chosen])
    return [(node, request, priority) for (node, _, priority), request in zip(chosen, requests, strict=True)]


def _eviction(
    context: EngineContext, node: Node, priority: int, eviction: Eviction, victim: Tenant, now: float
) -> Action:
    reason = f"Preempted by {node.name} (priority {priority} over {victim.priority})."
    return queued(
        ActionKind.NODE_EVICT,
        victim.node_id,
        Owner(node.user, node.project, node.domain),
        action_id=context.ids.new(),
        cause=Cause.HEALING,
        now=now,
        reason=reason,
        cluster_id="" if victim.occupant.workload == victim.node_id else victim.occupant.workload,
        inputs={"for": node.id, "host": eviction.host_id, "reason": reason},
    )
