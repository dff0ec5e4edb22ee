"""Placements: stored before they are acted on, with reservations that two engines cannot both take.

Guaranteed: a host's reserved sums change in the transaction that sets or clears ``node.host_id``, by an update that refuses to
exceed what is allocatable; a published port has one holder. An engine that lost such a race raises ``PlacementRace``, which
rolls the whole transaction back; it then reads again and decides again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from spinney.domain.host import Host, HostState
from spinney.domain.node import Node, NodeStatus
from spinney.domain.placement.scheduler import PlacementRequest, Port
from spinney.errors import SpinneyError
from spinney.store import hosts
from spinney.store.tables import host, network, node, port

#: Wider than the scheduler's tolerance: summing in another order must not refuse for ever what it found to fit.
_EPSILON = 2e-9


class PlacementRace(SpinneyError):
    """Another engine took the room first."""

    retryable = True


@dataclass(frozen=True, slots=True)
class Landing:
    """One decision to store, with what the node shows from now on."""

    request: PlacementRequest
    host_id: str
    generation: int
    status: NodeStatus
    profile_id: str


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


def taken_ports(
    connection: Connection, requests: Iterable[PlacementRequest], host_ids: Collection[str]
) -> dict[str, list[Port]]:
    taken: dict[str, list[Port]] = defaultdict(list)
    if any(request.ports for request in requests):
        rows = connection.execute(
            sa.select(port.c.host_id, port.c.protocol, port.c.port).where(port.c.host_id.in_(host_ids))
        )
        for host_id, protocol, number in rows:
            taken[host_id].append((protocol, number))
    return taken


def reserve(connection: Connection, landings: Sequence[Landing], now: float) -> None:
    """Raises: PlacementRace."""
    if not landings:
        return
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0, 0])
    for landing in landings:
        total = sums[landing.host_id]
        total[0] += landing.request.cpu
        total[1] += landing.request.memory
        total[2] += 1
    # In the order of ids, so that two engines never wait for each other crosswise.
    rows = [{"b_host": h, "b_cpu": c, "b_memory": m, "b_count": n} for h, (c, m, n) in sorted(sums.items())]
    cpu: sa.BindParameter[float] = sa.bindparam("b_cpu")
    memory: sa.BindParameter[int] = sa.bindparam("b_memory")
    count: sa.BindParameter[int] = sa.bindparam("b_count")
    updated = connection.execute(
        host.update()
        .where(
            host.c.node_id == sa.bindparam("b_host"),
            host.c.state == HostState.READY.value,
            host.c.reserved_cpu + cpu <= host.c.cpu + _EPSILON,
            host.c.reserved_memory + memory <= host.c.memory,
        )
        .values(
            reserved_cpu=host.c.reserved_cpu + cpu,
            reserved_memory=host.c.reserved_memory + memory,
            containers=host.c.containers + count,
        ),
        rows,
    )
    if updated.rowcount != len(rows):
        raise PlacementRace("the room was taken by another placement")
    _take_ports(connection, landings)
    connection.execute(
        node.update()
        .where(node.c.id == sa.bindparam("b_id"))
        .values(
            host_id=sa.bindparam("b_host"),
            generation=sa.bindparam("b_generation"),
            placed_at=now,
            reserved_cpu=sa.bindparam("b_cpu"),
            reserved_memory=sa.bindparam("b_memory"),
            status=sa.bindparam("b_status"),
            profile_id=sa.bindparam("b_profile"),
            waiting_since=None,
        ),
        [
            {
                "b_id": landing.request.node_id,
                "b_host": landing.host_id,
                "b_generation": landing.generation,
                "b_cpu": landing.request.cpu,
                "b_memory": landing.request.memory,
                "b_status": landing.status,
                "b_profile": landing.profile_id,
            }
            for landing in landings
        ],
    )


def _take_ports(connection: Connection, landings: Iterable[Landing]) -> None:
    rows = [
        {"host_id": landing.host_id, "protocol": protocol, "port": number, "node_id": landing.request.node_id}
        for landing in landings
        for protocol, number in landing.request.ports
    ]
    if rows:
        try:
            connection.execute(port.insert(), rows)
        except IntegrityError as error:
            raise PlacementRace("a published port was taken by another placement") from error


def release(connection: Connection, nodes: Iterable[Node]) -> None:
    """Give back what the nodes hold and forget their hosts. Their generations stay, so that names are never used twice."""
    placed = [n for n in nodes if n.host_id is not None]
    if not placed:
        return
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0, 0])
    for n in placed:
        assert n.host_id is not None
        total = sums[n.host_id]
        total[0] += n.reserved_cpu
        total[1] += n.reserved_memory
        total[2] += 1
    left = host.c.reserved_cpu - sa.bindparam("b_cpu")
    connection.execute(
        host.update()
        .where(host.c.node_id == sa.bindparam("b_host"))
        .values(
            # Adding and subtracting floats leaves dust; it must not turn into a negative reservation.
            reserved_cpu=sa.case((left < _EPSILON, 0.0), else_=left),
            reserved_memory=host.c.reserved_memory - sa.bindparam("b_memory"),
            containers=host.c.containers - sa.bindparam("b_count"),
        ),
        [{"b_host": h, "b_cpu": c, "b_memory": m, "b_count": k} for h, (c, m, k) in sorted(sums.items())],
    )
    ids = [n.id for n in placed]
    connection.execute(port.delete().where(port.c.node_id.in_(ids)))
    connection.execute(
        node.update()
        .where(node.c.id.in_(ids))
        .values(host_id=None, reserved_cpu=0.0, reserved_memory=0, placed_at=None)
    )


def subnets(connection: Connection, wanted: Collection[tuple[str, str]], pool_size: int) -> dict[tuple[str, str], int]:
    """The subnet index of each (host id, project), allotting the lowest free one where there is none yet.

    Left out are projects for which a host has none left. Raises: PlacementRace when another engine allots at the same time.
    """
    if not wanted:
        return {}
    host_ids = {host_id for host_id, _ in wanted}
    used: dict[str, dict[str, int]] = defaultdict(dict)
    for host_id, project, index in connection.execute(sa.select(network).where(network.c.host_id.in_(host_ids))):
        used[host_id][project] = index
    missing = []
    for host_id, project in sorted(set(wanted)):
        if project not in used[host_id]:
            taken = set(used[host_id].values())
            index = next((i for i in range(pool_size) if i not in taken), None)
            if index is None:
                continue
            used[host_id][project] = index
            missing.append({"host_id": host_id, "project": project, "subnet_index": index})
    if missing:
        try:
            connection.execute(network.insert(), missing)
        except IntegrityError as error:
            raise PlacementRace("a project network was allotted by another engine") from error
    return {(host_id, project): used[host_id][project] for host_id, project in wanted if project in used[host_id]}


def move_subnet(connection: Connection, host_id: str, project: str, refused: int, pool_size: int) -> int:
    """Another subnet for a project's bridge, because the host uses that one for something of its own.

    Only indexes above the refused one are tried, so that repeated refusals come to an end. Raises: PlacementRace.
    """
    rows = connection.execute(sa.select(network.c.project, network.c.subnet_index).where(network.c.host_id == host_id))
    used: Mapping[str, int] = {row.project: row.subnet_index for row in rows}
    if used.get(project, refused) != refused:
        return used[project]
    taken = set(used.values())
    index = next((i for i in range(refused + 1, pool_size) if i not in taken), None)
    if index is None:
        raise PlacementRace(f"no subnet of the pool is free on host {host_id}")
    connection.execute(
        network.update().where(network.c.host_id == host_id, network.c.project == project).values(subnet_index=index)
    )
    return index


def drop_unused_networks(connection: Connection, pairs: Collection[tuple[str, str]]) -> list[tuple[str, str]]:
    """Forget the networks of (host id, project) pairs that no node needs any more; returns those forgotten."""
    if not pairs:
        return []
    used = sa.exists().where(node.c.host_id == network.c.host_id, node.c.project == network.c.project)
    left = sa.select(network.c.host_id, network.c.project).where(
        network.c.host_id.in_({host for host, _ in pairs}), ~used
    )
    unused = sorted({(host_id, project) for host_id, project in connection.execute(left)} & set(pairs))
    for host_id, project in unused:
        connection.execute(network.delete().where(network.c.host_id == host_id, network.c.project == project))
    return unused
