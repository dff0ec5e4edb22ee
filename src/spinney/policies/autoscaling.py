"""Policy type ``spinney.policy.autoscaling-1.0``: a cluster of containers as large as what is measured of it, steps and
schedules ask for.

What it does is in ``domain.autoscale``; here is what its properties may say, and what they come to.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import pairwise
from typing import Annotated

from pydantic import Field, model_validator

from spinney.domain.autoscale import rules as values
from spinney.domain.autoscale.rules import Aggregation, Metric
from spinney.domain.cron import Cron
from spinney.domain.schema import (
    Boolean,
    Contradiction,
    Integer,
    Kind,
    Line,
    NotAllowed,
    Number,
    Rule,
    SpecModel,
    Text,
    at_most,
    between,
    matching,
    one_of,
    to_map,
)
from spinney.domain.sizing import Adjustment as AdjustmentKind
from spinney.domain.support import Support
from spinney.policies.base import Members, PolicyType
from spinney.policies.scaling import EVENTS
from spinney.policies.values import CronExpression, LabelValue, TimeZone

_DAY = 86400
_Count = Annotated[Integer, between(0, 100_000, "a whole number")]
_Seconds = Annotated[Integer, between(0, _DAY, "a number of seconds")]
_Percent = Annotated[Number, between(0, 10_000, "a number")]
_Path = Annotated[Text, matching(r"/[!-~]*", "a path that begins with / and has no spaces")]
_MetricName = Annotated[Text, matching(r"[a-zA-Z_:][a-zA-Z0-9_:]*", "the name of a Prometheus metric", longest=200)]
_LabelName = Annotated[Text, matching(r"[a-zA-Z_][a-zA-Z0-9_]*", "the name of a Prometheus label", longest=100)]
_Labels = Annotated[Mapping[_LabelName, LabelValue], Kind("Map", to_map), at_most(10, "labels")]


def _positive(value: float) -> float:
    if value <= 0:
        raise NotAllowed("a number greater than 0")
    return value


class Scrape(SpecModel):
    """What containers tell in Prometheus' text format, asked from inside their own network namespace."""

    port: Annotated[Integer, between(1, 65535, "a port")] = Field(description="Of the container.")
    path: _Path = Field("/metrics", description="What is asked for there.")
    name: _MetricName = Field(description="The metric; all of its series that match are added up.")
    labels: _Labels = Field(default_factory=dict, description="Labels that a series must have to match.")
    kind: Annotated[Text, one_of("gauge", "counter")] = Field(
        "gauge", description="Whether the value itself counts, or how much it grows per second."
    )


class _Looking(SpecModel):
    """A metric, and how it is looked at."""

    metric: Annotated[Text, one_of(*(metric.value for metric in Metric))] = Field(
        description="cpu and memory are per cent of the container's limit, cpu_reserved of its reservation; network_in and "
        "network_out bytes per second; requests those per second from the load balancer, divided among the members."
    )
    aggregation: Annotated[Text, one_of(*(one.value for one in Aggregation))] | None = Field(
        None,
        description="What stands for all members: their average (the default), the busiest (maximum), or, of what all of them "
        "tell alike, as the length of one queue, that divided among them (shared). Not for requests.",
    )
    scrape: Scrape | None = Field(None, description="Of metric scrape: what is asked of the containers.")

    @model_validator(mode="after")
    def _goes_together(self) -> _Looking:
        if (self.metric == Metric.SCRAPE) != (self.scrape is not None):
            if self.scrape is None:
                raise Contradiction("metric scrape needs it: give port and name at least", at=".scrape")
            raise Contradiction(f"it belongs to metric scrape and not to {self.metric}: leave it out", at=".scrape")
        if self.metric == Metric.REQUESTS and self.aggregation is not None:
            raise Contradiction("requests are counted for the whole cluster: leave it out", at=".aggregation")
        return self

    @property
    def signal(self) -> values.Signal:
        metric = Metric(self.metric)
        if metric is Metric.REQUESTS:
            return values.Signal(metric, Aggregation.SHARED)
        found = self.scrape
        scrape = None
        if found is not None:
            labels = tuple(sorted(found.labels.items()))
            scrape = values.Scrape(found.port, found.name, found.path, labels, found.kind == "counter")
        return values.Signal(metric, Aggregation(self.aggregation or Aggregation.AVERAGE), scrape)


class Target(_Looking):
    """As many members as it takes for each to have so much of a metric."""

    target: Annotated[Number, Rule("a number greater than 0", _positive)] = Field(
        description="What each member should have, in the unit of the metric."
    )


class Adjustment(SpecModel):
    """By how much."""

    type: Annotated[Text, one_of(*(kind.value for kind in AdjustmentKind))] = Field(
        AdjustmentKind.CHANGE.value,
        description="Whether number is the new size (EXACT_CAPACITY), a number of members, or a percentage of them.",
    )
    number: Annotated[Number, between(-100_000, 100_000, "a number")] = Field(
        description="Less than 0 takes members away."
    )

    @model_validator(mode="after")
    def _changes(self) -> Adjustment:
        if self.type == AdjustmentKind.EXACT and self.number < 0:
            raise Contradiction(f"{self.number:g} is no size: give 0 or more", at=".number")
        if self.type != AdjustmentKind.EXACT and not self.number:
            raise Contradiction("0 changes nothing: give another number", at=".number")
        return self


class Step(_Looking):
    """What happens to the size while one member's figure is in a range."""

    at_least: Number | None = Field(None, description="The least figure of the range; none: no least.")
    below: Number | None = Field(None, description="The figure from which on it holds no longer; none: never.")
    adjustment: Adjustment = Field(description="By how much the size changes, at each evaluation at which it holds.")

    @model_validator(mode="after")
    def _ranged(self) -> Step:
        if self.at_least is None and self.below is None:
            raise Contradiction("one of at_least and below is required: give the range in which the step holds")
        if self.at_least is not None and self.below is not None and self.at_least >= self.below:
            raise Contradiction(f"{self.at_least:g} is not less than below ({self.below:g}): lower it", at=".at_least")
        return self


class Schedule(SpecModel):
    """Other bounds, or a size, from certain moments on."""

    name: Annotated[Line, at_most(80, "characters")] = Field(
        description="What it is called when decisions are explained."
    )
    cron: CronExpression = Field(description="When: minute, hour, day of the month, month, day of the week.")
    timezone: TimeZone = Field("UTC", description="By which clocks.")
    duration: Annotated[Integer, between(60, 366 * _DAY, "a number of seconds")] | None = Field(
        None, description="Seconds for which it counts; none: until another schedule's moment."
    )
    min: _Count | None = Field(None, description="In place of the policy's.")
    max: _Count | None = Field(None, description="In place of the policy's.")
    desired: _Count | None = Field(None, description="A size that is set once, at that moment; then the metrics go on.")

    @model_validator(mode="after")
    def _says_something(self) -> Schedule:
        given = [(key, value) for key in ("min", "desired", "max") if (value := getattr(self, key)) is not None]
        if not given:
            raise Contradiction("it changes nothing: give min, max or desired")
        for (low, least), (high, most) in pairwise(given):
            if least > most:
                raise Contradiction(f"{least} is more than {high} ({most}): lower it", at=f".{low}")
        return self


class Rate(SpecModel):
    """So much in so long, at most."""

    members: Annotated[Integer, between(1, 100_000, "a whole number")] | None = Field(
        None, description="Members at most; this or percent."
    )
    percent: Annotated[Number, between(0.1, 10_000, "a number")] | None = Field(
        None, description="Per cent of the members there were, but always one; this or members."
    )
    period: Annotated[Integer, between(1, _DAY, "a number of seconds")] = Field(description="In how many seconds.")

    @model_validator(mode="after")
    def _one(self) -> Rate:
        if (self.members is None) == (self.percent is None):
            raise Contradiction("exactly one of members and percent is needed: give that one")
        return self


class _Behaviour(SpecModel):
    """How fast the size changes in one direction."""

    enabled: Boolean = Field(True, description="Whether it changes in this direction at all.")
    rates: Annotated[tuple[Rate, ...], at_most(10, "rates")] = Field(
        (), description="How much it may change in how long."
    )
    choose: Annotated[Text, one_of("most", "least")] = Field(
        "most", description="Of several rates: the one that allows most counts, or the one that allows least."
    )
    tolerance: Annotated[Number, between(0, 1000, "a number")] = Field(
        10, description="Per cent by which a figure may differ from its target before anything happens."
    )
    cooldown: _Seconds = Field(
        0, description="Seconds after the end of any scaling of the cluster in which nothing happens."
    )


class Up(_Behaviour):
    """How fast it grows."""

    window: _Seconds = Field(
        0, description="Seconds over which the least size that was asked for counts; 0: the latest counts."
    )
    rates: Annotated[tuple[Rate, ...], at_most(10, "rates")] = Field(
        (Rate(percent=100, period=15), Rate(members=4, period=15)),
        description="How much it may grow in how long; given none, by 100 per cent or 4 members in 15 seconds.",
    )


class Down(_Behaviour):
    """How fast it shrinks."""

    window: _Seconds = Field(
        300, description="Seconds over which the largest size that was asked for counts; 0: the latest counts."
    )


class AutoscalingProperties(SpecModel):
    min: _Count = Field(1, description="Never fewer members because of this policy; 0 only with scale_to_zero.")
    max: Annotated[Integer, between(1, 100_000, "a whole number")] = Field(
        description="Never more members because of this policy."
    )
    interval: Annotated[Integer, between(5, 3600, "a number of seconds")] = Field(
        15, description="Seconds between two evaluations."
    )
    targets: Annotated[tuple[Target, ...], at_most(10, "targets")] = Field(
        (), description="Of several the one that needs most members counts."
    )
    steps: Annotated[tuple[Step, ...], at_most(20, "steps")] = Field(
        (), description="Changes of the size while a figure is in a range."
    )
    schedules: Annotated[tuple[Schedule, ...], at_most(20, "schedules")] = Field(
        (), description="Other bounds, or sizes, at certain times; the one whose moment came last counts."
    )
    up: Up = Field(default_factory=Up, description="How fast it grows.")
    down: Down = Field(default_factory=Down, description="How fast it shrinks.")
    warmup: _Seconds = Field(30, description="Seconds after a member has become ready in which its CPU says nothing.")
    patience: _Seconds = Field(300, description="Seconds for which a member that is not ready is counted on.")
    scale_to_zero: Boolean = Field(False, description="Whether the cluster may have no members at all.")

    @model_validator(mode="after")
    def _sound(self) -> AutoscalingProperties:
        if self.min > self.max:
            raise Contradiction(f"{self.min} is more than max ({self.max}): lower it", at=".min")
        if not (self.targets or self.steps or self.schedules):
            raise Contradiction("nothing would ever happen: give targets, steps or schedules")
        names = [one.name for one in self.schedules]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise Contradiction(
                    f"'{name}' is the name of another one: give it its own", at=f".schedules[{index}].name"
                )
        self._check_twice()
        self._check_bounds()
        self._check_zero()
        return self

    def _check_twice(self) -> None:
        """Two targets of one metric, looked at alike: only the lower one would ever count."""
        looked = [(one.signal, one.target) for one in self.targets]
        for index, (signal, target) in enumerate(looked):
            first = next((i for i, (other, _) in enumerate(looked[:index]) if other == signal), None)
            if first is not None:
                raise Contradiction(
                    f"{signal.metric} has a target in targets[{first}] already ({looked[first][1]:g}, here {target:g}): leave "
                    "one of the two out",
                    at=f".targets[{index}]",
                )

    def _check_bounds(self) -> None:
        """A schedule without a max of its own leaves the policy's."""
        for index, one in enumerate(self.schedules):
            for key, value in (("min", one.min), ("desired", one.desired)):
                if one.max is None and value is not None and value > self.max:
                    raise Contradiction(
                        f"{value} is more than properties.max ({self.max}): lower it, raise that, or give the schedule a max "
                        "of its own",
                        at=f".schedules[{index}].{key}",
                    )

    def _check_zero(self) -> None:
        if not self.scale_to_zero:
            zero = [f".schedules[{i}].{key}" for i, one in enumerate(self.schedules) for key in _zeros(one)]
            for at in [".min"] * (self.min == 0) + zero:
                raise Contradiction("0 is allowed only with scale_to_zero: true; give 1 or more, or that too", at=at)
            return
        waking = any((one.min or 0) > 0 or (one.desired or 0) > 0 for one in self.schedules)
        if not waking and not _counts_requests(self):
            raise Contradiction(
                "nothing would wake the cluster again, because nothing is measured without members: add metric requests, or a "
                "schedule with a min or desired of 1 or more",
                at=".scale_to_zero",
            )


def _zeros(schedule: Schedule) -> list[str]:
    return [key for key in ("min", "max", "desired") if getattr(schedule, key) == 0]


def _counts_requests(properties: AutoscalingProperties) -> bool:
    return any(one.metric == Metric.REQUESTS for one in (*properties.targets, *properties.steps))


def autoscaling(properties: AutoscalingProperties) -> values.Rules:
    return values.Rules(
        minimum=properties.min,
        maximum=properties.max,
        targets=tuple(values.Target(one.signal, one.target) for one in properties.targets),
        steps=tuple(
            values.Step(one.signal, AdjustmentKind(one.adjustment.type), one.adjustment.number, one.at_least, one.below)
            for one in properties.steps
        ),
        schedules=tuple(
            values.Schedule(one.name, Cron(one.cron, one.timezone), one.duration, one.min, one.max, one.desired)
            for one in properties.schedules
        ),
        up=_behaviour(properties.up, properties.up.window),
        down=_behaviour(properties.down, properties.down.window),
        interval=properties.interval,
        warmup=properties.warmup,
        patience=properties.patience,
        scale_to_zero=properties.scale_to_zero,
    )


def _behaviour(given: _Behaviour, window: float) -> values.Behaviour:
    return values.Behaviour(
        enabled=given.enabled,
        window=window,
        rates=tuple(values.Rate(one.period, one.members, one.percent) for one in given.rates),
        most=given.choose == "most",
        tolerance=given.tolerance / 100,
        cooldown=given.cooldown,
    )


def unfit(properties: AutoscalingProperties, min_size: int, max_size: int) -> str | None:
    """Why a cluster of these sizes cannot have it."""
    if 0 <= max_size < properties.min:
        return f"its min ({properties.min}) is more than the cluster's max_size ({max_size}); raise that, or lower min"
    if properties.max < min_size:
        return f"its max ({properties.max}) is less than the cluster's min_size ({min_size}); lower that, or raise max"
    return None


def advice(properties: AutoscalingProperties, beside: Collection[str]) -> str:
    """``beside``: the types of the cluster's other policies."""
    if not _counts_requests(properties) or any(name.startswith("senlin.policy.loadbalance-") for name in beside):
        return ""
    return (
        "It looks at requests, and the cluster has no senlin.policy.loadbalance policy whose load balancer would count them: "
        "they stay unknown until it has, and meanwhile never lower the size."
    )


AUTOSCALING = PolicyType(
    name="spinney.policy.autoscaling",
    version="1.0",
    summary="A cluster of containers grows and shrinks with what is measured of it, by steps, and by schedules.",
    properties=AutoscalingProperties,
    support_status=(Support("EXPERIMENTAL", "2026.11"),),
    priority=100,
    members=Members.CONTAINERS,
    ours=True,
    stamped_after=frozenset(EVENTS),
    unfit=unfit,
    advice=advice,
)
