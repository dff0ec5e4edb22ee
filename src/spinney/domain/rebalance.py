"""Which containers to move so that hosts become evenly filled: few moves, each gaining as much as one move can.

Guaranteed: every move goes where the scheduler itself would put the container now, while its old room is still taken (so the
new container can be there first), and lowers the imbalance by at least ``LEAST_GAIN``; hosts whose imbalance is not above the
threshold are left alone. Not guaranteed: the least number of moves that there is; the best next one is taken each time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spinney.domain.host import Host
from spinney.domain.placement.model import Occupant, Placed, PlacementRequest
from spinney.domain.placement.scheduler import Fleet

MAX_MOVES = 10
#: A move that gains less is not worth a container's restart.
LEAST_GAIN = 0.005
#: Only the fullest hosts are looked at for something to move: from the others nothing gains more.
_SOURCES = 8


@dataclass(frozen=True, slots=True)
class Movable:
    """A container that may move, with what it holds where it is."""

    name: str
    request: PlacementRequest
    occupant: Occupant


@dataclass(frozen=True, slots=True)
class Move:
    node_id: str
    name: str
    source: str  # host ids
    target: str
    gain: float


@dataclass(frozen=True, slots=True)
class Advice:
    """``before`` and ``after``: the imbalance without and with all of the moves, 0 for none."""

    before: float
    after: float
    moves: tuple[Move, ...]

    @property
    def gain(self) -> float:
        return self.before - self.after


def choose(
    fleet: Fleet, hosts: Iterable[Host], movables: Sequence[Movable], *, threshold: float, max_moves: int
) -> Advice:
    """``fleet`` is changed as if the moves had been made."""
    before = now = fleet.imbalance()
    fill = _Fill(hosts)
    waiting = _by_kind(movables)
    moves: list[Move] = []
    while before > threshold and len(moves) < max_moves:
        best: tuple[float, Movable, str] | None = None
        for kind in _candidates(waiting, fill):
            movable = waiting[kind][0]
            trial = _try(fleet, movable)
            if trial is not None and (best is None or now - trial[0] > best[0] + 1e-9):
                best = (now - trial[0], movable, trial[1])
        if best is None or best[0] < LEAST_GAIN:
            break
        gain, movable, target = best
        _make(fleet, movable, target)
        fill.move(movable.occupant, target)
        _take(waiting, movable)
        now = fleet.imbalance()
        moves.append(Move(movable.request.node_id, movable.name, movable.occupant.host_id, target, gain))
    return Advice(before, now, tuple(moves))


#: Containers alike in everything that the scheduler looks at: trying one of them tries all.
_Kind = tuple[Any, ...]


def _by_kind(movables: Iterable[Movable]) -> dict[_Kind, list[Movable]]:
    found: dict[_Kind, list[Movable]] = defaultdict(list)
    for movable in movables:
        request = movable.request
        kind = (movable.occupant.host_id, request.workload, request.profile_id, request.cpu, request.memory)
        found[kind].append(movable)
    return found


def _candidates(waiting: Mapping[_Kind, list[Movable]], fill: _Fill) -> list[_Kind]:
    sources = set(fill.fullest({kind[0] for kind in waiting}, _SOURCES))
    return [kind for kind in waiting if kind[0] in sources]


def _take(waiting: dict[_Kind, list[Movable]], movable: Movable) -> None:
    for kind in [kind for kind, group in waiting.items() if group[0] is movable]:
        waiting[kind].pop(0)
        if not waiting[kind]:
            del waiting[kind]


def _try(fleet: Fleet, movable: Movable) -> tuple[float, str] | None:
    """The imbalance after moving it, and where it would go; everything is as before afterwards."""
    (answer,) = fleet.place([movable.request])
    if not isinstance(answer, Placed):
        return None
    moved = replace(movable.occupant, host_id=answer.host_id)
    fleet.leave(movable.occupant)
    after = fleet.imbalance()
    fleet.enter(movable.occupant)
    fleet.leave(moved)
    return after, answer.host_id


def _make(fleet: Fleet, movable: Movable, target: str) -> None:
    fleet.enter(replace(movable.occupant, host_id=target))
    fleet.leave(movable.occupant)


class _Fill:
    """How full hosts are, as moves change it."""

    def __init__(self, hosts: Iterable[Host]) -> None:
        self._hosts = {host.node_id: host for host in hosts}
        self._cpu = {host_id: host.reserved_cpu for host_id, host in self._hosts.items()}
        self._memory = {host_id: host.reserved_memory for host_id, host in self._hosts.items()}

    def move(self, occupant: Occupant, target: str) -> None:
        for host_id, sign in ((occupant.host_id, -1), (target, 1)):
            if host_id in self._hosts:
                self._cpu[host_id] += sign * occupant.cpu
                self._memory[host_id] += sign * occupant.memory

    def fullest(self, among: Iterable[str], count: int) -> list[str]:
        return sorted((host_id for host_id in among if host_id in self._hosts), key=self._order)[:count]

    def _order(self, host_id: str) -> tuple[float, str]:
        host = self._hosts[host_id]
        cpu = self._cpu[host_id] / host.cpu if host.cpu > 0 else 1.0
        memory = self._memory[host_id] / host.memory if host.memory > 0 else 1.0
        return (-max(cpu, memory), host_id)
