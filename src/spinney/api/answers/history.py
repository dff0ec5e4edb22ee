"""Actions and events."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from spinney.api.answers.base import Answer, Id, Map, Time
from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.schema import Since


class Action(Answer):
    id: Id
    name: str = Field(description="Made of action and target.")
    action: ActionKind = Field(strict=False)
    target: Id = Field(description="The cluster or node that it is about.")
    cluster_id: Annotated[str, Since("1.14")] = Field("", description="Empty: about a node in no cluster.")
    cause: str = Field(description="RPC Request, Derived Action, or another that says who asked.")
    owner: str | None = Field(description="The engine that carries it out.")
    interval: Literal[-1]
    start_time: float | None = Field(description="Seconds since the epoch.")
    end_time: float | None = Field(description="Null: not at its end.")
    timeout: int = Field(description="Seconds.")
    status: ActionStatus = Field(strict=False)
    status_reason: str
    inputs: Map = Field(description="What was asked for.")
    outputs: Map = Field(description="What came of it.")
    data: Map = Field(description="What policies decided, and what engines remember.")
    depends_on: list[Id] = Field(description="Live actions that it waits for.")
    depended_by: list[Id] = Field(description="The live action that waits for it.")
    created_at: Time
    updated_at: Time | None
    user: str = Field(description="For whom it is.")
    project: str


class Event(Answer):
    id: Id
    timestamp: Time
    oid: Id = Field(description="The object's id.")
    oname: str = Field(description="Its name then.")
    otype: str = Field(description="CLUSTER, NODE or another.")
    cluster_id: str = Field(description="Empty: in no cluster.")
    level: Literal["CRITICAL", "ERROR", "WARN", "INFO", "DEBUG"]
    action: str = Field(description="What went on.")
    status: str = Field(description="start, end, error or a status of the object.")
    status_reason: str
    meta_data: Map = Field(description="Of machines, for machines.")
    user: str = Field(description="For whom it was done.")
    project: str
