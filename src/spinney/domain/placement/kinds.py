"""What one kind of request makes of each host, kept up to date instead of asked anew.

A kind holds a verdict for every host that it may go to, and for each group of hosts a heap of the ranks of those that fit.
Whoever changes a host writes its id into the fleet's journal; a kind reads on from where it stopped and asks anew about those
hosts alone. Ranks of superseded verdicts stay in the heaps until they come up; what tells them is that the verdict's rank is
another object.

A *rank* is a tuple, smaller is better: what soft rules say (setbacks, quota, spread_over, affinity, prefer), class and value of
the strategy, containers, name, id. Groups exist where rules count members over a key other than ``host``: what such a rule
adds is the same for all hosts of a group, so a group's best host is the top of its heap, and the best of all is the best of
those.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from spinney.domain.placement.filters import BIT, CPU, MEMORY, RULES, Demand, Fixed
from spinney.domain.placement.model import PlacementRequest
from spinney.domain.placement.room import Census, Room
from spinney.domain.placement.rules import Strategy
from spinney.domain.placement.scores import Scorer, first_drawn, token
from spinney.domain.placement.terms import Term, penalties

Rank = tuple[Any, ...]
#: What soft rules say where none says anything; one object, because that is compared fastest.
_NOTHING_SOFT = (0, 0, 0, 0, 0)
#: If more than one in so many hosts changed, sorting a heap anew is cheaper than mending it.
_MANY = 16


class Verdict:
    """One host as one kind sees it at one moment; never changed. ``rank`` is None where it does not fit."""

    __slots__ = ("fixed", "group", "mask", "rank", "room")

    def __init__(self, room: Room, fixed: Fixed, group: Group, mask: int, rank: Rank | None) -> None:
        self.room = room
        self.fixed = fixed
        self.group = group
        self.mask = mask
        self.rank = rank


class Group:
    """Hosts for which the terms have one answer: ``mask`` of rules failed, ``extra`` to add to the rank."""

    __slots__ = ("best", "dirty", "extra", "heap", "index", "mask", "masks", "shunned", "values")

    def __init__(self, index: int, values: tuple[str | None, ...]) -> None:
        self.index = index
        self.values = values
        self.heap: list[Rank] = []
        self.mask = 0
        self.extra = (0, 0, 0)
        #: How many of its hosts fail which rules, by themselves.
        self.masks: dict[int, int] = {}
        #: How many of those that fit are to be avoided for recent failures there.
        self.shunned = 0
        self.best: Rank | None = None
        self.dirty = True

    def full_rank(self, rank: Rank) -> Rank:
        if not any(self.extra):
            return rank
        quota, spread, affinity = self.extra
        soft = rank[0]
        return ((soft[0], soft[1] + quota, soft[2] + spread, soft[3] + affinity, soft[4]), *rank[1:])


class Kind:
    """Verdicts are right after ``begin``, and stay so while only this kind takes room and says so by ``taken``."""

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
        self._fresh_until = 0.0
        self._terms = [*self.demand.terms, *self.demand.own_terms]
        self._free: tuple[bool, ...] = ()
        #: For RANDOM: tokens and ids of the hosts to draw from; None: to be gathered.
        self._pool: tuple[list[int], list[str]] | None = None
        self._tokens: dict[str, int] = {}

    # --- keeping up -------------------------------------------------------------------------------------------------

    def begin(
        self, rooms: Mapping[str, Room], changed: Collection[str] | None, census: Census, now: float, members: int
    ) -> None:
        """``rooms`` are those it may go to; ``changed`` the hosts that changed, came or went since; None: all did.

        ``members``: how many the workload is to have in all.
        """
        for term in self._terms:
            term.prepare(members)
        self.scorer.now = now
        free = tuple([term.free(census) for term in self._terms])
        if changed is None or free != self._free or (self.scorer.measures and now > self._fresh_until):
            self._build(rooms, census)
        else:
            many = len(changed) * _MANY > len(self.verdicts)
            for host_id in changed:
                room = rooms.get(host_id)
                if room is not None:
                    verdict = self._judge(room, self.verdicts.get(host_id), census)
                    if not many:
                        self._sift(verdict)
                elif host_id in self.verdicts:
                    self._retire(self.verdicts.pop(host_id))
            if many:
                self._sort_heaps()
        self._free = free
        self._pool = None
        if self.demand.terms:
            for group in self.groups.values():
                self._ask_terms(group, census)

    def _build(self, rooms: Mapping[str, Room], census: Census) -> None:
        self.verdicts, self.groups = {}, {}
        until = float("inf")
        for room in rooms.values():
            self._judge(room, None, census)
            if self.scorer.measures:
                until = min(until, self.scorer.known_until(room) or until)
        self._fresh_until = until
        self._sort_heaps()

    def _judge(self, room: Room, before: Verdict | None, census: Census) -> Verdict:
        """In place of the verdict before. One with a rank is put at the end of its group's heap, to be sorted in.

        This runs for every kind after every change of a host, so it is written for speed.
        """
        demand = self.demand
        if before is not None and before.room is room:
            fixed, group = before.fixed, before.group
        else:
            fixed = demand.fixed(room.host)
            group = self._group_for(demand.groups(room.host), census)
            if self.scorer.measures:
                self._fresh_until = min(self._fresh_until, self.scorer.known_until(room) or self._fresh_until)
        mask, prefer, most_cpu, most_memory = fixed
        if room.cpu > most_cpu:
            mask |= CPU
        if room.memory > most_memory:
            mask |= MEMORY
        quota = spread = affinity = 0
        if not demand.plain:
            more, quota, spread, affinity = demand.crowded(room, census)
            mask |= more
        if mask:
            if before is not None and before.mask == mask and before.room is room:
                return before
            verdict = Verdict(room, fixed, group, mask, None)
        else:
            klass, value = self.scorer.score(room)
            shunned = 1 if room.setbacks and demand.troubled(room) else 0
            if shunned or quota or spread or affinity or prefer:
                soft = (shunned, quota, spread, affinity, prefer)
            else:
                soft = _NOTHING_SOFT
            rank = (soft, klass, value, room.containers, room.name, room.id)
            verdict = Verdict(room, fixed, group, 0, rank)
            group.heap.append(rank)
            if shunned:
                group.shunned += 1
                self.troubled = True
        if before is not None:
            self._retire(before)
        group.masks[mask] = group.masks.get(mask, 0) + 1
        group.dirty = True
        self.verdicts[room.id] = verdict
        return verdict

    def _retire(self, verdict: Verdict) -> None:
        group = verdict.group
        group.masks[verdict.mask] -= 1
        group.dirty = True
        if verdict.rank is not None and verdict.rank[0][0]:
            group.shunned -= 1

    def _sort_heaps(self) -> None:
        for group in self.groups.values():
            self._clear(group)

    def _clear(self, group: Group) -> None:
        group.heap = [rank for rank in group.heap if self._live(rank)]
        heapq.heapify(group.heap)

    def _sift(self, verdict: Verdict) -> None:
        """Bring the last rank of its heap to its place; clear the heap when most of it is superseded."""
        group = verdict.group
        if verdict.rank is not None:
            heapq.heappush(group.heap, group.heap.pop())
            if len(group.heap) > 64 + 3 * group.masks[0]:
                self._clear(group)

    def _live(self, rank: Rank) -> bool:
        verdict = self.verdicts.get(rank[-1])
        return verdict is not None and verdict.rank is rank

    def _top(self, group: Group) -> Verdict | None:
        heap = group.heap
        while heap:
            verdict = self.verdicts.get(heap[0][-1])
            if verdict is not None and verdict.rank is heap[0]:
                return verdict
            heapq.heappop(heap)
        return None

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
                return None if only.mask else self._top(only)
        best: Rank | None = None
        for group in self.groups.values():
            if group.dirty:
                top = None if group.mask else self._top(group)
                group.best = None if top is None or top.rank is None else group.full_rank(top.rank)
                group.dirty = False
            if group.best is not None and (best is None or group.best < best):
                best = group.best
        if best is None:
            return None
        return self._drawn(best, node_id) if self.random else self.verdicts[best[-1]]

    def _drawn(self, best: Rank, node_id: str) -> Verdict:
        """Of the hosts that are as good as the best but for the strategy, the one with the smallest draw."""
        if self._pool is None:
            self._pool = self._pooled(best)
        tokens, host_ids = self._pool
        return self.verdicts[host_ids[first_drawn(token(str(self.demand.rules.seed), node_id), tokens)]]

    def _pooled(self, best: Rank) -> tuple[list[int], list[str]]:
        host_ids: list[str] = []
        for group in self.groups.values():
            if not group.mask and group.best is not None and group.best[0] == best[0]:
                level = self.verdicts[group.best[-1]].rank
                assert level is not None
                host_ids += [rank[-1] for rank in group.heap if rank[0] == level[0] and self._live(rank)]
        host_ids.sort()
        for host_id in host_ids:
            if host_id not in self._tokens:
                self._tokens[host_id] = token(host_id)
        return [self._tokens[host_id] for host_id in host_ids], host_ids

    def taken(self, room: Room, census: Census) -> tuple[Verdict, list[Group], bool]:
        """After this kind took room: the host's new verdict, the groups whose terms answer differently, and whether
        everything was asked anew."""
        before = self.verdicts[room.id]
        if self._terms:
            free = tuple([term.free(census) for term in self._terms])
            if free != self._free:
                self._free, self._pool = free, None
                self._build({verdict.room.id: verdict.room for verdict in self.verdicts.values()}, census)
                return self.verdicts[room.id], list(self.groups.values()), True
        verdict = self._judge(room, before, census)
        self._sift(verdict)
        if self._pool is not None:
            self._drain_pool(before, verdict)
        return verdict, self._ask_again(verdict.group.values, census) if self.demand.terms else [], False

    def mend(self, room: Room, census: Census) -> Verdict | None:
        """After another kind took room on a host; only for kinds without rules about members. None: nothing is different."""
        before = self.verdicts.get(room.id)
        if before is None:
            return None
        verdict = self._judge(room, before, census)
        if verdict is before:
            return None
        self._sift(verdict)
        return verdict

    def _drain_pool(self, before: Verdict, after: Verdict) -> None:
        """While the host only lost room, the others are as they were; if nothing is left, the next level is pooled."""
        assert self._pool is not None and before.rank is not None
        if self.demand.terms:
            self._pool = None
        elif after.rank is None or after.rank[0] != before.rank[0]:
            tokens, host_ids = self._pool
            index = bisect_left(host_ids, after.room.id)
            del tokens[index], host_ids[index]
            if not host_ids:
                self._pool = None

    def _ask_again(self, values: tuple[str | None, ...], census: Census) -> list[Group]:
        """Those that changed of the groups which share one of these values."""
        changed = []
        for group in self.groups.values():
            if any(one == other for one, other in zip(group.values, values, strict=True)):
                before = group.mask, group.extra
                self._ask_terms(group, census)
                if before != (group.mask, group.extra):
                    changed.append(group)
        return changed

    def packs(self) -> bool:
        """Whether its requests may take turns with those of other kinds, see ``packing``."""
        return self.demand.rules.strategy is Strategy.BINPACK and not self._terms

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
        frontiers = [self._in_order(group) for group in self.groups.values() if not group.mask]
        merged = frontiers[0] if len(frontiers) == 1 else heapq.merge(*frontiers)
        return [verdict for (_, verdict), _ in zip(merged, range(count), strict=False)]

    def misses(self) -> Iterator[Verdict]:
        """The hosts that do not fit, in no order."""
        return (verdict for verdict in self.verdicts.values() if verdict.mask | verdict.group.mask)

    def _in_order(self, group: Group) -> Iterator[tuple[Rank, Verdict]]:
        """A heap's hosts by rank, looking at no more of it than is asked for."""
        heap = group.heap
        frontier = [(heap[0], 0)] if heap else []
        while frontier:
            rank, index = heapq.heappop(frontier)
            for child in (2 * index + 1, 2 * index + 2):
                if child < len(heap):
                    heapq.heappush(frontier, (heap[child], child))
            if self._live(rank):
                yield group.full_rank(rank), self.verdicts[rank[-1]]
