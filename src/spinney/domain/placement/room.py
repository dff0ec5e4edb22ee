"""Hosts as a batch fills them, and how many members of each workload the groups of hosts have."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from spinney.domain.host import Host
from spinney.domain.placement.model import Port, Surroundings
from spinney.domain.placement.rules import Quota

#: Sums of cores are compared with this tolerance, so that ten times 0.1 fits into 1.
EPSILON = 1e-9

#: What hosts are grouped by: a key, or the groups of a quota.
Grouping = str | Quota
#: All hosts as one group, for the members that a workload has in all.
EVERYWHERE = "everywhere"


class Room:
    """One host with what is reserved on it so far. ``residents`` and ``networks`` are shared until they change."""

    __slots__ = (
        "containers",
        "cpu",
        "cpu_part",
        "host",
        "id",
        "memory",
        "memory_part",
        "name",
        "networks",
        "pending_cpu",
        "pending_memory",
        "ports",
        "residents",
        "setbacks",
    )

    def __init__(self, host: Host, around: Surroundings, before: Room | None = None) -> None:
        """``before``: the same host as it was known until now, whose ports, residents and networks stay."""
        self.host = host
        self.id = host.node_id
        self.name = host.name
        self.cpu = host.reserved_cpu
        self.memory = host.reserved_memory
        self.containers = host.containers
        self.cpu_part = 1 / host.cpu if host.cpu > 0 else 0.0
        self.memory_part = 1 / host.memory if host.memory > 0 else 0.0
        #: Reserved since the host was last measured.
        self.pending_cpu = 0.0
        self.pending_memory = 0
        self.setbacks: Mapping[str, int] = around.setbacks.get(self.id, {})
        self.ports: Collection[Port]
        self.residents: Mapping[str, int]
        self.networks: Collection[str]
        if before is None:
            self.ports = around.ports.get(self.id, ())
            self.residents = around.residents.get(self.id, {})
            self.networks = around.networks.get(self.id, ())
        else:
            self.ports, self.residents, self.networks = before.ports, before.residents, before.networks
            if host.sampled_at == before.host.sampled_at:
                self.pending_cpu, self.pending_memory = before.pending_cpu, before.pending_memory

    def take(self, cpu: float, memory: int, ports: Iterable[Port], workload: str, project: str | None) -> None:
        """``project``: whose bridge it needs."""
        self.cpu += cpu
        self.memory += memory
        self.pending_cpu += cpu
        self.pending_memory += memory
        self.containers += 1
        if ports:
            self.ports = {*self.ports, *ports}
        if workload:
            self.residents = {**self.residents, workload: self.residents.get(workload, 0) + 1}
        if project is not None and project not in self.networks:
            self.networks = {*self.networks, project}

    def give_back(self, cpu: float, memory: int, ports: Iterable[Port], workload: str) -> None:
        """Adding and subtracting floats leaves dust; it must not become a reservation, let alone a negative one."""
        left = self.cpu - cpu
        self.cpu = left if left > EPSILON else 0.0
        self.memory = max(self.memory - memory, 0)
        self.pending_cpu -= cpu
        self.pending_memory -= memory
        self.containers = max(self.containers - 1, 0)
        if ports:
            self.ports = set(self.ports).difference(ports)
        if self.residents.get(workload, 0) > 1:
            self.residents = {**self.residents, workload: self.residents[workload] - 1}
        elif workload in self.residents:
            self.residents = {name: count for name, count in self.residents.items() if name != workload}


def group_of(host: Host, by: Grouping) -> str | None:
    """None: the host is in no group."""
    if isinstance(by, Quota):
        return _share_of(host, by)
    if by == "host":
        return host.node_id
    if by == "zone":
        return host.zone
    if by == "region":
        return host.region
    if by == EVERYWHERE:
        return by
    return host.labels.get(by.removeprefix("label:"))


def _share_of(host: Host, quota: Quota) -> str | None:
    own = host.zone if quota.key == "zone" else host.region
    for share in quota.shares:
        if share.hosts:
            if host.answers_to(share.hosts, quota.viewer):
                return share.name
        elif own == share.name:
            return share.name
    return None


class Tally:
    """Members of each workload in each group of one grouping."""

    def __init__(self, by: Grouping, rooms: Iterable[Room]) -> None:
        self._by = by
        self._groups: dict[str, str | None] = {}
        self._counts: dict[str, dict[str | None, int]] = defaultdict(lambda: defaultdict(int))
        for room in rooms:
            self.join(room)

    def join(self, room: Room) -> None:
        group = self._groups[room.id] = group_of(room.host, self._by)
        for workload, count in room.residents.items():
            self._counts[workload][group] += count

    def part(self, room: Room) -> None:
        group = self._groups.pop(room.id)
        for workload, count in room.residents.items():
            self._counts[workload][group] -= count

    def note(self, room: Room, workload: str, change: int) -> None:
        self._counts[workload][self._groups[room.id]] += change

    def count(self, workloads: Iterable[str], group: str | None) -> int:
        """Members of all these workloads."""
        found = 0
        for workload in workloads:
            if workload in self._counts:
                found += self._counts[workload].get(group, 0)
        return found

    def group(self, host_id: str) -> str | None:
        return self._groups.get(host_id)


class Census:
    """The tallies that anybody asked for so far, each counted once and kept up to date from then on."""

    def __init__(self, rooms: Mapping[str, Room]) -> None:
        self._rooms = rooms
        self._tallies: dict[Grouping, Tally] = {}

    def by(self, grouping: Grouping) -> Tally:
        tally = self._tallies.get(grouping)
        if tally is None:
            tally = self._tallies[grouping] = Tally(grouping, self._rooms.values())
        return tally

    def residents(self, host_id: str, workloads: Iterable[str]) -> int:
        room = self._rooms.get(host_id)
        return sum(room.residents.get(workload, 0) for workload in workloads) if room is not None else 0

    def join(self, room: Room) -> None:
        for tally in self._tallies.values():
            tally.join(room)

    def part(self, room: Room) -> None:
        for tally in self._tallies.values():
            tally.part(room)

    def note(self, room: Room, workload: str, change: int) -> None:
        for tally in self._tallies.values():
            tally.note(room, workload, change)
