"""Whom a waiting container of a more important cluster pushes out: pure.

Guaranteed: only containers of lower priority, all on one host, and none of them could have stayed; once they are gone the
scheduler itself places the request there; the fleet is left as it was. Of the hosts tried, that is taken whose most important
victim is the least important, then the one with the fewest victims, then with the least memory among them. Not guaranteed:
that there is no better host among those beyond the ``_HOSTS_TRIED`` with the most room to win.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from spinney.domain.host import Host
from spinney.domain.placement.answers import Placed
from spinney.domain.placement.model import Occupant, PlacementRequest
from spinney.domain.placement.scheduler import Fleet

_HOSTS_TRIED = 64
_EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class Tenant:
    """A container that might be pushed out, and what it holds of its host."""

    node_id: str
    name: str
    priority: int
    occupant: Occupant


@dataclass(frozen=True, slots=True)
class Eviction:
    host_id: str
    victims: tuple[Tenant, ...]

    def order(self) -> tuple[int, int, int, str]:
        worst = max(tenant.priority for tenant in self.victims)
        return worst, len(self.victims), sum(tenant.occupant.memory for tenant in self.victims), self.host_id


def choose(
    fleet: Fleet, hosts: Iterable[Host], request: PlacementRequest, priority: int, tenants: Iterable[Tenant]
) -> Eviction | None:
    """``request`` fits nowhere, and has this priority; None: nobody's leaving would change that."""
    lower: dict[str, list[Tenant]] = defaultdict(list)
    for tenant in tenants:
        if tenant.priority < priority:
            lower[tenant.occupant.host_id].append(tenant)
    found = [_on_host(fleet, host, request, lower[host.node_id]) for host in _promising(hosts, request, lower)]
    return min((eviction for eviction in found if eviction is not None), key=Eviction.order, default=None)


def carry_out(fleet: Fleet, request: PlacementRequest, eviction: Eviction) -> None:
    """The fleet as it is once the victims are gone and the request is where they were."""
    for tenant in eviction.victims:
        fleet.leave(tenant.occupant)
    fleet.enter(_as_occupant(request, eviction.host_id))


def _promising(
    hosts: Iterable[Host], request: PlacementRequest, lower: Mapping[str, Sequence[Tenant]]
) -> Sequence[Host]:
    """The hosts where there would be room enough, those with the most first."""
    rooms: list[tuple[float, str, Host]] = []
    for host in hosts:
        leaving = [tenant.occupant for tenant in lower.get(host.node_id, ())]
        cpu = host.cpu - host.reserved_cpu + sum(one.cpu for one in leaving)
        memory = host.memory - host.reserved_memory + sum(one.memory for one in leaving)
        if leaving and cpu + _EPSILON >= request.cpu and memory >= request.memory:
            rooms.append((-cpu / max(host.cpu, _EPSILON), host.node_id, host))
    return [host for _, _, host in sorted(rooms, key=lambda room: room[:2])[:_HOSTS_TRIED]]


def _on_host(fleet: Fleet, host: Host, request: PlacementRequest, tenants: Sequence[Tenant]) -> Eviction | None:
    """Take the least important away until the request fits; then give back, the most important first, whoever can stay."""
    here = replace(request, only=host.node_id)
    gone: list[Tenant] = []
    fits = False
    for tenant in sorted(tenants, key=lambda one: (one.priority, -one.occupant.memory, -one.occupant.cpu, one.node_id)):
        fleet.leave(tenant.occupant)
        gone.append(tenant)
        fits = _fits(fleet, here)
        if fits:
            break
    needed: list[Tenant] = []
    for tenant in sorted(gone, key=lambda one: (-one.priority, -one.occupant.memory, one.node_id)):
        fleet.enter(tenant.occupant)
        if fits and not _fits(fleet, here):
            fleet.leave(tenant.occupant)
            needed.append(tenant)
    for tenant in needed:
        fleet.enter(tenant.occupant)
    return Eviction(host.node_id, tuple(needed)) if needed else None


def _fits(fleet: Fleet, request: PlacementRequest) -> bool:
    """The fleet is as before afterwards."""
    (answer,) = fleet.place([request])
    if not isinstance(answer, Placed):
        return False
    fleet.leave(_as_occupant(request, answer.host_id))
    return True


def _as_occupant(request: PlacementRequest, host_id: str) -> Occupant:
    return Occupant(host_id, request.cpu, request.memory, request.workload, request.ports, request.project)
