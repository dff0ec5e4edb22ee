"""Decisions of autoscaling, and what they were made from."""

from __future__ import annotations

from pydantic import Field

from spinney.api.answers.base import Answer, Id, Map, Time
from spinney.domain.autoscale.values import By, Kind


class ScalingReason(Answer):
    kind: Kind = Field(strict=False, description="What it is about.")
    text: str
    data: Map = Field(description="The same for machines, by kind.")


class ScalingDecision(Answer):
    """What one evaluation came to, or several in a row that came to the same."""

    id: Id
    cluster_id: Id
    policy_id: Id
    since: Time = Field(description="The first of the evaluations.")
    at: Time = Field(description="The latest, to which figures and reasons belong.")
    times: int = Field(description="How many evaluations.")
    size: int = Field(description="How many members there were.")
    proposed: int | None = Field(description="What the metrics asked for by themselves; null: nothing was known.")
    wanted: int = Field(description="The size after windows, rates and bounds.")
    low: int = Field(description="The bounds that counted then: not fewer than this.")
    high: int = Field(description="And not more.")
    by: By = Field(strict=False, description="What decided.")
    acted: bool = Field(description="Whether an action was ordered.")
    action_id: Id | None
    sentence: str = Field(description="All of it in short.")
    reasons: list[ScalingReason] = Field(description="In the order in which they were thought of.")


class Metric(Answer):
    """What an evaluation saw of one metric."""

    id: str = Field(description="As marker, what comes after it is meant.")
    name: str
    at: Time = Field(description="After a day, the first of five minutes, of which these are averages.")
    value: float | None = Field(
        description="What the counted members have together (for aggregation maximum: if each had as much as the busiest), or "
        "the whole cluster, if it is shared; null: unknown."
    )
    counted: int = Field(description="Members whose figure was known.")
    members: int = Field(description="Members that were ready.")
