"""Where container nodes go: requests × hosts × rules → placements or reasons.

Pure and deterministic: equal input gives equal output, in whatever order requests and hosts come. Guaranteed for every
placement returned: the host breaks no hard rule and has the reserved room, counted with all placements before it; and the
explanation stored with it is what the choice was made from. A single request is placed whenever one host fits; so one host
more never makes a single request unplaceable. For a batch that holds as far as its requests are of one kind and under no hard
quota or affinity: then each host takes what it can, whatever the others do. A batch of several kinds is placed greedily, so
there one host more may lead to an order of filling in which a later request finds no room.

Order within a batch: requests that few hosts can take come before those that many can (counted in powers of two), the larger
before the smaller, measured by the larger part of what all hosts of the fleet have together. Requests under ``binpack``
take turns as ``packing`` says. Names decide only between equals.

Of the hosts that fit, the best is taken. Hosts are compared by these, in this order, and the first difference decides:

1. ``setbacks``: hosts where this profile failed ``SETBACKS_TOO_MANY`` times lately come last, so they are used only while
   no other host fits;
2. ``quota``: 2 for each soft quota that has no room in the host's group, 1 where the node is in that group already;
3. ``spread_over``: members of the workload in the host's group;
4. ``affinity``: for each soft rule to be apart, the members it is about in the host's group; for each soft rule to be
   together, 1 if there is none in the group but somewhere else;
5. ``prefer``: the weights of the preferences that its labels do not satisfy;
6. the strategy's class and value, see ``scores``;
7. the fewer containers, then the name, then the id.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from spinney.domain.host import Host
from spinney.domain.placement.answers import Placed, Waiting
from spinney.domain.placement.kinds import Kind, Verdict
from spinney.domain.placement.model import Occupant, PlacementRequest, Surroundings
from spinney.domain.placement.packing import pack
from spinney.domain.placement.room import EVERYWHERE, Census, Room
from spinney.domain.placement.rules import NO_RULES, PlacementRules
from spinney.domain.placement.runs import Run

#: Kinds of requests whose verdicts are kept from batch to batch; what is not asked for longest is forgotten.
_KINDS_KEPT = 32
#: More kinds than that do not take turns: each turn asks all of them.
_PACKED_TOGETHER = 64
#: The journal is cut when it is that many times as long as there are hosts; who has not read so far begins anew.
_JOURNAL_LIMIT = 4


class Fleet:
    """Hosts as they are filled. Not safe for use from two threads at once."""

    def __init__(self, hosts: Iterable[Host], surroundings: Surroundings) -> None:
        """``surroundings`` are kept: its ``now`` may be set before each batch."""
        self._around = surroundings
        self._rooms: dict[str, Room] = {}
        self._clusters: dict[str, dict[str, Room]] = {}
        self._census = Census(self._rooms)
        self._kinds: OrderedDict[Hashable, Kind] = OrderedDict()
        self._journal: list[str] = []
        self._cut = 0
        self._troubled: set[str] = set()
        #: CPU and memory of all hosts; None: to be summed again.
        self._capacity: tuple[float, float] | None = None
        for host in hosts:
            self.put(host)

    # --- hosts ------------------------------------------------------------------------------------------------------

    def put(self, host: Host) -> None:
        """A host joins, or is known anew: its reservations are then those given, its ports, members and bridges stay."""
        before = self._rooms.get(host.node_id)
        if before is not None:
            self._census.part(before)
            del self._clusters[before.host.cluster_id][before.id]
        room = Room(host, self._around, before)
        self._rooms[room.id] = room
        self._clusters.setdefault(host.cluster_id, {})[room.id] = room
        self._census.join(room)
        self._capacity = None
        self._troubled.update(room.setbacks)
        self._note(room.id)

    def drop(self, host_id: str) -> None:
        """A host goes, with everything on it. One that is not there is no matter."""
        room = self._rooms.get(host_id)
        if room is not None:
            self._census.part(room)
            del self._rooms[host_id]
            self._capacity = None
            del self._clusters[room.host.cluster_id][host_id]
            self._note(host_id)

    def enter(self, occupant: Occupant) -> None:
        """Whether it fits is not asked. On a host that is not there nothing happens."""
        room = self._rooms.get(occupant.host_id)
        if room is not None:
            project = occupant.project or None
            room.take(occupant.cpu, occupant.memory, occupant.ports, occupant.workload, project)
            self._census.note(room, occupant.workload, 1)
            self._note(room.id)

    def leave(self, occupant: Occupant) -> None:
        """Room is given back; the project's bridge stays. On a host that is not there nothing happens."""
        room = self._rooms.get(occupant.host_id)
        if room is not None:
            known = occupant.workload in room.residents
            room.give_back(occupant.cpu, occupant.memory, occupant.ports, occupant.workload)
            if known:
                self._census.note(room, occupant.workload, -1)
            self._note(room.id)

    def _note(self, host_id: str) -> None:
        self._journal.append(host_id)

    # --- placing ----------------------------------------------------------------------------------------------------

    def place(self, requests: Sequence[PlacementRequest]) -> list[Placed | Waiting]:
        """One answer per request, in their order. The fleet is filled by those placed. Node ids are distinct."""
        runs = [
            Run(self._kind(key, run), sorted(run, key=_node_id), self._census)
            for key, run in _Sorter(self._troubled, self._around.network_limit > 0).runs(requests).items()
        ]
        for run in runs:
            run.members = self._members(run, runs)
            self._catch_up(run)
        ordered = sorted([(self._urgency(run), run) for run in runs], key=_first)
        for several in _together(ordered):
            for run in several:
                self._catch_up(run)
                run.begin()
            if len(several) > 1:
                pack(several, self._place)
            else:
                self._place_all(several[0])
        self._trim()
        answers = {answer.node_id: answer for run in runs for answer in run.answers}
        return [answers[request.node_id] for request in requests]

    def _place(self, run: Run, verdict: Verdict) -> None:
        run.place(verdict)
        self._journal.append(verdict.room.id)

    def _place_all(self, run: Run) -> None:
        while run.left():
            verdict = run.best()
            if verdict is None:
                run.wait()
            else:
                self._place(run, verdict)
        run.kind.position = self._cut + len(self._journal)

    def _kind(self, key: Hashable, run: Sequence[PlacementRequest]) -> Kind:
        kind = self._kinds.get(key)
        if kind is None:
            request = run[0]
            if request.profile_id not in self._troubled:
                request = replace(request, profile_id="")
            kind = self._kinds[key] = Kind(request, self._around.network_limit)
        self._kinds.move_to_end(key)
        return kind

    def _members(self, run: Run, runs: Sequence[Run]) -> int:
        request = run.requests[0]
        if request.members or not request.rules.quotas:
            return request.members
        asked = sum(len(one.requests) for one in runs if one.requests[0].workload == request.workload)
        return asked + self._census.by(EVERYWHERE).count((request.workload,), EVERYWHERE)

    def _catch_up(self, run: Run) -> None:
        kind = run.kind
        changed = None
        if kind.position >= self._cut:
            changed = dict.fromkeys(self._journal[kind.position - self._cut :])
        kind.begin(self._allowed(run.requests[0]), changed, self._census, self._around.now, run.members)
        kind.position = self._cut + len(self._journal)

    def _allowed(self, request: PlacementRequest) -> Mapping[str, Room]:
        rooms = self._rooms
        if request.host_cluster is not None:
            rooms = self._clusters.get(request.host_cluster, {})
        for one in (request.host_node, request.only):
            if one is not None:
                rooms = {one: rooms[one]} if one in rooms else {}
        return rooms

    def _urgency(self, run: Run) -> _Urgency:
        request = run.requests[0]
        if self._capacity is None:
            hosts = [room.host for room in self._rooms.values()]
            self._capacity = sum([host.cpu for host in hosts]) or 1.0, sum([host.memory for host in hosts]) or 1.0
        cpu, memory = request.cpu / self._capacity[0], request.memory / self._capacity[1]
        return run.kind.fitting().bit_length(), -max(cpu, memory), -cpu - memory, request.node_id

    def _trim(self) -> None:
        if len(self._journal) > _JOURNAL_LIMIT * len(self._rooms) + 1024:
            gone = len(self._journal) // 2
            del self._journal[:gone]
            self._cut += gone
        while len(self._kinds) > _KINDS_KEPT:
            self._kinds.popitem(last=False)


def _node_id(request: PlacementRequest) -> str:
    return request.node_id


#: Few fitting hosts first, then large size, then names.
_Urgency = tuple[int, float, float, str]


def _first(one: tuple[_Urgency, Run]) -> _Urgency:
    return one[0]


def _together(ordered: Sequence[tuple[_Urgency, Run]]) -> list[list[Run]]:
    """Neighbours that may be packed together, for which about as many hosts fit; the others by themselves.

    Of very many kinds each part gets large and small ones.
    """
    found: list[list[Run]] = []
    level = None
    for (fitting, *_), run in ordered:
        if run.kind.packs() and level == fitting:
            found[-1].append(run)
        else:
            found.append([run])
            level = fitting if run.kind.packs() else None
    parts = [(runs, -(-len(runs) // _PACKED_TOGETHER)) for runs in found]
    return [runs[start::count] for runs, count in parts for start in range(count)]


class _Sorter:
    """Requests by what placement makes a difference between; who asks is no difference where no rule asks for it."""

    def __init__(self, troubled: set[str], networks: bool) -> None:
        self._troubled = troubled
        self._networks = networks
        self._rules: dict[int, Hashable] = {id(NO_RULES): None}

    def runs(self, requests: Sequence[PlacementRequest]) -> dict[Hashable, list[PlacementRequest]]:
        found: dict[Hashable, list[PlacementRequest]] = {}
        for request in requests:
            key = self._key(request)
            if key in found:
                found[key].append(request)
            else:
                found[key] = [request]
        return found

    def _key(self, request: PlacementRequest) -> Hashable:
        rules = request.rules
        if id(rules) not in self._rules:
            self._rules[id(rules)] = _hashable(rules)
        return (
            request.cpu,
            request.memory,
            request.host_node,
            request.host_cluster,
            request.ports,
            request.only,
            request.exclude,
            request.volumes,
            tuple(sorted(request.needs.items())) if request.needs else None,
            self._rules[id(rules)],
            (request.workload, request.members, request.counted_on) if _counts(rules) else None,
            request.profile_id if request.profile_id in self._troubled else None,
            request.project if request.networked and self._networks else request.networked,
        )


def _counts(rules: PlacementRules) -> bool:
    """Whether members of the request's own workload matter."""
    return rules is not NO_RULES and bool(
        rules.quotas or rules.affinities or rules.spread_over is not None or rules.max_per_host is not None
    )


def _hashable(rules: PlacementRules) -> Hashable:
    if rules == NO_RULES:
        return None
    values: list[Any] = [getattr(rules, name) for name in rules.__slots__ if name != "weights"]
    return (*values, tuple(sorted(rules.weights.items())))
