"""What one kind of request makes of each host, kept up to date instead of asked anew.

A kind holds a verdict for every host that it may go to, and for each group of hosts a heap of the verdicts that fit. Whoever
changes a host writes its id into the fleet's journal; a kind reads on from where it stopped and asks anew about those hosts
alone. Superseded verdicts stay in the heaps and are dropped when they come up.

A *rank* is a tuple, smaller is better: setbacks, quota, spread_over, affinity, prefer, class and value of the strategy,
containers, name, id. Groups exist where rules count members over a key other than ``host``: what such a rule adds is the same
for all hosts of a group, so a group's best host is the top of its heap, and the best of all is the best of those.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from spinney.domain.placement.filters import BIT, RULES, Demand
from spinney.domain.placement.model import PlacementRequest
from spinney.domain.placement.room import Census, Room
from spinney.domain.placement.rules import Strategy
from spinney.domain.placement.scores import Scorer, draw, token
from spinney.domain.placement.terms import Term, penalties

Rank = tuple[Any, ...]
#: Where in a rank the strategy's part begins.
STRATEGY = 5


class Verdict:
    """One host as one kind sees it at one moment; never changed but for ``live``. ``rank`` is None where it does not fit."""

    __slots__ = ("group", "live", "mask", "rank", "room", "static")

    def __init__(self, room: Room, static: tuple[int, int], group: Group, mask: int, rank: Rank | None) -> None:
        self.room = room
        self.static = static
        self.group = group
        self.mask = mask
        self.rank = rank
        self.live = True


class Group:
    """Hosts for which the terms have one answer: ``mask`` of rules failed, ``extra`` to add to the rank."""

    __slots__ = ("best", "dirty", "extra", "heap", "index", "mask", "masks", "shunned", "values")

    def __init__(self, index: int, values: tuple[str | None, ...]) -> None:
        self.index = index
        self.values = values
        self.heap: list[tuple[Rank, int, Verdict]] = []
        self.mask = 0
        self.extra = (0, 0, 0)
        #: How many of its hosts fail which rules, by themselves.
        self.masks: dict[int, int] = {}
        #: How many of those that fit are to be avoided for recent failures there.
        self.shunned = 0
        self.best: Rank | None = None
        self.dirty = True

    def top(self) -> Verdict | None:
        heap = self.heap
        while heap and not heap[0][2].live:
            heapq.heappop(heap)
        return heap[0][2] if heap else None

    def full_rank(self, rank: Rank) -> Rank:
        quota, spread, affinity = self.extra
        return (rank[0], rank[1] + quota, rank[2] + spread, rank[3] + affinity, *rank[4:])


class Kind:
    """Verdicts are right after ``begin``, and stay so while only this kind takes room and says so by ``renew``."""

    def __init__(self, request: PlacementRequest, network_limit: int) -> None:
        self.demand = Demand(request, network_limit)
        self.scorer = Scorer(request.rules, request.cpu, request.memory)
        self.random = request.rules.strategy is Strategy.RANDOM
        self.verdicts: dict[str, Verdict] = {}
        self.groups: dict[tuple[str | None, ...], Group] = {}
        #: Up to where it has read the fleet's journal.
        self.position = -1
        #: Whether it ever met a host to be avoided for recent failures there.
        self.troubled = False
        self._serial = 0
        self._fresh_until = 0.0
        self._free: tuple[bool, ...] = ()
        self._tokens: dict[str, int] = {}

    # --- keeping up -------------------------------------------------------------------------------------------------

    def begin(
        self, rooms: Mapping[str, Room], changed: Iterable[str] | None, census: Census, now: float, members: int
    ) -> None:
        """``rooms`` are those it may go to; ``changed`` the hosts that changed, came or went since; None: all did.

        ``members``: how many the workload is to have in all.
        """
        terms = [*self.demand.terms, *self.demand.own_terms]
        for term in terms:
            term.prepare(members)
        self.scorer.now = now
        free = tuple([term.free(census) for term in terms])
        if changed is None or free != self._free or (self.scorer.measures and now > self._fresh_until):
            self._build(rooms, census)
        else:
            for host_id in changed:
                room = rooms.get(host_id)
                if room is not None:
                    self.renew(room, census)
                elif host_id in self.verdicts:
                    self._forget(host_id)
        self._free = free
        for group in self.groups.values():
            self._ask_terms(group, census)

    def _build(self, rooms: Mapping[str, Room], census: Census) -> None:
        self.verdicts, self.groups, self._serial = {}, {}, 0
        until = float("inf")
        for room in rooms.values():
            self._judge(room, None, census)
            if self.scorer.measures:
                until = min(until, self.scorer.known_until(room) or until)
        self._fresh_until = until
        for group in self.groups.values():
            heapq.heapify(group.heap)

    def renew(self, room: Room, census: Census) -> Verdict:
        before = self.verdicts.get(room.id)
        if self.scorer.measures:
            self._fresh_until = min(self._fresh_until, self.scorer.known_until(room) or self._fresh_until)
        if before is not None:
            self._retire(before)
        verdict = self._judge(room, before, census)
        group = verdict.group
        if verdict.rank is not None:
            last = group.heap.pop()
            heapq.heappush(group.heap, last)
        if len(group.heap) > 64 + 3 * group.masks.get(0, 0):
            group.heap = [entry for entry in group.heap if entry[2].live]
            heapq.heapify(group.heap)
        return verdict

    def _judge(self, room: Room, before: Verdict | None, census: Census) -> Verdict:
        """The new verdict is appended to its group's heap, to be brought into order by the caller."""
        demand = self.demand
        if before is not None and before.room is room:
            static, group = before.static, before.group
        else:
            static = demand.fixed(room.host), demand.unmet_preferences(room.host)
            group = self._group_for(demand.groups(room.host), census)
        filled, extra = demand.filled(room, census)
        mask = static[0] | filled
        if mask:
            verdict = Verdict(room, static, group, mask, None)
        else:
            quota, spread, affinity = extra or (0, 0, 0)
            shunned = 1 if room.setbacks and demand.troubled(room) else 0
            if shunned:
                group.shunned += 1
                self.troubled = True
            rank = (
                shunned,
                quota,
                spread,
                affinity,
                static[1],
                *self.scorer.score(room),
                room.containers,
                room.name,
                room.id,
            )
            verdict = Verdict(room, static, group, 0, rank)
            self._serial += 1
            group.heap.append((rank, self._serial, verdict))
        group.masks[mask] = group.masks.get(mask, 0) + 1
        group.dirty = True
        self.verdicts[room.id] = verdict
        return verdict

    def _retire(self, verdict: Verdict) -> None:
        verdict.live = False
        group = verdict.group
        group.masks[verdict.mask] -= 1
        group.dirty = True
        if verdict.rank is not None:
            group.shunned -= verdict.rank[0]

    def _forget(self, host_id: str) -> None:
        self._retire(self.verdicts.pop(host_id))

    def _group_for(self, values: tuple[str | None, ...], census: Census) -> Group:
        group = self.groups.get(values)
        if group is None:
            group = self.groups[values] = Group(len(self.groups), values)
            self._ask_terms(group, census)
        return group

    def _ask_terms(self, group: Group, census: Census) -> None:
        mask = 0
        answers: list[tuple[Term, int]] = []
        for term, value in zip(self.demand.terms, group.values, strict=True):
            refused, penalty = term.of(value, census)
            if refused:
                mask |= BIT[term.rule]
            answers.append((term, penalty))
        group.mask, group.extra, group.dirty = mask, penalties(answers), True

    # --- choosing ---------------------------------------------------------------------------------------------------

    def select(self, node_id: str) -> Verdict | None:
        """The best host that fits."""
        if len(self.groups) == 1 and not self.random:
            for only in self.groups.values():
                return None if only.mask else only.top()
        best: Rank | None = None
        for group in self.groups.values():
            if group.dirty:
                top = None if group.mask else group.top()
                group.best = None if top is None or top.rank is None else group.full_rank(top.rank)
                group.dirty = False
            if group.best is not None and (best is None or group.best < best):
                best = group.best
        if best is None:
            return None
        return self._drawn(best, node_id) if self.random else self.verdicts[best[-1]]

    def _drawn(self, best: Rank, node_id: str) -> Verdict:
        """Of the hosts that are as good as the best but for the strategy, the one with the smallest draw."""
        node_token = token(str(self.demand.rules.seed), node_id)
        tokens = self._tokens
        chosen: tuple[int, str] | None = None
        for group in self.groups.values():
            if group.mask or group.best is None or group.best[:STRATEGY] != best[:STRATEGY]:
                continue
            top = group.top()
            assert top is not None and top.rank is not None
            level = top.rank[:STRATEGY]
            for rank, _, verdict in group.heap:
                if verdict.live and rank[:STRATEGY] == level:
                    host_id = rank[-1]
                    if host_id not in tokens:
                        tokens[host_id] = token(host_id)
                    found = (draw(node_token, tokens[host_id]), host_id)
                    if chosen is None or found < chosen:
                        chosen = found
        assert chosen is not None
        return self.verdicts[chosen[1]]

    def taken(self, room: Room, census: Census) -> tuple[Verdict, list[Group], bool]:
        """After this kind took room: the host's new verdict, the groups whose terms answer differently, and whether
        everything was asked anew."""
        if self._free:
            terms = [*self.demand.terms, *self.demand.own_terms]
            free = tuple([term.free(census) for term in terms])
            if free != self._free:
                self._free = free
                self._build({verdict.room.id: verdict.room for verdict in self.verdicts.values()}, census)
                return self.verdicts[room.id], list(self.groups.values()), True
        verdict = self.renew(room, census)
        if not self.demand.terms:
            return verdict, [], False
        changed = []
        values = verdict.group.values
        for group in self.groups.values():
            if any(one == other for one, other in zip(group.values, values, strict=True)):
                before = group.mask, group.extra
                self._ask_terms(group, census)
                if before != (group.mask, group.extra):
                    changed.append(group)
        return verdict, changed, False

    # --- telling ----------------------------------------------------------------------------------------------------

    def fitting(self) -> int:
        """How many hosts could be chosen; those with setbacks count only if there are no others."""
        count = shunned = 0
        for group in self.groups.values():
            if not group.mask:
                count += group.masks.get(0, 0)
                shunned += group.shunned
        return count - shunned or count

    def failed_first(self) -> dict[str, int]:
        """How many hosts fail each rule first."""
        counts: dict[str, int] = {}
        for group in self.groups.values():
            for mask, count in group.masks.items():
                both = mask | group.mask
                if both and count:
                    rule = RULES[(both & -both).bit_length() - 1]
                    counts[rule] = counts.get(rule, 0) + count
        return {rule: counts[rule] for rule in RULES if rule in counts}

    def best_of(self, count: int) -> list[Verdict]:
        """The best hosts that fit, in order."""
        frontiers = [_in_order(group) for group in self.groups.values() if not group.mask]
        merged = frontiers[0] if len(frontiers) == 1 else heapq.merge(*frontiers, key=lambda found: found[0])
        return [verdict for (_, verdict), _ in zip(merged, range(count), strict=False)]

    def misses(self) -> Iterator[Verdict]:
        """The hosts that do not fit, in no order."""
        return (verdict for verdict in self.verdicts.values() if verdict.mask | verdict.group.mask)


def _in_order(group: Group) -> Iterator[tuple[Rank, Verdict]]:
    """A heap's live entries by rank, looking at no more of it than is asked for."""
    heap = group.heap
    if not heap:
        return
    frontier: list[tuple[Rank, int, int]] = [(heap[0][0], heap[0][1], 0)]
    while frontier:
        rank, _, index = heapq.heappop(frontier)
        for child in (2 * index + 1, 2 * index + 2):
            if child < len(heap):
                heapq.heappush(frontier, (heap[child][0], heap[child][1], child))
        verdict = heap[index][2]
        if verdict.live:
            yield group.full_rank(rank), verdict
