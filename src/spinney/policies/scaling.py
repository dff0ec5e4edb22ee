"""Policy type ``senlin.policy.scaling-1.0``: by how many members a scaling changes the cluster, and how soon after the last.

The cooldown counts from the end of the latest scaling of the cluster, in whichever direction, and whatever came of it.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from spinney.domain import sizing
from spinney.domain.action import ActionKind
from spinney.domain.schema import Boolean, Contradiction, Integer, Number, SpecModel, Text, one_of
from spinney.domain.sizing import Adjustment as Kind
from spinney.domain.support import Support
from spinney.policies.base import PolicyType
from spinney.policies.checking import Failed, Look

EVENTS = (ActionKind.CLUSTER_SCALE_IN, ActionKind.CLUSTER_SCALE_OUT)


class Adjustment(SpecModel):
    """By how much."""

    type: Annotated[Text, one_of(*(kind.value for kind in Kind))] = Field(
        Kind.CHANGE.value,
        description="Whether number is the new size (EXACT_CAPACITY), a number of members, or a percentage of them.",
    )
    number: Number = Field(1, description="How many members, or per cent; more than 0.")
    min_step: Integer = Field(1, description="Of a percentage: at least so many members; 0 or more.")
    best_effort: Boolean = Field(
        False, description="Go as far as the sizes allow, where the whole step would leave them; false: fail then."
    )
    cooldown: Integer = Field(
        0, description="Seconds after the end of any scaling of the cluster in which this one is refused; 0 or more."
    )

    @model_validator(mode="after")
    def _in_range(self) -> Adjustment:
        if self.number <= 0:
            raise Contradiction(f"{self.number:g} is not allowed: give more than 0", at=".number")
        for key in ("min_step", "cooldown"):
            if getattr(self, key) < 0:
                raise Contradiction(f"{getattr(self, key)} is not allowed: give 0 or more", at=f".{key}")
        return self


class ScalingProperties(SpecModel):
    event: Annotated[Text, one_of(*(event.value for event in EVENTS))] = Field(
        description="The action that the policy is about."
    )
    adjustment: Adjustment = Field(default_factory=Adjustment, description="What a request that names no count means.")


def cooling(properties: ScalingProperties, kind: ActionKind, last_op: float | None, now: float) -> float:
    """For how many more seconds actions of the kind are refused; 0: they are not."""
    if properties.event != kind or last_op is None:
        return 0.0
    return max(last_op + properties.adjustment.cooldown - now, 0.0)


def before(properties: ScalingProperties, look: Look) -> dict[str, object] | Failed:
    kind = look.action.action
    if kind != properties.event:
        return {}
    left = cooling(properties, kind, look.last_op, look.now)
    if left > 0:
        return Failed(f"the cluster was scaled a moment ago; its cooldown ends in {left:.0f} s")
    growing = kind is ActionKind.CLUSTER_SCALE_OUT
    current = len(look.members)
    count = _step(properties.adjustment, current, growing) if look.count is None else look.count
    if count <= 0:
        return Failed(
            f"{properties.adjustment.type} {properties.adjustment.number:g} means {count} members for a cluster of {current}; "
            f"ask for a count"
        )
    if properties.adjustment.best_effort:
        cluster = look.cluster
        most = (look.limit if cluster.max_size < 0 else min(cluster.max_size, look.limit)) - current
        count = max(min(count, most if growing else current - cluster.min_size), 0)
    else:
        desired = current + count if growing else current - count
        fault = sizing.check(look.cluster, desired, max_nodes=look.limit, strict=True)
        if fault:
            return Failed(fault)
    key = "creation" if growing else "deletion"
    return {key: {**(look.creation if growing else look.deletion), "count": count}}


def _step(adjustment: Adjustment, current: int, growing: bool) -> int:
    """Members more (growing) or fewer."""
    if adjustment.type == Kind.EXACT:
        return int(adjustment.number) - current if growing else current - int(adjustment.number)
    if adjustment.type == Kind.CHANGE:
        return int(adjustment.number)
    return max(int(adjustment.number * current / 100), adjustment.min_step)


SCALING = PolicyType(
    name="senlin.policy.scaling",
    version="1.0",
    summary="How many members a scaling that names no count adds or removes, and how soon after the last one.",
    properties=ScalingProperties,
    support_status=(Support("SUPPORTED", "2016.04"),),
    priority=100,
    singleton=False,
    before=before,
    before_kinds=frozenset(EVENTS),
    stamped_after=frozenset(EVENTS),
)
