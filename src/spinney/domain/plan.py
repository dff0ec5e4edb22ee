"""Plans: what an action would do, as values. Nothing here decides; the same functions decide for a plan and for the deed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from spinney.domain.placement.answers import Waiting


class QuestionKind(StrEnum):
    SCALE_OUT = "scale_out"
    SCALE_IN = "scale_in"
    RESIZE = "resize"
    UPDATE = "update"
    DRAIN = "drain"
    LOSE = "lose"
    REBALANCE = "rebalance"


@dataclass(frozen=True, slots=True)
class Question:
    """``target``: the id of the host that is drained or lost, and of the cluster otherwise; ``cluster_id``: only members of
    this cluster are told of. ``inputs`` are those that the action would have. ``viewer``: the project that asks, before which
    hosts of others have no names; None: an operator."""

    kind: QuestionKind
    target: str
    cluster_id: str | None = None
    inputs: Mapping[str, Any] = field(default_factory=dict)
    viewer: str | None = None


class StepKind(StrEnum):
    CREATE = "create"
    DELETE = "delete"
    MOVE = "move"
    #: The container is made anew, there or elsewhere; the old one goes first or is gone already.
    REPLACE = "replace"
    #: Its container goes on running and is changed.
    CHANGE = "change"
    #: It stays as it is where it is; of a drain or an update that means that it cannot go.
    STAY = "stay"


@dataclass(frozen=True, slots=True)
class Step:
    """Names of a node and of the hosts that it comes from and goes to. ``batch``: of an update, when its turn comes;
    ``manner``: whether the new container or the end of the old one comes first."""

    step: StepKind
    node: str
    source: str | None
    target: str | None
    reason: str
    batch: int | None = None
    manner: str | None = None


@dataclass(frozen=True, slots=True)
class Unplaceable:
    """``foreign``: the answer speaks of hosts of others."""

    node: str
    answer: Waiting
    foreign: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    summary: str
    steps: tuple[Step, ...] = ()
    unplaceable: tuple[Unplaceable, ...] = ()


_DONE = {
    StepKind.CREATE: "created",
    StepKind.DELETE: "deleted",
    StepKind.MOVE: "moved",
    StepKind.REPLACE: "replaced",
    StepKind.CHANGE: "changed in place",
    StepKind.STAY: "left where it is",
}


def summary(steps: Sequence[Step], unplaceable: Sequence[Unplaceable]) -> str:
    """``3 created, 1 without room.``"""
    counts = {kind: sum(step.step is kind for step in steps) for kind in StepKind}
    parts = [f"{count} {_DONE[kind]}" for kind, count in counts.items() if count]
    if unplaceable:
        parts.append(f"{len(unplaceable)} without room")
    return ", ".join(parts) + "." if parts else "Nothing would change."
