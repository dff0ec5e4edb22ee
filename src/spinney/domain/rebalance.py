"""Which containers to move so that hosts become evenly filled: few moves, each gaining as much as one move can.

A host's *fill* is the larger of its reserved shares of CPU and memory. The *imbalance* of hosts is how far the one that is
farthest from the mean fill is from it: an empty host among full ones counts the same, however many hosts there are.

Guaranteed: every move goes where the scheduler itself would put the container now, while its old room is still taken (so the
new container can be there first), and brings the fills closer together by at least ``LEAST_GAIN``; hosts whose imbalance is
not above the threshold are left alone, and so is what is on hosts that are not ready. Not guaranteed: the least number of
moves that there is; the best next one is taken each time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spinney.domain.budget import Purse
from spinney.domain.host import Host, HostState
from spinney.domain.placement.answers import Placed
from spinney.domain.placement.model import Occupant, PlacementRequest
from spinney.domain.placement.scheduler import Fleet

MAX_MOVES = 10
#: A move that takes less from the sum of the squared distances from the mean is not worth a container's restart: with hosts
#: that are 20 % apart, one that fills 1.3 % of a host.
LEAST_GAIN = 0.005
#: Only what is on the fullest hosts is tried: from the others nothing gains more.
_SOURCES = 8


@dataclass(frozen=True, slots=True)
class Movable:
    """A container that may move, with what it holds where it is."""

    name: str
    request: PlacementRequest
    occupant: Occupant


@dataclass(frozen=True, slots=True)
class Move:
    """``fills``: of the host it leaves, before and after, and of the host it goes to, before and after."""

    node_id: str
    name: str
    source: str  # host ids
    target: str
    fills: tuple[float, float, float, float]

    @property
    def gain(self) -> float:
        """By how much the two hosts come closer."""
        source, source_after, target, target_after = self.fills
        return (source - target) - (source_after - target_after)


@dataclass(frozen=True, slots=True)
class Advice:
    """``before`` and ``after``: the imbalance without and with all of the moves, 0 for none."""

    before: float
    after: float
    moves: tuple[Move, ...]


def choose(
    fleet: Fleet, hosts: Iterable[Host], movables: Sequence[Movable], *, threshold: float, max_moves: int
) -> Advice:
    """``fleet`` has those hosts, and is changed as if the moves had been made."""
    fills = _Fills(hosts)
    before = fills.imbalance()
    waiting = _by_kind(movable for movable in movables if movable.occupant.host_id in fills.ready)
    moves: list[Move] = []
    while before > threshold and len(moves) < max_moves:
        best: tuple[float, _Kind, str] | None = None
        for kind in _candidates(waiting, fills):
            target = _try(fleet, waiting[kind][0])
            gain = -1.0 if target is None else fills.gain(waiting[kind][0].occupant, target)
            if target is not None and (best is None or gain > best[0] + 1e-12):
                best = (gain, kind, target)
        if best is None or best[0] < LEAST_GAIN:
            break
        _, kind, target = best
        movable = waiting[kind].pop(0)
        if not waiting[kind]:
            del waiting[kind]
        fleet.enter(replace(movable.occupant, host_id=target))
        fleet.leave(movable.occupant)
        moves.append(
            Move(
                movable.request.node_id,
                movable.name,
                movable.occupant.host_id,
                target,
                fills.move(movable.occupant, target),
            )
        )
    return Advice(before, fills.imbalance(), tuple(moves))


@dataclass(frozen=True, slots=True)
class Present:
    """A container that was chosen to move, as it is when its turn comes."""

    host_id: str | None
    cluster_id: str
    serving: bool
    busy: bool


@dataclass(frozen=True, slots=True)
class Turn:
    """``start``: places in the list of those that begin now; ``next``: the first that has not had its turn; ``held``: what
    that one waits for, other than for the end of others."""

    start: tuple[int, ...]
    next: int
    held: str = ""


def take_turns(
    moves: Sequence[tuple[str, str]], first: int, present: Mapping[str, Present], purse: Purse, free: int
) -> Turn:
    """At most ``free`` of the moves (node and the host it is to leave) from ``first`` on, in their order; one that makes no
    sense any more, because the container is gone, elsewhere or at something else, is passed over."""
    start: list[int] = []
    for place in range(first, len(moves)):
        if len(start) >= free:
            return Turn(tuple(start), place)
        node_id, source = moves[place]
        node = present.get(node_id)
        if node is None or node.host_id != source or node.busy:
            continue
        held = purse.spend(node.cluster_id, serving=node.serving)
        if held is not None:
            return Turn(tuple(start), place, held)
        start.append(place)
    return Turn(tuple(start), len(moves))


def imbalance(hosts: Iterable[Host]) -> float:
    return _Fills(hosts).imbalance()


def sources(hosts: Iterable[Host], max_moves: int) -> list[str]:
    """The ids of the hosts that so many moves can come from: what is on others need not be known."""
    fills = _Fills(hosts)
    return fills.fullest(fills.ready, _SOURCES + max_moves)


#: Containers alike in everything that the scheduler looks at: trying one of them tries all.
_Kind = tuple[Any, ...]


def _by_kind(movables: Iterable[Movable]) -> dict[_Kind, list[Movable]]:
    found: dict[_Kind, list[Movable]] = defaultdict(list)
    for movable in movables:
        request = movable.request
        kind = (movable.occupant.host_id, request.workload, request.profile_id, request.cpu, request.memory)
        found[kind].append(movable)
    return found


def _candidates(waiting: Mapping[_Kind, list[Movable]], fills: _Fills) -> list[_Kind]:
    sources = set(fills.fullest({kind[0] for kind in waiting}, _SOURCES))
    return [kind for kind in waiting if kind[0] in sources]


def _try(fleet: Fleet, movable: Movable) -> str | None:
    """Where it would go; everything is as before afterwards."""
    (answer,) = fleet.place([movable.request])
    if not isinstance(answer, Placed):
        return None
    fleet.leave(replace(movable.occupant, host_id=answer.host_id))
    return answer.host_id


class _Fills:
    """How full the ready hosts are, as moves change it."""

    def __init__(self, hosts: Iterable[Host]) -> None:
        self.ready = {host.node_id: host for host in hosts if host.state is HostState.READY}
        self._held = {host_id: (host.reserved_cpu, host.reserved_memory) for host_id, host in self.ready.items()}
        self._fill = {host_id: self._of(host_id, *held) for host_id, held in self._held.items()}

    def imbalance(self) -> float:
        if not self._fill:
            return 0.0
        mean = sum(self._fill.values()) / len(self._fill)
        return max(abs(fill - mean) for fill in self._fill.values())

    def gain(self, occupant: Occupant, target: str) -> float:
        """What moving it takes from the sum of the squared distances from the mean."""
        before, count = (self._fill[occupant.host_id], self._fill[target]), len(self._fill)
        after = self._after(occupant, target)
        total = sum(self._fill.values())
        shifted = total - sum(before) + sum(after)
        return sum(f * f for f in before) - sum(f * f for f in after) - (total**2 - shifted**2) / count

    def move(self, occupant: Occupant, target: str) -> tuple[float, float, float, float]:
        source = occupant.host_id
        before, after = (self._fill[source], self._fill[target]), self._after(occupant, target)
        for host_id, sign in ((source, -1), (target, 1)):
            cpu, memory = self._held[host_id]
            self._held[host_id] = (cpu + sign * occupant.cpu, memory + sign * occupant.memory)
        self._fill[source], self._fill[target] = after
        return before[0], after[0], before[1], after[1]

    def fullest(self, among: Iterable[str], count: int) -> list[str]:
        return sorted(among, key=lambda host_id: (-self._fill[host_id], host_id))[:count]

    def _after(self, occupant: Occupant, target: str) -> tuple[float, float]:
        cpu, memory = self._held[occupant.host_id]
        more_cpu, more_memory = self._held[target]
        return (
            self._of(occupant.host_id, cpu - occupant.cpu, memory - occupant.memory),
            self._of(target, more_cpu + occupant.cpu, more_memory + occupant.memory),
        )

    def _of(self, host_id: str, cpu: float, memory: int) -> float:
        host = self.ready[host_id]
        of_cpu = cpu / host.cpu if host.cpu > 0 else 1.0
        of_memory = memory / host.memory if host.memory > 0 else 1.0
        return max(of_cpu, of_memory)
