"""Samples, placements and plans."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from spinney.api.answers.base import Answer, Id, Map, Time
from spinney.domain.plan import StepKind


class Stats(Answer):
    """One sample; null is unknown, never zero."""

    node_id: Id
    node_name: str
    cpu: float | None = Field(description="Cores used.")
    memory: int | None
    memory_limit: int | None
    pids: int | None
    rx_bytes: int | None
    tx_bytes: int | None
    read_bytes: int | None
    write_bytes: int | None
    sampled_at: Time | None
    error: str = ""


class Exec(Answer):
    """Leave to run a command: connect to ``stream_path``, by WebSocket, once and in time."""

    id: Id
    stream_path: str
    expires_at: Time


class Reason(Answer):
    rule: str
    needed: Any
    available: Any
    text: str


class Verdict(Answer):
    host: str
    host_id: str
    fits: bool
    score: float | None
    scores: dict[str, float]
    reasons: list[Reason]


class Miss(Answer):
    host: str
    host_id: str
    change: Map
    text: str


class Explained(Answer):
    strategy: str | None
    summary: str
    hosts: list[Verdict]
    hosts_total: int = 0
    failed: dict[str, int] = Field(default={}, description="How many hosts failed each rule.")
    nearest_miss: Miss | None


class Placement(Explained):
    state: str = Field(pattern="^(placed|waiting)$")
    host: str | None
    host_id: str | None
    generation: int
    decided_at: Time | None


class Unplaceable(Explained):
    node: str
    state: str = Field(pattern="^waiting$")
    host: None


class Step(Answer):
    step: StepKind = Field(strict=False)
    node: str
    origin: str | None = Field(alias="from")
    to: str | None
    reason: str


class Plan(Answer):
    summary: str
    steps: list[Step]
    unplaceable: list[Unplaceable]
