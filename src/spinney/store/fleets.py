"""What the scheduler is told of hosts: those that may be meant, and what is on them beside the sums in their rows.

Everything here is read in the transaction that stores the choice. What a batch of requests does not ask about is not read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.host import Host
from spinney.domain.placement.model import PlacementRequest, Port, Surroundings
from spinney.store import hosts
from spinney.store.tables import hold, host, network, node, port, setback

#: Seconds for which a workload's failure on a host counts.
SETBACK_WINDOW = 600.0


def candidates(connection: Connection, requests: Iterable[PlacementRequest]) -> list[Host]:
    """Every host that any of the requests may land on."""
    clusters = {r.host_cluster for r in requests if r.host_cluster is not None and r.host_node is None}
    single = {r.host_node for r in requests if r.host_node is not None}
    conditions = []
    if clusters:
        conditions.append(node.c.cluster_id.in_(clusters))
    if single:
        conditions.append(host.c.node_id.in_(single))
    return hosts.find(connection, sa.or_(*conditions)) if conditions else []


def surroundings(
    connection: Connection,
    requests: Sequence[PlacementRequest],
    found: Sequence[Host],
    *,
    network_limit: int,
    now: float,
) -> Surroundings:
    """``network_limit``: subnets that a host has for projects' bridges."""
    host_ids = [h.node_id for h in found]
    return Surroundings(
        ports=_ports(connection, requests, host_ids),
        residents=_residents(connection, requests, host_ids),
        setbacks=setbacks(connection, {request.profile_id for request in requests}, now),
        networks=_networks(connection, requests, network_limit),
        network_limit=network_limit,
        now=now,
    )


def _ports(
    connection: Connection, requests: Iterable[PlacementRequest], host_ids: Collection[str]
) -> Mapping[str, list[Port]]:
    taken: dict[str, list[Port]] = defaultdict(list)
    if any(request.ports for request in requests):
        rows = connection.execute(
            sa.select(port.c.host_id, port.c.protocol, port.c.port).where(port.c.host_id.in_(host_ids))
        )
        for host_id, protocol, number in rows:
            taken[host_id].append((protocol, number))
    return taken


def _residents(
    connection: Connection, requests: Iterable[PlacementRequest], host_ids: Collection[str]
) -> Mapping[str, Mapping[str, int]]:
    """How many members of each workload that a rule counts are on each host, or on their way there."""
    affinities = {affinity for request in requests for affinity in request.rules.affinities}
    workloads = {workload for affinity in affinities for workload in (affinity.workload, *affinity.also)}
    workloads |= {r.workload for r in requests if r.rules.max_per_host or r.rules.quotas or r.rules.spread_over}
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    if workloads:
        here = sa.select(node.c.host_id, node.c.cluster_id).where(
            node.c.cluster_id.in_(workloads), node.c.host_id.is_not(None)
        )
        coming = sa.select(hold.c.host_id, node.c.cluster_id).where(
            hold.c.node_id == node.c.id, node.c.cluster_id.in_(workloads)
        )
        wanted = set(host_ids)
        for host_id, workload in connection.execute(here.union_all(coming)):
            if host_id in wanted:
                counts[host_id][workload] += 1
    return counts


def setbacks(connection: Connection, profiles: Collection[str], now: float) -> Mapping[str, Mapping[str, int]]:
    """How often containers of each profile failed on each host lately: by host, then profile."""
    rows = connection.execute(
        sa.select(setback.c.host_id, setback.c.profile_id, sa.func.count())
        .where(setback.c.at > now - SETBACK_WINDOW, setback.c.profile_id.in_(profiles))
        .group_by(setback.c.host_id, setback.c.profile_id)
    )
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for host_id, profile_id, count in rows:
        counts[host_id][profile_id] = count
    return counts


def _networks(
    connection: Connection, requests: Iterable[PlacementRequest], limit: int
) -> Mapping[str, Collection[str]]:
    """The projects with a bridge on those hosts whose subnets may not do for all that the batch brings."""
    coming = {request.project for request in requests if request.networked}
    if not coming:
        return {}
    full = sa.select(network.c.host_id).group_by(network.c.host_id).having(sa.func.count() > limit - len(coming))
    projects: dict[str, set[str]] = defaultdict(set)
    for host_id, project in connection.execute(
        sa.select(network.c.host_id, network.c.project).where(network.c.host_id.in_(full))
    ):
        projects[host_id].add(project)
    return projects
