"""Runs of clusters that do a job."""

from __future__ import annotations

from pydantic import Field

from spinney.api.answers.base import Answer, Id, Time
from spinney.domain.node import NodeStatus
from spinney.domain.runs import RunStatus


class Run(Answer):
    number: int = Field(description="Counts the runs of its cluster.")
    status: RunStatus = Field(strict=False)
    status_reason: str
    scheduled_at: Time | None = Field(description="For when its schedule meant it; null: somebody asked for it.")
    created_at: Time
    started_at: Time | None = Field(description="Null: it has not begun.")
    ended_at: Time | None = Field(
        description="When its last member had ended, soon after its status was final; null: not yet."
    )
    completions: int = Field(description="How many have to succeed.")
    parallelism: int = Field(description="How many members are at work at a time, at most.")
    succeeded: int = Field(description="Completions that are done.")
    failed: int = Field(description="Attempts that failed.")
    active: int = Field(description="Members at work, or on their way to it.")
    policy_id: Id
    profile_id: Id = Field(description="What its members are made from.")


class Member(Answer):
    node_id: Id
    node_name: str
    completion: int = Field(description="Which one it works on, from 0.")
    attempt: int = Field(description="The how manieth at it, from 1.")
    status: NodeStatus = Field(strict=False)
    status_reason: str
    exit_code: int | None = Field(description="Null: it has not ended, or nobody saw it end.")
    ended_at: Time | None


class RunDetails(Run):
    members: list[Member] = Field(description="Those that are kept.")
