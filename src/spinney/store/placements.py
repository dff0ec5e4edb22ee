"""Placements: stored before they are acted on, with reservations that two engines cannot both take.

Guaranteed: a host's reserved sums change in the transaction that sets or clears ``node.host_id`` or a hold, by an update that
refuses to exceed what is allocatable; a published port has one holder per host. An engine that lost such a race raises
``PlacementRace``, which rolls the whole transaction back; it then reads again and decides again.

A *hold* is room on a host where a node is not: taken where it is going, when that is decided. When its new container takes
over, place and hold change their parts: the hold is then what the container before it has, given up when that is gone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from spinney.domain.host import HostState
from spinney.domain.node import Node, NodeStatus
from spinney.domain.placement.model import PlacementRequest
from spinney.errors import SpinneyError
from spinney.store.tables import hold, host, node, port

#: Wider than the scheduler's tolerance: summing in another order must not refuse for ever what it found to fit.
_EPSILON = 2e-9


#: Shown until its container is made, instead of why it waited before.
_PLACED = "It has a host; its container is being made."


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
    decision_id: str | None = None
    decision_step: int | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    node_id: str
    host_id: str
    generation: int
    cpu: float
    memory: int
    decision_id: str | None
    decision_step: int | None


@dataclass(frozen=True, slots=True)
class _Room:
    """What a node has on a host."""

    node_id: str
    host_id: str
    cpu: float
    memory: int


def reserve(connection: Connection, landings: Sequence[Landing], now: float) -> None:
    """Raises: PlacementRace."""
    if not landings:
        return
    _take(connection, landings)
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
            status_reason=_PLACED,
            profile_id=sa.bindparam("b_profile"),
            decision_id=sa.bindparam("b_decision"),
            decision_step=sa.bindparam("b_step"),
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
                "b_decision": landing.decision_id,
                "b_step": landing.decision_step,
            }
            for landing in landings
        ],
    )


def hold_room(connection: Connection, landings: Sequence[Landing]) -> None:
    """Room for nodes that stay where they are until they arrive. Raises: PlacementRace."""
    if not landings:
        return
    _take(connection, landings)
    connection.execute(
        hold.insert(),
        [
            {
                "node_id": landing.request.node_id,
                "host_id": landing.host_id,
                "generation": landing.generation,
                "cpu": landing.request.cpu,
                "memory": landing.request.memory,
                "decision_id": landing.decision_id,
                "decision_step": landing.decision_step,
            }
            for landing in landings
        ],
    )
    # The generation is the node's from now on, so that no other container is ever made under it.
    connection.execute(
        node.update().where(node.c.id == sa.bindparam("b_id")).values(generation=sa.bindparam("b_generation")),
        [{"b_id": landing.request.node_id, "b_generation": landing.generation} for landing in landings],
    )


def _take(connection: Connection, landings: Sequence[Landing]) -> None:
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


def resize(connection: Connection, host_id: str, cpu: float, memory: int) -> bool:
    """What is set aside on a host for containers that are there already grows by so much, or shrinks; False: no room."""
    fits = [host.c.reserved_cpu + cpu <= host.c.cpu + _EPSILON] * (cpu > 0)
    fits += [host.c.reserved_memory + memory <= host.c.memory] * (memory > 0)
    updated = connection.execute(
        host.update()
        .where(host.c.node_id == host_id, *fits)
        .values(reserved_cpu=_without_dust(host.c.reserved_cpu + cpu), reserved_memory=host.c.reserved_memory + memory)
    )
    return updated.rowcount > 0


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


def release(connection: Connection, nodes: Iterable[Node]) -> list[Hold]:
    """Give back all that the nodes have and forget their hosts. Their generations stay, so that names are never used twice.

    Returns what they had held elsewhere.
    """
    leaving = list(nodes)
    given_up = give_up(connection, [n.id for n in leaving])
    _leave(connection, leaving)
    return given_up


def _leave(connection: Connection, nodes: Iterable[Node]) -> None:
    """Give back what the nodes have where they are."""
    placed = _rooms(connection, [n.id for n in nodes if n.host_id is not None])
    if not placed:
        return
    _give_back(connection, placed)
    connection.execute(
        node.update()
        .where(node.c.id.in_([room.node_id for room in placed]))
        .values(host_id=None, reserved_cpu=0.0, reserved_memory=0, placed_at=None)
    )


def relinquish(connection: Connection, nodes: Iterable[Node]) -> bool:
    """Give back what containers that do nothing any more have set aside; they stay where they are. True: that made room."""
    rooms = [room for room in _rooms(connection, [n.id for n in nodes]) if room.cpu > 0 or room.memory > 0]
    if rooms:
        _give_back(connection, rooms, leaving=False)
        idle = node.c.id.in_([room.node_id for room in rooms])
        connection.execute(node.update().where(idle).values(reserved_cpu=0.0, reserved_memory=0))
    return bool(rooms)


def _rooms(connection: Connection, node_ids: Collection[str]) -> list[_Room]:
    """What the nodes have now, which may be less than when whoever asks has read them."""
    if not node_ids:
        return []
    columns = (node.c.id, node.c.host_id, node.c.reserved_cpu, node.c.reserved_memory)
    placed = node.c.id.in_(node_ids) & node.c.host_id.is_not(None)
    return [_Room(*row) for row in connection.execute(sa.select(*columns).where(placed).with_for_update())]


def _give_back(connection: Connection, rooms: Sequence[_Room], *, leaving: bool = True) -> None:
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0, 0])
    for room in rooms:
        total = sums[room.host_id]
        total[0] += room.cpu
        total[1] += room.memory
        total[2] += leaving
    left: sa.ColumnElement[float] = host.c.reserved_cpu - sa.bindparam("b_cpu")
    connection.execute(
        host.update()
        .where(host.c.node_id == sa.bindparam("b_host"))
        .values(
            reserved_cpu=_without_dust(left),
            reserved_memory=host.c.reserved_memory - sa.bindparam("b_memory"),
            containers=host.c.containers - sa.bindparam("b_count"),
        ),
        [{"b_host": h, "b_cpu": c, "b_memory": m, "b_count": k} for h, (c, m, k) in sorted(sums.items())],
    )
    connection.execute(
        port.delete().where(port.c.host_id == sa.bindparam("b_host"), port.c.node_id == sa.bindparam("b_node")),
        [{"b_host": room.host_id, "b_node": room.node_id} for room in rooms],
    )


def _without_dust(cpu: sa.ColumnElement[float]) -> sa.ColumnElement[float]:
    """Adding and subtracting floats leaves dust; it must not turn into a negative reservation."""
    return sa.case((cpu < _EPSILON, 0.0), else_=cpu)


def holds(connection: Connection, node_ids: Collection[str]) -> dict[str, Hold]:
    """By node id; those of the nodes that are on their way somewhere."""
    if not node_ids:
        return {}
    rows = connection.execute(sa.select(hold).where(hold.c.node_id.in_(node_ids)))
    return {row.node_id: Hold(*row) for row in rows}


def give_up(connection: Connection, node_ids: Collection[str]) -> list[Hold]:
    """Nodes that will not arrive; returns what they had held."""
    given_up = list(holds(connection, node_ids).values())
    if given_up:
        _give_back(connection, [_Room(h.node_id, h.host_id, h.cpu, h.memory) for h in given_up])
        connection.execute(hold.delete().where(hold.c.node_id.in_([h.node_id for h in given_up])))
    return given_up


def hand_over(connection: Connection, nodes: Collection[Node], now: float) -> None:
    """Nodes that live where their holds are from now on; what they had before is their holds until they have given it up."""
    found = holds(connection, [n.id for n in nodes])
    before = {n.id: n for n in nodes if n.id in found and n.host_id is not None}
    if not before:
        return
    connection.execute(
        node.update()
        .where(node.c.id == sa.bindparam("b_id"))
        .values(
            host_id=sa.bindparam("b_host"),
            placed_at=now,
            reserved_cpu=sa.bindparam("b_cpu"),
            reserved_memory=sa.bindparam("b_memory"),
            decision_id=sa.bindparam("b_decision"),
            decision_step=sa.bindparam("b_step"),
        ),
        [
            {
                "b_id": h.node_id,
                "b_host": h.host_id,
                "b_cpu": h.cpu,
                "b_memory": h.memory,
                "b_decision": h.decision_id,
                "b_step": h.decision_step,
            }
            for h in (found[node_id] for node_id in before)
        ],
    )
    connection.execute(
        hold.update()
        .where(hold.c.node_id == sa.bindparam("b_id"))
        .values(
            host_id=sa.bindparam("b_host"),
            cpu=sa.bindparam("b_cpu"),
            memory=sa.bindparam("b_memory"),
            decision_id=None,
            decision_step=None,
        ),
        [
            {"b_id": n.id, "b_host": n.host_id, "b_cpu": n.reserved_cpu, "b_memory": n.reserved_memory}
            for n in before.values()
        ],
    )
