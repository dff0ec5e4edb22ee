"""Why nodes went where they went, or nowhere: written down while placing, told without deciding anything again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spinney.domain.placement.model import NearestMiss, Reason


@dataclass(frozen=True, slots=True)
class HostVerdict:
    """One host at the moment of a step. Of ``scores``, in their order, the first that differs decides; smaller is better."""

    host_id: str
    host_name: str
    fits: bool
    score: float | None
    scores: Mapping[str, float | None]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    state: str  # placed | waiting
    strategy: str
    summary: str
    host_id: str | None
    hosts: tuple[HostVerdict, ...]
    nearest_miss: NearestMiss | None
    #: How many hosts the request allowed, of which ``hosts`` tells at most 65, and how many failed each rule first.
    total: int
    failed: Mapping[str, int]


class Decision:
    """One batch's answers to requests of one kind."""

    def body(self) -> dict[str, Any]:
        """For storing as JSON."""
        return {}
