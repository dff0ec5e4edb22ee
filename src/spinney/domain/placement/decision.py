"""Why nodes went where they went, or nowhere: written down while placing, told without deciding anything again.

One decision serves all requests of one kind in one batch. It holds how the hosts stood before the first of them and what each
step changed, so that the state before any step can be told. Of at most ``TOLD`` hosts everything is kept: the best of those
that fit and, if there are more than that, a part of the others; of all hosts how many failed each rule first. Where nothing
fits, the hosts kept are those that come nearest.

``Decision.body`` is JSON for storing, ``explaining.explain`` reads it.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from spinney.domain.placement.explaining import Explanation, HostVerdict, explain
from spinney.domain.placement.filters import SETBACKS
from spinney.domain.placement.kinds import Group, Kind, Rank, Verdict
from spinney.domain.placement.misses import effort, nearest
from spinney.domain.placement.model import NearestMiss, Reason
from spinney.domain.placement.reasons import reasons_of, setback
from spinney.domain.placement.room import Census
from spinney.domain.placement.rules import Strategy
from spinney.domain.placement.sentence import waiting

__all__ = ["TOLD", "Decision", "Explanation", "HostVerdict", "explain"]

TOLD = 64
#: Columns of scores from here on are the strategy's, those before are the soft rules', in the order of ranks.
STRATEGY = 5
#: Where there are more hosts than that, so many of them are such as fit, if so many do.
_TOLD_FITTING = 48


#: A host's verdict with what it fails in words.
_Told = tuple[Verdict, tuple[Reason, ...]]
#: A group's values, and what its terms add.
_Extra = tuple[tuple[str | None, ...], tuple[int, int, int]]


@dataclass(slots=True)
class _Step:
    """``rank`` is the whole one by which ``host`` was chosen; the rest is what the step changed."""

    host: Verdict
    rank: Rank
    summary: str
    changed: list[_Told]
    extras: list[_Extra]
    failed: dict[str, int] | None


@dataclass(slots=True)
class _Nowhere:
    summary: str
    miss: NearestMiss | None
    hosts: list[_Told]
    failed: dict[str, int]


class Decision:
    """Begun when a kind's verdicts are right, told of each step while they are."""

    def __init__(self, kind: Kind, census: Census) -> None:
        self._kind = kind
        self._census = census
        self._demand = kind.demand
        self._total = len(kind.verdicts)
        self._failed = kind.failed_first()
        told = _told(kind)
        self._told = {verdict.room.id for verdict in told}
        self._start = [(verdict, self._reasons(verdict)) for verdict in told]
        groups = {verdict.group.values: verdict.group for verdict in told} if kind.demand.terms else {}
        self._groups = [(values, group.extra) for values, group in groups.items()]
        self._masks = {values: group.mask for values, group in groups.items()}
        self._steps: list[_Step] = []
        self._nowhere: _Nowhere | None = None
        self._waits = 0

    def places(
        self, host: Verdict, rank: Rank, summary: str, after: Verdict, groups: Sequence[Group], everything: bool
    ) -> int:
        """``after`` is the host's verdict with the node on it; ``groups`` whose terms answer differently now, and
        ``everything`` that all hosts were asked anew. The number of the step."""
        changed: list[_Told] = []
        extras: list[_Extra] = []
        failed = None
        if groups or everything:
            changed = self._changed(after, groups, everything)
            extras = [(group.values, group.extra) for group in groups]
        if after.mask or everything or any(group.mask for group in groups):
            failed = self._kind.failed_first()
        if not changed and after.room.id in self._told:
            changed = [(after, self._reasons(after) if after.rank is None or after.rank[0][0] else ())]
        self._steps.append(_Step(host, rank, summary, changed, extras, failed))
        return len(self._steps) - 1

    def hears(self, after: Verdict) -> None:
        """Between two steps another kind's request took room on a host."""
        told = (after, self._reasons(after) if after.rank is None or after.rank[0][0] else ())
        if self._steps:
            step = self._steps[-1]
            if after.room.id in self._told:
                step.changed.append(told)
            if after.mask:
                step.failed = self._kind.failed_first()
            return
        if after.mask:
            self._failed = self._kind.failed_first()
        self._start = [told if one[0].room.id == after.room.id else one for one in self._start]

    def waits(self) -> tuple[int, str, NearestMiss | None]:
        """Nothing fits; from here on nothing will. The number of the step, why, and what comes nearest."""
        if self._nowhere is None:
            self._nowhere = self._look()
        self._waits += 1
        return len(self._steps) + self._waits - 1, self._nowhere.summary, self._nowhere.miss

    def body(self) -> dict[str, Any]:
        """For storing as JSON."""
        rules = self._demand.rules
        writer = _Writer(_columns(self._kind), [values for values, _ in self._groups])
        body: dict[str, Any] = {
            "strategy": rules.strategy.value,
            "request": self._demand.told(),
            "total": self._total,
            "failed": self._failed,
            "columns": [[slot, name] for slot, name in writer.columns],
            "start": [writer.told(*one) for one in self._start],
            "extras": [list(extra) for _, extra in self._groups],
            "steps": [writer.step(step) for step in self._steps],
        }
        if rules.strategy is Strategy.RANDOM:
            body["seed"] = rules.seed
        if rules.strategy is Strategy.LEAST_UTILIZED:
            limits = rules.thresholds
            body["thresholds"] = {"cpu": limits.cpu, "memory": limits.memory, "max_age": limits.max_age}
        if rules.weights:
            body["weights"] = dict(rules.weights)
        if self._nowhere is not None:
            body["nowhere"] = writer.nowhere(self._nowhere)
        body["hosts"] = writer.hosts
        return body

    def _reasons(self, verdict: Verdict) -> tuple[Reason, ...]:
        mask = verdict.mask | verdict.group.mask
        found = reasons_of(self._demand, verdict.room, mask, self._census) if mask else ()
        if verdict.rank is not None and verdict.rank[0][0]:
            return (*found, setback(self._demand, verdict.room))
        return found

    def _changed(self, after: Verdict, groups: Sequence[Group], everything: bool) -> list[_Told]:
        """Of the hosts told: the chosen one and those of groups that are refused now or no longer, or all."""
        values = {group.values for group in groups if self._masks.get(group.values) != group.mask}
        self._masks |= {group.values: group.mask for group in groups}
        verdicts = [self._kind.verdicts[host_id] for host_id in sorted(self._told)]
        return [
            (one, self._reasons(one)) for one in verdicts if everything or one is after or one.group.values in values
        ]

    def _look(self) -> _Nowhere:
        demand, census = self._demand, self._census
        failing = [(verdict, verdict.mask | verdict.group.mask) for verdict in self._kind.verdicts.values()]
        summary = waiting(demand, failing)
        told = heapq.nsmallest(TOLD, failing, key=lambda found: effort(demand, found[0].room, found[1]))
        miss = nearest(demand, told[0][0].room, told[0][1], census) if told else None
        hosts = [(verdict, reasons_of(demand, verdict.room, mask, census)) for verdict, mask in told]
        return _Nowhere(summary, miss, hosts, self._kind.failed_first())


def _told(kind: Kind) -> list[Verdict]:
    if len(kind.verdicts) <= TOLD:
        return [kind.verdicts[host_id] for host_id in sorted(kind.verdicts)]
    best = kind.best_of(TOLD)
    others = heapq.nsmallest(
        TOLD - min(len(best), _TOLD_FITTING),
        kind.misses(),
        key=lambda verdict: (verdict.room.name, verdict.room.id),
    )
    return best[: TOLD - len(others)] + others


def _columns(kind: Kind) -> list[tuple[int, str]]:
    """The slots of ranks that can differ, with their names."""
    demand, strategy = kind.demand, kind.demand.rules.strategy
    slots = {term.slot: term.rule for term in (*demand.terms, *demand.own_terms) if not term.hard}
    names = {1: "quota", 2: "spread_over", 3: "affinity"}
    found = [(slot, name) for slot, name in names.items() if slot in slots]
    if kind.troubled:
        found.insert(0, (0, SETBACKS))
    if demand.rules.prefer:
        found.append((4, "prefer"))
    if strategy is Strategy.LEAST_UTILIZED:
        found.append((STRATEGY, "threshold"))
    if strategy is Strategy.BALANCED:
        found.append((STRATEGY, "difference"))
    if strategy is Strategy.RANDOM:
        return found  # the draw decides between all that are alike so far
    return [*found, (STRATEGY + 1, strategy.value), (STRATEGY + 2, "containers")]


class _Writer:
    """Ranks as lists of what can differ, hosts and groups as numbers."""

    def __init__(self, columns: list[tuple[int, str]], groups: list[tuple[str | None, ...]]) -> None:
        self.columns = columns
        self.hosts: list[list[str]] = []
        self._host_numbers: dict[str, int] = {}
        self._group_numbers = {values: number for number, values in enumerate(groups)}

    def told(self, verdict: Verdict, reasons: tuple[Reason, ...]) -> list[Any]:
        values = None if verdict.rank is None else self._values(verdict.rank)
        group = self._group_numbers.get(verdict.group.values)
        return [self._host(verdict), group, values, _plain(reasons)]

    def step(self, step: _Step) -> dict[str, Any]:
        written: dict[str, Any] = {
            "host": self._host(step.host),
            "values": self._values(step.rank),
            "summary": step.summary,
        }
        if step.changed:
            written["changed"] = [self.told(*one) for one in step.changed]
        extras = [
            [self._group_numbers[values], list(extra)] for values, extra in step.extras if values in self._group_numbers
        ]
        if extras:
            written["extras"] = extras
        if step.failed is not None:
            written["failed"] = step.failed
        return written

    def nowhere(self, nowhere: _Nowhere) -> dict[str, Any]:
        miss = nowhere.miss
        return {
            "summary": nowhere.summary,
            "hosts": [[self._host(verdict), _plain(reasons)] for verdict, reasons in nowhere.hosts],
            "failed": nowhere.failed,
            "miss": None if miss is None else [miss.host_id, miss.host_name, dict(miss.change), miss.text],
        }

    def _values(self, rank: Rank) -> list[float]:
        soft = rank[0]
        return [soft[slot] if slot < STRATEGY else round(rank[slot - STRATEGY + 1], 9) for slot, _ in self.columns]

    def _host(self, verdict: Verdict) -> int:
        room = verdict.room
        number = self._host_numbers.get(room.id)
        if number is None:
            number = self._host_numbers[room.id] = len(self.hosts)
            self.hosts.append([room.id, room.name])
        return number


def _plain(reasons: tuple[Reason, ...]) -> list[list[str]]:
    return [[one.rule, one.needed, one.available, one.text] for one in reasons]
