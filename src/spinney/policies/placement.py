"""Policy type ``spinney.policy.placement-1.0``: everything that placement can be asked for, in one policy."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from spinney.domain.placement.rules import LabelTerm, Operator, Preference, Strategy, Thresholds
from spinney.domain.schema import (
    Boolean,
    Contradiction,
    Integer,
    Line,
    Number,
    SpecModel,
    Text,
    at_most,
    between,
    is_scalar,
    one_of,
    to_text,
)
from spinney.domain.support import Support
from spinney.policies.base import Contribution, Members, PolicyType, Toward
from spinney.policies.values import Key, LabelName, LabelValue, Share, Words, each_once

_LARGEST = 2**31 - 1
_WEIGHED = (Strategy.SPREAD, Strategy.BALANCED)


class ThresholdShares(SpecModel):
    """Below which measured use a host is preferred."""

    nullable = frozenset({"cpu", "memory"})

    cpu: Share | None = Field(0.8, description="Used share of the CPU below which a host is preferred; null: any.")
    memory: Share | None = Field(None, description="The same for memory; null: not looked at.")
    max_age: Annotated[Number, between(1, 86400, "a number of seconds")] = Field(
        60.0, description="Seconds after which a measurement counts as unknown."
    )

    @model_validator(mode="after")
    def _some(self) -> ThresholdShares:
        if self.cpu is None and self.memory is None:
            raise Contradiction("cpu and memory are both null: give at least one of them, or leave thresholds out")
        return self


class Weights(SpecModel):
    """What counts how much in the score of a host."""

    used: Share = Field(
        0.0, description="Measured use beside reservations: 0 looks at reservations alone, 1 at use alone."
    )
    cpu: Share = Field(1.0, description="CPU.")
    memory: Share = Field(1.0, description="Memory.")

    @model_validator(mode="after")
    def _some(self) -> Weights:
        if not self.cpu and not self.memory:
            raise Contradiction("cpu and memory are both 0: at least one of them has to count")
        return self


class Label(SpecModel):
    """One demand on a host's labels, or the text ``disk``, ``!disk``, ``disk=ssd`` or ``disk!=ssd``."""

    key: LabelName = Field(
        description="Name of the label, or engine. and what the host's Docker engine says of itself: engine.arch, "
        "engine.version, engine.storage_driver, engine.runtimes, …, as `spinney host show` names them."
    )
    operator: Annotated[Text, one_of(*(operator.value for operator in Operator))] | None = Field(
        None, description="What must be true of it; default: in where there are values, exists where there are none."
    )
    values: Annotated[tuple[LabelValue, ...], at_most(100, "values"), each_once] = Field(
        (), description="Values, for the operators in and not_in."
    )

    @classmethod
    def expand(cls, value: Any) -> Any:
        if not is_scalar(value):
            return value
        text = to_text(value)
        key, equals, wanted = text.partition("=")
        if not equals:
            return {"key": text.removeprefix("!"), "operator": "not_exists" if text.startswith("!") else "exists"}
        return {"key": key.removesuffix("!"), "operator": "not_in" if key.endswith("!") else "in", "values": [wanted]}

    @model_validator(mode="after")
    def _values_fit(self) -> Label:
        operator = self.term().operator
        if operator in (Operator.IN, Operator.NOT_IN) and not self.values:
            raise Contradiction(f"the operator {operator} needs at least one value", at=".values")
        if operator in (Operator.EXISTS, Operator.NOT_EXISTS) and self.values:
            raise Contradiction(f"the operator {operator} takes no values: leave them out, or use in", at=".values")
        return self

    def term(self) -> LabelTerm:
        operator = self.operator or (Operator.IN if self.values else Operator.EXISTS)
        return LabelTerm(self.key, Operator(operator), self.values)


class PreferredLabel(Label):
    """A label that makes hosts better, or one of the same texts."""

    weight: Annotated[Integer, between(1, 100, "a whole number")] = Field(1, description="How much better.")


class Neighbour(SpecModel):
    """Whose members are meant, or the text of a cluster's name or id."""

    cluster: Line | None = Field(
        None, description="Name or id of a cluster of the project; without cluster and group: the cluster itself."
    )
    group: Line | None = Field(
        None,
        description="Every cluster of the project whose attached policies name this group, the cluster itself included.",
    )
    key: Key = Field("host", description="What counts as one place: host, zone, region, or the value of a label.")
    hard: Boolean = Field(True, description="Wait rather than break the rule; false: a preference.")

    @classmethod
    def expand(cls, value: Any) -> Any:
        return {"cluster": to_text(value)} if is_scalar(value) else value

    @model_validator(mode="after")
    def _one_kind(self) -> Neighbour:
        if self.cluster is not None and self.group is not None:
            raise Contradiction("cluster and group are both given: give one of them, and a second entry for the other")
        return self

    def toward(self, *, apart: bool) -> Toward:
        return Toward(self.cluster, self.group, self.key, apart, self.hard)


class Headroom(SpecModel):
    """What stays free on each host for others."""

    cpu: Annotated[Number, between(0, 0.95, "a share")] = Field(0.0, description="Share of the host's CPU.")
    memory: Annotated[Number, between(0, 0.95, "a share")] = Field(0.0, description="Share of the host's memory.")


Neighbours = Annotated[tuple[Neighbour, ...], at_most(50, "entries")]


class PlacementProperties(SpecModel):
    strategy: Annotated[Text, one_of(*(strategy.value for strategy in Strategy))] = Field(
        Strategy.SPREAD.value,
        description=(
            "Which of the hosts that fit: the one with the smallest reserved share (spread), the largest (binpack), below "
            "the thresholds or else the least used (least_utilized), CPU and memory most alike (balanced), or by lot (random)."
        ),
    )
    thresholds: ThresholdShares | None = Field(
        None,
        description="For least_utilized: which hosts are preferred; default: those with less than 0.8 of their CPU used.",
    )
    weights: Weights | None = Field(None, description="For spread and balanced: what counts how much.")
    seed: Annotated[Integer, between(0, _LARGEST, "a whole number")] | None = Field(
        None, description="For random: equal seeds draw equal lots; default: 0."
    )
    hosts: Words = Field(
        (),
        description="Names of the only hosts to use (of shared ones: their aliases), or ids, of those that the profile allows.",
    )
    zones: Words = Field((), description="The only zones to use.")
    regions: Words = Field((), description="The only regions to use.")
    require: Annotated[tuple[Label, ...], at_most(50, "entries")] = Field(
        (),
        description="Labels that a host must satisfy, each a map or one of the texts disk, !disk, disk=ssd, disk!=ssd.",
    )
    prefer: Annotated[tuple[PreferredLabel, ...], at_most(50, "entries")] = Field(
        (), description="Labels that make a host better, in the same forms."
    )
    spread_over: Key | None = Field(
        None, description="Members are spread evenly over the groups of this key before the strategy decides."
    )
    affinity: Neighbours = Field(
        (),
        description="To be together with members of other clusters, or of this one; each a map, or a cluster's name.",
    )
    anti_affinity: Neighbours = Field(
        (), description="To be apart from members of other clusters, or of this one; each a map, or a cluster's name."
    )
    max_per_host: Annotated[Integer, between(1, 1_000_000, "a whole number")] | None = Field(
        None, description="At most so many members of the cluster on one host."
    )
    headroom: Headroom = Field(default_factory=Headroom, description="What the cluster leaves free on each host.")

    @model_validator(mode="after")
    def _used(self) -> PlacementProperties:
        strategy = Strategy(self.strategy)
        for key, users in (
            ("thresholds", (Strategy.LEAST_UTILIZED,)),
            ("weights", _WEIGHED),
            ("seed", (Strategy.RANDOM,)),
        ):
            if getattr(self, key) is not None and strategy not in users:
                raise Contradiction(
                    f"the strategy {strategy} does not look at it: leave it out, or set strategy to {' or '.join(users)}",
                    at=f".{key}",
                )
        return self


def contribution(properties: PlacementProperties) -> Contribution:
    """Guaranteed: what the specification leaves out, the contribution leaves to others; the strategy is always its own."""
    thresholds = properties.thresholds
    weights = properties.weights
    return Contribution(
        strategy=Strategy(properties.strategy),
        thresholds=None if thresholds is None else Thresholds(thresholds.cpu, thresholds.memory, thresholds.max_age),
        weights=None if weights is None else {"used": weights.used, "cpu": weights.cpu, "memory": weights.memory},
        seed=properties.seed,
        hosts=properties.hosts,
        zones=properties.zones,
        regions=properties.regions,
        require=tuple(label.term() for label in properties.require),
        prefer=tuple(Preference(label.term(), label.weight) for label in properties.prefer),
        spread_over=properties.spread_over,
        toward=(
            *(neighbour.toward(apart=False) for neighbour in properties.affinity),
            *(neighbour.toward(apart=True) for neighbour in properties.anti_affinity),
        ),
        max_per_host=properties.max_per_host,
        headroom_cpu=properties.headroom.cpu,
        headroom_memory=properties.headroom.memory,
    )


PLACEMENT = PolicyType(
    name="spinney.policy.placement",
    version="1.0",
    summary="Where the containers of a cluster are placed: which hosts may be used, and which of those is the best.",
    properties=PlacementProperties,
    support_status=(Support("EXPERIMENTAL", "2026.11"),),
    priority=300,
    members=Members.CONTAINERS,
    ours=True,
    placement=contribution,
)
