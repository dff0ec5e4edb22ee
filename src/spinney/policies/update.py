"""Policy type ``spinney.policy.update-1.0``: in which order members are replaced, what a batch proves, what failures mean.

How many at a time, how many stay in service and the pause between batches are the batch policy's to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from spinney.domain.action import ActionKind
from spinney.domain.budget import starts_first
from spinney.domain.rollout.model import OnFailure, Order
from spinney.domain.schema import Contradiction, Integer, SpecModel, Text, between, one_of
from spinney.domain.support import Support
from spinney.policies.base import PolicyType
from spinney.policies.checking import Failed, Look
from spinney.policies.values import Share

_Seconds = Annotated[Integer, between(0, 7 * 86400, "a number of seconds")]


class Canary(SpecModel):
    """The first members, alone."""

    nullable: ClassVar[frozenset[str]] = frozenset({"count", "percent", "promote_after"})

    count: Annotated[Integer, between(1, 100_000, "a whole number")] | None = Field(
        None, description="How many members; this or percent."
    )
    percent: Annotated[Integer, between(1, 100, "a percentage")] | None = Field(
        None, description="The same as a share of all members, rounded up."
    )
    promote_after: _Seconds | None = Field(
        None,
        description="Seconds after the canary has been ready for the monitor time until the others follow; without: when "
        "somebody promotes it.",
    )

    @model_validator(mode="after")
    def _one(self) -> Canary:
        if (self.count is None) == (self.percent is None):
            raise Contradiction("give either count or percent")
        return self


class UpdateProperties(SpecModel):
    nullable: ClassVar[frozenset[str]] = frozenset({"canary"})

    order: Annotated[Text, one_of(*(order.value for order in Order))] = Field(
        Order.AUTO.value,
        description="Whether a member's new container starts before its old one stops. auto: where it has room beside it, and "
        "spinney.overlap allows it.",
    )
    monitor: _Seconds = Field(
        30,
        description="Seconds for which a batch has to stay ready before the next begins, beside the batch policy's pause.",
    )
    ready_timeout: Annotated[Integer, between(1, 86400, "a number of seconds")] = Field(
        300, description="Seconds that a new container has to become ready; one that does not has failed."
    )
    failure_ratio: Share = Field(0, description="How many of all members may fail, as a share from 0 to 1.")
    on_failure: Annotated[Text, one_of(*(one.value for one in OnFailure if one is not OnFailure.STOP))] = Field(
        OnFailure.ROLLBACK.value,
        description="What follows when more fail: all go back to the cluster's profile, the update pauses until somebody "
        "resumes or aborts it, or it goes on and fails in the end.",
    )
    canary: Canary | None = Field(
        None, description="Some members go first, alone, and none of them may fail; without: there is no canary."
    )


def before(properties: UpdateProperties, look: Look) -> Mapping[str, Any] | Failed:
    if look.action.inputs.get("new_profile_id") is None:
        return {}
    if properties.order == Order.START_FIRST and not starts_first(look.cluster.config):
        return Failed(
            "order is start-first, and two containers of a member of this cluster must not run at the same time "
            "(spinney.overlap is at-most-one): use order auto or stop-first, or change the cluster's spinney.overlap"
        )
    paced = look.action.data.get("update") or {}
    return {"update": {**paced, **properties.model_dump(mode="json")}}


UPDATE = PolicyType(
    name="spinney.policy.update",
    version="1.0",
    summary="In which order members are replaced, what a batch has to prove, and what follows from failures.",
    properties=UpdateProperties,
    support_status=(Support("EXPERIMENTAL", "2026.11"),),
    priority=210,
    ours=True,
    before=before,
    before_kinds=frozenset({ActionKind.CLUSTER_UPDATE}),
)
