"""Actions and events."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from spinney.api.answers.base import Answer, Id, Map, Time
from spinney.domain.action import ActionKind, ActionStatus


class Action(Answer):
    id: Id
    name: str
    action: ActionKind = Field(strict=False)
    target: Id = Field(description="The cluster or node that it is about.")
    cluster_id: str = ""
    cause: str
    owner: str | None = Field(description="The engine that carries it out.")
    interval: Literal[-1]
    start_time: float | None = Field(description="Seconds since the epoch.")
    end_time: float | None
    timeout: int
    status: ActionStatus = Field(strict=False)
    status_reason: str
    inputs: Map
    outputs: Map
    data: Map
    depends_on: list[Id]
    depended_by: list[Id]
    created_at: Time
    updated_at: Time | None
    user: str
    project: str


class Event(Answer):
    id: Id
    timestamp: Time
    oid: Id
    oname: str
    otype: str
    cluster_id: str
    level: Literal["CRITICAL", "ERROR", "WARN", "INFO", "DEBUG"]
    action: str
    status: str
    status_reason: str
    meta_data: Map
    user: str
    project: str
