"""What a policy would have done with a load that is known: the very evaluations, over a cluster that is only imagined.

Guaranteed: nothing decides but ``evaluate``; equal input gives equal output. What is assumed of the world is all in
``World``: new members become ready after a fixed time, members that leave are gone at once, and the load is divided evenly
among those that are ready. So a load recorded from a cluster that was too small is less than what clients wanted, and what the
cluster would have done to its clients, and they to it, is not in here.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from spinney.domain.action import ActionKind
from spinney.domain.autoscale.deciding import evaluate
from spinney.domain.autoscale.history import follow
from spinney.domain.autoscale.rules import Aggregation, Metric, Rules, Signal
from spinney.domain.autoscale.values import Decision, MemberSample, Order, Sample, Situation, State

_ROUNDING = 1e-9
#: A change that is undone so soon was for nothing.
FLAP_WITHIN = 300.0


@dataclass(frozen=True, slots=True)
class World:
    """``size``: of the cluster at the beginning; ``startup``: seconds from an order until the new members are ready."""

    size: int
    startup: float = 10.0
    floor: int = 0
    ceiling: int = 1000


@dataclass(frozen=True, slots=True)
class Point:
    """One evaluation. ``ideal``: the fewest members with which no target would have been passed by more than the tolerance,
    within the policy's bounds; None: the load was unknown."""

    at: float
    size: int
    ready: int
    ideal: int | None
    decision: Decision
    loads: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Score:
    """``short`` and ``spare``: member-seconds below and above the ideal; ``overshoot``: most members above it, ``worst``: most
    below; ``reactions``: for each time the ideal passed those that were ready, the seconds until they were enough again."""

    seconds: float
    changes: int
    flaps: int
    overshoot: int
    worst: int
    short: float
    spare: float
    ideal: float
    reactions: tuple[float, ...]

    @property
    def reaction(self) -> float | None:
        """Its median; None: there was nothing to react to."""
        ordered = sorted(self.reactions)
        return ordered[len(ordered) // 2] if ordered else None


class Series:
    """The load of one signal over time: each sample holds until the next one, but not for ever."""

    def __init__(self, samples: Sequence[Sample], good_for: float) -> None:
        ordered = sorted(samples, key=lambda sample: sample.at)
        self._at = [sample.at for sample in ordered]
        self._loads = [sample.load for sample in ordered]
        self._good_for = good_for

    def at(self, moment: float) -> float | None:
        index = bisect_right(self._at, moment) - 1
        if index < 0 or moment - self._at[index] > self._good_for:
            return None
        return self._loads[index]


@dataclass(slots=True)
class _Cluster:
    """``ready_at`` of each member, in the order in which they came."""

    ready_at: list[float]
    last_scaled: float | None = None
    state: State = field(default_factory=State)

    def ready(self, now: float) -> int:
        return sum(moment <= now for moment in self.ready_at)

    def obey(self, order: Order, now: float, startup: float) -> None:
        size = len(self.ready_at)
        wanted = {
            ActionKind.CLUSTER_SCALE_OUT: size + order.number,
            ActionKind.CLUSTER_SCALE_IN: size - order.number,
            ActionKind.CLUSTER_RESIZE: order.number,
        }[order.kind]
        self.ready_at = [*self.ready_at[:wanted], *[now + startup] * (wanted - size)]
        self.last_scaled = now


def backtest(
    rules: Rules, samples: Mapping[str, Sequence[Sample]], world: World, begin: float, end: float
) -> Iterator[Point]:
    """``samples``: by the names of signals. The cluster is evaluated from ``begin`` to ``end``, in the policy's intervals."""
    spacing = _spacing(samples)
    series = {name: Series(found, max(4 * rules.interval, 4 * spacing)) for name, found in samples.items()}
    cluster = _Cluster([begin - rules.warmup] * world.size)
    count = int((end - begin) // rules.interval) + 1
    for number in range(count):
        now = begin + number * rules.interval
        loads = {s.name: series[s.name].at(now) if s.name in series else None for s in rules.signals}
        situation = _situation(rules, cluster, loads, world, now)
        decision = evaluate(rules, situation, cluster.state)
        ideal = _ideal(rules, loads, decision)
        yield Point(now, situation.size, cluster.ready(now), ideal, decision, loads)
        cluster.state = follow(cluster.state, decision, rules)
        if decision.order is not None:
            cluster.obey(decision.order, now, world.startup)


def _spacing(samples: Mapping[str, Sequence[Sample]]) -> float:
    """The usual time between two samples."""
    gaps = sorted(
        later - earlier for found in samples.values() for earlier, later in pairwise(sorted(s.at for s in found))
    )
    return gaps[len(gaps) // 2] if gaps else 0.0


def _situation(
    rules: Rules, cluster: _Cluster, loads: Mapping[str, float | None], world: World, now: float
) -> Situation:
    ready = cluster.ready(now)
    shares = {signal.key: _share(signal, loads[signal.name], ready) for signal in rules.signals}
    known = {key: value for key, value in shares.items() if value is not None}
    members = [
        MemberSample(str(number), ready_since=moment, values=known)
        if moment <= now
        else MemberSample(str(number), coming_since=moment - world.startup)
        for number, moment in enumerate(cluster.ready_at)
    ]
    requests = next((loads[s.name] for s in rules.signals if s.metric is Metric.REQUESTS), None)
    return Situation(
        now=now,
        size=len(members),
        members=members,
        floor=world.floor,
        ceiling=world.ceiling,
        requests=requests,
        last_scaled=cluster.last_scaled,
    )


def _share(signal: Signal, load: float | None, ready: int) -> float | None:
    if load is None or signal.metric is Metric.REQUESTS or not ready:
        return None
    return load if signal.aggregation is Aggregation.SHARED else load / ready


def _ideal(rules: Rules, loads: Mapping[str, float | None], decision: Decision) -> int | None:
    wanted = [
        math.ceil(load / (target.target * (1 + rules.up.tolerance)) - _ROUNDING)
        for target in rules.targets
        if (load := loads[target.signal.name]) is not None
    ]
    return min(max(max(wanted), decision.low), decision.high) if wanted else None


def score(points: Sequence[Point], interval: float) -> Score:
    """Of what was known; evaluations without a known load count for nothing but their changes."""
    known = [(point, point.ideal) for point in points if point.ideal is not None]
    changes = [point for point in points if point.decision.order is not None]
    return Score(
        seconds=len(points) * interval,
        changes=len(changes),
        flaps=_flaps(changes),
        overshoot=max((max(point.size - ideal, 0) for point, ideal in known), default=0),
        worst=max((max(ideal - point.ready, 0) for point, ideal in known), default=0),
        short=interval * sum(max(ideal - point.ready, 0) for point, ideal in known),
        spare=interval * sum(max(point.ready - ideal, 0) for point, ideal in known),
        ideal=interval * sum(ideal for _, ideal in known),
        reactions=tuple(_reactions(known)),
    )


def _flaps(changes: Sequence[Point]) -> int:
    count = 0
    for earlier, later in pairwise(changes):
        turned = (earlier.decision.wanted > earlier.size) != (later.decision.wanted > later.size)
        count += turned and later.at - earlier.at < FLAP_WITHIN
    return count


def _reactions(known: Sequence[tuple[Point, int]]) -> Iterator[float]:
    since: float | None = None
    for point, ideal in known:
        if point.ready < ideal:
            since = point.at if since is None else since
        elif since is not None:
            yield point.at - since
            since = None
