"""How many hosts a host cluster gains for containers that wait, and which empty ones it gives back: pure.

Guaranteed: never more hosts than the policy's maximum, nor more machines than there are; only as many as it takes for one more
waiting container to be placed by the scheduler itself, on a machine such as the next ones are expected to be; never fewer than
the minimum; no host whose going would leave the next member of any cluster without room; nothing within the cooldown of the
last change. Machines are taken in the order of the inventory, so one that helps nobody may be taken on the way to one that
does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spinney.domain.host import Host
from spinney.domain.placement.answers import Placed
from spinney.domain.placement.model import PlacementRequest, Surroundings
from spinney.domain.placement.scheduler import Fleet
from spinney.domain.policy import HostScaling

#: Hosts gained at a time.
_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Situation:
    """A host cluster as it is. ``size`` counts all members, joined or not; ``hosts`` are those that have joined."""

    rules: HostScaling
    size: int
    hosts: Sequence[Host]
    around: Surroundings
    changed_at: float | None
    now: float

    @property
    def cooling(self) -> bool:
        return self.changed_at is not None and self.now < self.changed_at + self.rules.cooldown


def grow(situation: Situation, machines: Sequence[Host], waiting: Sequence[PlacementRequest]) -> int:
    """``machines`` are the next ones of the inventory, as the hosts they are expected to be."""
    if situation.cooling or not waiting:
        return 0
    most = min(situation.rules.maximum - situation.size, len(machines), _AT_ONCE)
    best, placed = 0, _placed(situation.hosts, situation.around, waiting)
    for count in range(1, most + 1):
        if placed == len(waiting):
            break
        now_placed = _placed([*situation.hosts, *machines[:count]], situation.around, waiting)
        if now_placed > placed:
            best, placed = count, now_placed
    return best


def give_back(situation: Situation, idle: Sequence[str], likely: Sequence[PlacementRequest]) -> list[str]:
    """Which of the hosts that have been empty long enough go; ``idle`` in the order in which they should. ``likely``: for
    each cluster of containers there, its next member."""
    if situation.cooling:
        return []
    kept = list(situation.hosts)
    going: list[str] = []
    for host_id in idle:
        if situation.size - len(going) <= situation.rules.minimum:
            break
        without = [host for host in kept if host.node_id != host_id]
        if not any(_needs(request, kept, without, situation.around) for request in likely):
            kept = without
            going.append(host_id)
    return going


def _needs(request: PlacementRequest, kept: Sequence[Host], without: Sequence[Host], around: Surroundings) -> bool:
    return not _placed(without, around, [request]) and bool(_placed(kept, around, [request]))


def _placed(hosts: Sequence[Host], around: Surroundings, requests: Sequence[PlacementRequest]) -> int:
    return sum(isinstance(answer, Placed) for answer in Fleet(hosts, around).place(requests))
