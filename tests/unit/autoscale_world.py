"""Clusters at one moment, in few words, for the tests of autoscaling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spinney.domain.autoscale.deciding import evaluate
from spinney.domain.autoscale.history import Past, follow, remembered
from spinney.domain.autoscale.rules import Aggregation, Metric, Rules, Scrape, Signal, Target
from spinney.domain.autoscale.values import Decision, MemberSample, Situation, State

NOW = 1_000_000.0
CPU = Signal(Metric.CPU)
REQUESTS = Signal(Metric.REQUESTS, Aggregation.SHARED)
QUEUE = Signal(Metric.SCRAPE, Aggregation.SHARED, Scrape(8080, "queue_depth"))


def rules(*targets: Target, **fields: Any) -> Rules:
    return Rules(**{"minimum": 1, "maximum": 20, "targets": targets or (Target(CPU, 50.0),), **fields})


def ready(number: int, value: float | None = None, *, signal: Signal = CPU, since: float = 0.0) -> MemberSample:
    return MemberSample(f"m{number}", ready_since=since, values={} if value is None else {signal.key: value})


def coming(number: int, since: float = NOW) -> MemberSample:
    return MemberSample(f"c{number}", coming_since=since)


def at(members: Sequence[MemberSample], **fields: Any) -> Situation:
    return Situation(**{"now": NOW, "size": len(members), "members": members, **fields})


def each(count: int, value: float, **fields: Any) -> Situation:
    """That many members, each with that figure."""
    return at([ready(number, value) for number in range(count)], **fields)


def remembering(*sizes: int, rules: Rules, every: float = 15.0, size: int | None = None) -> State:
    """As if these sizes had been asked for in the evaluations before ``NOW``, the last of them ``every`` seconds ago."""
    first = NOW - every * len(sizes)
    moments = [first + every * index for index in range(len(sizes))]
    records = [
        Past(moment, moment, size or asked, size or asked, asked, False, False, moments[0])
        for moment, asked in zip(moments, sizes, strict=True)
    ]
    return remembered(records, rules, NOW)


def settled(rules: Rules, size: int) -> State:
    """After a long time in which that size was right."""
    return remembering(*[size] * 60, rules=rules)


def wanted(rules: Rules, situation: Situation, state: State | None = None) -> int:
    return evaluate(rules, situation, settled(rules, situation.size) if state is None else state).wanted


def run(rules: Rules, situations: Sequence[Situation], state: State | None = None) -> list[Decision]:
    """One evaluation after another."""
    state, made = State() if state is None else state, []
    for situation in situations:
        made.append(evaluate(rules, situation, state))
        state = follow(state, made[-1], rules)
    return made
