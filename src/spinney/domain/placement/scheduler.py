"""Where container nodes go: requests × hosts → placements or reasons.

Pure and deterministic: equal input gives equal output. Guaranteed for every placement returned: the host is ready, is one
the request allows, has the reserved room, and its fixed ports are free, all counted with the placements before it in the
same batch. The whole batch is placed in one pass, so that the order of names does not decide the balance.

The default strategy is *spread*: the host whose larger reserved share (CPU or memory) would be smallest, then the one with
fewer containers, then the one whose name, then id, sorts first.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from spinney.domain.host import Host, HostState

#: Sums of cores are compared with this tolerance, so that ten times 0.1 fits into 1.
_EPSILON = 1e-9

Port = tuple[str, int]  # protocol, host port


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """At least one of ``host_node`` and ``host_cluster`` is set; both are ids."""

    node_id: str
    cpu: float
    memory: int
    host_node: str | None = None
    host_cluster: str | None = None
    ports: tuple[Port, ...] = ()


@dataclass(frozen=True, slots=True)
class Placed:
    node_id: str
    host_id: str
    summary: str


@dataclass(frozen=True, slots=True)
class Unfit:
    """Why one host cannot take one request: the first rule it fails, with needed and available."""

    host_id: str
    rule: str  # state | cpu | memory | port
    needed: str
    available: str
    text: str


@dataclass(frozen=True, slots=True)
class Waiting:
    node_id: str
    summary: str
    hosts: tuple[Unfit, ...]


@dataclass(slots=True)
class _Room:
    """A host as the batch fills it."""

    host: Host
    cpu: float
    memory: int
    containers: int
    ports: set[Port] = field(default_factory=set)

    def unfit(self, request: PlacementRequest) -> Unfit | None:
        host = self.host
        if host.state is not HostState.READY:
            return Unfit(host.node_id, "state", "ready", host.state.value, f"{host.name} is {host.state.value}")
        if self.cpu + request.cpu > host.cpu + _EPSILON:
            free = max(host.cpu - self.cpu, 0.0)
            text = f"{host.name} has {free:.2f} of {host.cpu:g} cores unreserved"
            return Unfit(host.node_id, "cpu", f"{request.cpu:g}", f"{free:.2f}", text)
        if self.memory + request.memory > host.memory:
            free_memory = max(host.memory - self.memory, 0)
            text = f"{host.name} has {_mib(free_memory)} of {_mib(host.memory)} memory unreserved"
            return Unfit(host.node_id, "memory", _mib(request.memory), _mib(free_memory), text)
        taken = next((port for port in request.ports if port in self.ports), None)
        if taken is not None:
            text = f"port {taken[1]}/{taken[0]} of {host.name} is published by another node"
            return Unfit(host.node_id, "port", f"{taken[1]}/{taken[0]}", "taken", text)
        return None

    def rank(self) -> tuple[float, int, str, str]:
        return (self.share(), self.containers, self.host.name, self.host.node_id)

    def share(self) -> float:
        cpu = self.cpu / self.host.cpu if self.host.cpu > 0 else 1.0
        memory = self.memory / self.host.memory if self.host.memory > 0 else 1.0
        return round(max(cpu, memory), 9)

    def take(self, request: PlacementRequest) -> None:
        self.cpu += request.cpu
        self.memory += request.memory
        self.containers += 1
        self.ports.update(request.ports)


def place(
    requests: Sequence[PlacementRequest], hosts: Iterable[Host], ports: Mapping[str, Iterable[Port]] | None = None
) -> list[Placed | Waiting]:
    """One answer per request, in the same order. ``ports`` are those already published, by host id."""
    taken = ports or {}
    rooms = {
        host.node_id: _Room(
            host, host.reserved_cpu, host.reserved_memory, host.containers, set(taken.get(host.node_id, ()))
        )
        for host in hosts
    }
    queues: dict[tuple[str | None, str | None], list[tuple[tuple[float, int, str, str], str]]] = {}
    answers: list[Placed | Waiting] = []
    for request in requests:
        key = (request.host_node, request.host_cluster)
        if key not in queues:
            queues[key] = [(room.rank(), host_id) for host_id, room in rooms.items() if _allowed(request, room.host)]
            heapq.heapify(queues[key])
        answers.append(_place_one(request, queues[key], rooms))
    return answers


def _allowed(request: PlacementRequest, host: Host) -> bool:
    if request.host_node is not None and host.node_id != request.host_node:
        return False
    return request.host_cluster is None or host.cluster_id == request.host_cluster


def _place_one(
    request: PlacementRequest, queue: list[tuple[tuple[float, int, str, str], str]], rooms: Mapping[str, _Room]
) -> Placed | Waiting:
    """Take the best host of the queue that fits; its rank is refreshed lazily, as other requests may have filled it."""
    passed: list[tuple[tuple[float, int, str, str], str]] = []
    refusals: list[Unfit] = []
    chosen: _Room | None = None
    while queue:
        rank, host_id = heapq.heappop(queue)
        room = rooms[host_id]
        if rank != room.rank():
            heapq.heappush(queue, (room.rank(), host_id))
            continue
        unfit = room.unfit(request)
        if unfit is None:
            chosen = room
            break
        refusals.append(unfit)
        passed.append((rank, host_id))
    total = len(passed) + len(queue) + (chosen is not None)
    for entry in passed:
        heapq.heappush(queue, entry)
    if chosen is None:
        return Waiting(request.node_id, _sentence(request, refusals), tuple(refusals))
    chosen.take(request)
    heapq.heappush(queue, (chosen.rank(), chosen.host.node_id))
    summary = f"spread: {chosen.host.name} had the smallest reserved share of {total} hosts"
    return Placed(request.node_id, chosen.host.node_id, summary)


def _sentence(request: PlacementRequest, refusals: Sequence[Unfit]) -> str:
    """``0 of 12 hosts fit: memory short on 9 (h3 has 512 MiB of 2048 MiB memory unreserved, 1024 MiB needed); …``."""
    if not refusals:
        where = "the host node" if request.host_node is not None else "the host cluster"
        return f"0 of 0 hosts fit: {where} named by the profile has no usable host; add one with `spinney host add`"
    words = {"state": "not ready", "cpu": "cpu short", "memory": "memory short", "port": "port taken"}
    parts = []
    for rule, word in words.items():
        failed = [refusal for refusal in refusals if refusal.rule == rule]
        if failed:
            needed = f", {failed[0].needed} needed" if rule in ("cpu", "memory") else ""
            parts.append(f"{word} on {len(failed)} ({failed[0].text}{needed})")
    return f"0 of {len(refusals)} hosts fit: " + "; ".join(parts)


def _mib(size: int) -> str:
    return f"{size / 2**20:.0f} MiB"
