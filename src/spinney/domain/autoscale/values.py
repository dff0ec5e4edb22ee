"""What an evaluation looks at, what it remembers, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from spinney.domain.action import ActionKind
from spinney.domain.autoscale.rules import Direction


@dataclass(frozen=True, slots=True)
class MemberSample:
    """``values``: by the keys of signals; what is missing there is unknown, never zero. ``unread``: why, where
    that is known, by the same."""

    id: str
    #: Since when it is ready; None: it is not.
    ready_since: float | None = None
    #: Since when it is expected to become ready; None: it is ready, or nobody expects it to.
    coming_since: float | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gate:
    """Somebody else does not allow a change before that moment. ``direction`` None: neither way."""

    until: float
    text: str
    direction: Direction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """A cluster at one moment."""

    now: float
    size: int
    members: Sequence[MemberSample] = ()
    #: The bounds of the cluster itself.
    floor: int = 0
    ceiling: int = 1000
    #: Per second, for the whole cluster, as its load balancer counts them; None: unknown.
    requests: float | None = None
    #: When a scaling of the cluster last ended, whoever ordered it.
    last_scaled: float | None = None
    gates: tuple[Gate, ...] = ()
    #: Why nothing can be ordered just now; empty: it can.
    busy: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One signal of a cluster at one moment, as its history keeps it.

    ``value`` is what the counted members have together (for the aggregation ``maximum``: as if each had as much as the
    busiest), for shared signals what the whole cluster has; None: unknown. ``members`` are those that could have been counted.
    """

    name: str
    at: float
    value: float | None
    counted: int
    members: int

    @property
    def load(self) -> float | None:
        """What all of the members had, if those that are unknown had as much as the others."""
        if self.value is None or not self.counted:
            return self.value
        return self.value * self.members / self.counted


@dataclass(frozen=True, slots=True)
class Proposal:
    """The size that the metrics asked for in all evaluations from one moment until another."""

    since: float
    until: float
    size: int


@dataclass(frozen=True, slots=True)
class Change:
    """A size that was ordered."""

    at: float
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class State:
    """What is remembered from one evaluation to the next; oldest first."""

    proposals: tuple[Proposal, ...] = ()
    changes: tuple[Change, ...] = ()
    #: Sizes that schedules set at moments until this one have been seen to; None: none ever.
    honoured: float | None = None


class Kind(StrEnum):
    """What a reason is about."""

    TARGET = "target"
    STEP = "step"
    UNKNOWN = "unknown"
    NOTHING = "nothing"
    AGREEMENT = "agreement"
    IDLE = "idle"
    SCHEDULE = "schedule"
    BOUNDS = "bounds"
    WINDOW = "window"
    RATE = "rate"
    COOLDOWN = "cooldown"
    DISABLED = "disabled"
    HELD = "held"
    BUSY = "busy"
    #: What would have to happen for it to grow or shrink.
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class Reason:
    """One step of the reasoning. ``data``: plain JSON, by kind."""

    kind: Kind
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)


class By(StrEnum):
    """What decided."""

    METRICS = "metrics"
    SCHEDULE = "schedule"
    BOUNDS = "bounds"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be asked of the cluster: CLUSTER_SCALE_OUT or CLUSTER_SCALE_IN by ``number``, CLUSTER_RESIZE to it."""

    kind: ActionKind
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """``reasons`` stand in the order in which they were thought of; ``sentence`` is the whole in one."""

    at: float
    size: int
    #: The bounds that counted.
    low: int
    high: int
    #: What metrics, or a schedule, ask for by themselves; None: nothing is known.
    proposed: int | None
    #: The size after windows, bounds and rates.
    wanted: int
    by: By
    #: None: nothing is to be done, or something holds it back.
    order: Order | None
    reasons: tuple[Reason, ...]
    sentence: str
    samples: tuple[Sample, ...] = ()
    #: The size stands for what was asked for before, because nothing is remembered of that.
    seeded: bool = False
    honoured: float | None = None
