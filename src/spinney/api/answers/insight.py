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
    memory: int | None = Field(description="Bytes.")
    memory_limit: int | None = Field(description="Bytes.")
    pids: int | None = Field(description="Processes.")
    rx_bytes: int | None
    tx_bytes: int | None
    read_bytes: int | None
    write_bytes: int | None
    sampled_at: Time | None = Field(description="Null: there is no sample.")
    error: str = Field("", description="Why there is none; of one member of a cluster.")


class Exec(Answer):
    """Leave to run a command: connect to ``stream_path``, by WebSocket, once and in time."""

    id: Id
    stream_path: str = Field(description="Needs no credentials; good once.")
    expires_at: Time


class Reason(Answer):
    rule: str
    needed: Any = Field(description="What was asked.")
    available: Any = Field(description="What there is.")
    text: str


class Verdict(Answer):
    host: str
    host_id: str
    fits: bool
    score: float | None = Field(description="Null: it does not fit.")
    scores: dict[str, float] = Field(description="What the score is made of.")
    reasons: list[Reason]


class Miss(Answer):
    host: str
    host_id: str
    change: Map = Field(description="What would have to be otherwise.")
    text: str


class Explained(Answer):
    strategy: str | None = Field(description="Null: there was nothing to choose.")
    summary: str
    hosts: list[Verdict] = Field(description="The best ones, or the nearest.")
    hosts_total: int = Field(0, description="How many were looked at.")
    failed: dict[str, int] = Field(default={}, description="How many hosts failed each rule.")
    nearest_miss: Miss | None = Field(description="Null: a host fits, or none is near.")


class Placement(Explained):
    state: str = Field(pattern="^(placed|waiting)$")
    host: str | None = Field(description="Name or alias; null: it waits.")
    host_id: str | None
    generation: int = Field(description="Counts the placements; null: never placed.")
    decided_at: Time | None


class Unplaceable(Explained):
    node: str
    state: str = Field(pattern="^waiting$")
    host: None


class Step(Answer):
    step: StepKind = Field(strict=False)
    node: str = Field(description="Its name, or that of one to come.")
    origin: str | None = Field(alias="from")
    to: str | None = Field(description="Null: nowhere.")
    reason: str
    batch: int | None = Field(description="Of an update: when its turn comes.")
    manner: str | None = Field(
        description="Of an update: in-place; start-first, the new container before the old one ends; stop-first; replace, as "
        "stop-first of one that is out of service anyway."
    )


class Plan(Answer):
    summary: str
    steps: list[Step]
    unplaceable: list[Unplaceable] = Field(description="Nodes that no host would have room for.")
