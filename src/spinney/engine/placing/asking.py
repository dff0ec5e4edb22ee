"""What to ask of the scheduler, and keeping what it answers with its reasons."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain.alias import conceal
from spinney.domain.node import Node
from spinney.domain.placement.answers import Placed, Waiting
from spinney.domain.placement.decision import Decision
from spinney.domain.placement.model import PlacementRequest
from spinney.domain.placement.rules import NO_RULES, UNSHARED, PlacementRules
from spinney.domain.placement.scheduler import Fleet
from spinney.domain.placement.sentence import without_amounts
from spinney.engine.catalog import ContainerProfile
from spinney.store import bindings, fleets, shares
from spinney.store.tables import cluster as cluster_table
from spinney.store.tables import decision as decision_table


def load_fleet(connection: Connection, requests: Sequence[PlacementRequest], network_limit: int, now: float) -> Fleet:
    """The hosts that the requests may land on, as they are."""
    found = fleets.candidates(connection, requests)
    return Fleet(found, fleets.surroundings(connection, requests, found, network_limit=network_limit, now=now))


def discreet(
    connection: Connection, requests: Sequence[PlacementRequest], answers: Sequence[Placed | Waiting]
) -> list[Placed | Waiting]:
    """The same answers as the nodes' own projects may be told: hosts of others go by their aliases, without amounts."""
    pinned: dict[str, set[str]] = defaultdict(set)
    for request in requests:
        pinned[request.project].add(request.host_node or request.host_cluster or UNSHARED)
    known = {p: shares.foreign_hosts(connection, p, targets - {UNSHARED}) for p, targets in pinned.items()}
    return [
        replace(answer, summary=conceal(without_amounts(answer.summary), foreign, request.project))
        if (foreign := known[request.project])
        else answer
        for request, answer in zip(requests, answers, strict=True)
    ]


def store_decisions(
    connection: Connection, answers: Sequence[Placed | Waiting], ids: Ids, now: float
) -> dict[int, str]:
    """Ids of the stored decisions, by the identity of the objects."""
    distinct: dict[int, Decision] = {id(answer.decision): answer.decision for answer in answers}
    names = {key: ids.new() for key in distinct}
    connection.execute(
        decision_table.insert(),
        [{"id": names[key], "decided_at": now, "body": decision.body()} for key, decision in distinct.items()],
    )
    return names


def requests_for(connection: Connection, wanted: Sequence[tuple[Node, ContainerProfile]]) -> list[PlacementRequest]:
    """What to ask of the scheduler for each node made from its profile, with the rules of its cluster's policies."""
    clusters = {node.cluster_id for node, _ in wanted} - {""}
    rules = bindings.rules_for(connection, clusters) if clusters else {}
    sizes = _sizes(connection, [cluster for cluster, its in rules.items() if its.quotas])
    barred = shares.barred(connection, {(node.project, profile.profile.id) for node, profile in wanted})
    wanted = [
        (node, _unpinned(profile) if (node.project, profile.profile.id) in barred else profile)
        for node, profile in wanted
    ]
    return [
        request_for(node, profile, rules.get(node.cluster_id, NO_RULES), sizes.get(node.cluster_id, 0))
        for node, profile in wanted
    ]


def _unpinned(profile: ContainerProfile) -> ContainerProfile:
    return replace(profile, host_node=UNSHARED, host_cluster=None)


def request_for(
    node: Node, profile: ContainerProfile, rules: PlacementRules = NO_RULES, members: int = 0
) -> PlacementRequest:
    return PlacementRequest(
        node_id=node.id,
        cpu=profile.cpu,
        memory=profile.memory,
        host_node=profile.host_node,
        host_cluster=profile.host_cluster,
        ports=profile.ports,
        workload=node.cluster_id or node.id,
        profile_id=profile.profile.id,
        project=node.project,
        members=members,
        rules=replace(rules, require=(*rules.require, *profile.labels)) if profile.labels else rules,
        needs=profile.needs,
        networked=profile.networked,
    )


def _sizes(connection: Connection, cluster_ids: Sequence[str]) -> dict[str, int]:
    """How many members the clusters are to have."""
    if not cluster_ids:
        return {}
    rows = connection.execute(
        sa.select(cluster_table.c.id, cluster_table.c.desired_capacity).where(cluster_table.c.id.in_(cluster_ids))
    )
    return {row.id: row.desired_capacity for row in rows}
