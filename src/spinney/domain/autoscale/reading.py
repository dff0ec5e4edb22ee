"""From the samples of members to one figure.

Members are of four kinds here: *counted* ones are ready and their figure is known; *missing* ones are ready and it is not;
*coming* ones are not ready but soon will be (or, for CPU, have become ready only now); of the rest nobody expects anything.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from spinney.domain.autoscale.rules import OF_CPU, Aggregation, Metric, Rules, Signal
from spinney.domain.autoscale.values import MemberSample, Sample, Situation


@dataclass(frozen=True, slots=True)
class Reading:
    """``figure`` is one member's: the average, that of the busiest, or a member's part of what is shared; None: unknown."""

    signal: Signal
    figure: float | None
    counted: int
    missing: int
    coming: int
    #: Of a shared signal: what the whole cluster has.
    whole: float | None = None
    #: Why it is unknown of the first of those that are missing; empty: nobody knows.
    why: str = ""

    @property
    def ready(self) -> int:
        return self.counted + self.missing

    @property
    def load(self) -> float | None:
        """What those that are counted have together; what the whole cluster has, if it is shared."""
        if self.signal.shared:
            return self.whole
        return None if self.figure is None else self.figure * self.counted

    def sample(self, at: float) -> Sample:
        counted = self.ready if self.signal.shared and self.whole is not None else self.counted
        return Sample(self.signal.name, at, self.load, counted, self.ready)


def take(signal: Signal, rules: Rules, situation: Situation) -> Reading:
    known: list[float] = []
    missing = coming = 0
    for member in situation.members:
        if _coming(member, signal, rules, situation.now):
            coming += 1
        elif member.ready_since is not None:
            value = member.values.get(signal.key)
            known += [] if value is None else [value]
            missing += value is None
    why = next((text for member in situation.members if (text := member.unread.get(signal.key))), "")
    if signal.shared:
        return _shared(signal, situation, known, missing, coming, why)
    figure = None
    if known:
        figure = max(known) if signal.aggregation is Aggregation.MAXIMUM else math.fsum(known) / len(known)
    return Reading(signal, figure, len(known), missing, coming, why=why)


def _shared(signal: Signal, situation: Situation, known: list[float], missing: int, coming: int, why: str) -> Reading:
    whole = situation.requests if signal.metric is Metric.REQUESTS else max(known, default=None)
    ready = len(known) + missing
    counted = ready if whole is not None else 0
    figure = None if whole is None else whole / max(1, ready)
    return Reading(signal, figure, counted, ready - counted, coming, whole, why)


def _coming(member: MemberSample, signal: Signal, rules: Rules, now: float) -> bool:
    if member.ready_since is not None:
        return signal.metric in OF_CPU and now - member.ready_since < rules.warmup
    return member.coming_since is not None and now - member.coming_since < rules.patience
