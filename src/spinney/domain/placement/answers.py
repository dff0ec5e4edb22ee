"""What placement answers: a host, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from spinney.domain.placement.decision import Decision
from spinney.domain.placement.model import NearestMiss


@dataclass(frozen=True, slots=True)
class Placed:
    node_id: str
    host_id: str
    summary: str
    decision: Decision
    #: Which of the decision's steps this is.
    step: int


@dataclass(frozen=True, slots=True)
class Waiting:
    node_id: str
    summary: str
    decision: Decision
    step: int
    nearest: NearestMiss | None
