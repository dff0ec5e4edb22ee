"""Policy type ``senlin.policy.batch-1.0``: an update of a cluster goes through its members in batches.

What it says is stored with the update; who is in which batch is decided when the batch begins.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, model_validator

from spinney.domain.action import ActionKind
from spinney.domain.schema import Contradiction, Integer, SpecModel, between
from spinney.domain.support import Support
from spinney.policies.base import PolicyType
from spinney.policies.checking import Look


class BatchProperties(SpecModel):
    min_in_service: Annotated[Integer, between(0, 1_000_000, "a whole number")] = Field(
        1,
        description="How many members stay in service while a batch is updated; if there are no more, half of them do.",
    )
    max_batch_size: Annotated[Integer, between(-1, 1_000_000, "a whole number")] = Field(
        -1, description="At most so many members at a time; -1: as many as min_in_service leaves."
    )
    pause_time: Annotated[Integer, between(0, 86400, "a number of seconds")] = Field(
        60, description="Seconds between the end of one batch and the beginning of the next."
    )

    @model_validator(mode="after")
    def _some(self) -> BatchProperties:
        if self.max_batch_size == 0:
            raise Contradiction("0 would update nobody: give 1 or more, or -1 for no limit", at=".max_batch_size")
        return self


def before(properties: BatchProperties, look: Look) -> Mapping[str, Any]:
    return {"update": {**(look.action.data.get("update") or {}), **properties.model_dump(mode="json")}}


BATCH = PolicyType(
    name="senlin.policy.batch",
    version="1.0",
    summary="Members are updated in batches, with a pause between them.",
    properties=BatchProperties,
    support_status=(Support("EXPERIMENTAL", "2017.02"),),
    priority=200,
    before=before,
    before_kinds=frozenset({ActionKind.CLUSTER_UPDATE}),
)
