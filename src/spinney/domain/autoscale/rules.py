"""What a policy asks for, as values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from spinney.domain.cron import Cron
from spinney.domain.sizing import Adjustment

_LONGEST_KEY = 200


class Direction(StrEnum):
    UP = "up"
    DOWN = "down"


class Metric(StrEnum):
    #: Per cent of the container's limit, or of what is reserved for it.
    CPU = "cpu"
    CPU_RESERVED = "cpu_reserved"
    CPU_CORES = "cpu_cores"
    MEMORY = "memory"
    MEMORY_BYTES = "memory_bytes"
    #: Bytes per second.
    NETWORK_IN = "network_in"
    NETWORK_OUT = "network_out"
    #: Per second, from the load balancer, for the whole cluster.
    REQUESTS = "requests"
    SCRAPE = "scrape"


#: What a container uses while it starts says nothing of its load.
OF_CPU = (Metric.CPU, Metric.CPU_RESERVED, Metric.CPU_CORES)


class Aggregation(StrEnum):
    """How the figures of members become one."""

    AVERAGE = "average"
    #: That of the busiest.
    MAXIMUM = "maximum"
    #: All tell of the same thing, such as one queue: the greatest that is told, divided among the members.
    SHARED = "shared"


@dataclass(frozen=True, slots=True)
class Scrape:
    """One metric that containers tell in Prometheus' text format; several series that match are added up."""

    port: int
    name: str
    path: str = "/metrics"
    labels: tuple[tuple[str, str], ...] = ()
    #: What counts is how fast it grows, per second.
    counter: bool = False

    @property
    def key(self) -> str:
        labels = ",".join(f'{name}="{value}"' for name, value in self.labels)
        text = f"scrape:{self.port}{self.path}#{self.name}{{{labels}}}{':rate' if self.counter else ''}"
        if len(text) <= _LONGEST_KEY:
            return text
        return f"{text[: _LONGEST_KEY - 17]}~{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Signal:
    """What is looked at."""

    metric: Metric
    aggregation: Aggregation = Aggregation.AVERAGE
    #: Of Metric.SCRAPE.
    scrape: Scrape | None = None

    @property
    def key(self) -> str:
        """Under which a member's figure is found."""
        return self.metric.value if self.scrape is None else self.scrape.key

    @property
    def name(self) -> str:
        """Under which its history is kept: as the policy calls it, unless there could be two of that name."""
        one = self.metric is Metric.REQUESTS or self.aggregation is Aggregation.AVERAGE
        return self.key if one else f"{self.key}:{self.aggregation}"

    @property
    def shared(self) -> bool:
        """One figure for the whole cluster."""
        return self.metric is Metric.REQUESTS or self.aggregation is Aggregation.SHARED


@dataclass(frozen=True, slots=True)
class Target:
    """As many members as it takes for each to have so much of the metric."""

    signal: Signal
    target: float


@dataclass(frozen=True, slots=True)
class Step:
    """While a member's figure is at least ``at_least`` and less than ``below``, the size is changed."""

    signal: Signal
    adjustment: Adjustment
    number: float
    at_least: float | None = None
    below: float | None = None


@dataclass(frozen=True, slots=True)
class Schedule:
    """From each moment of ``cron`` on, for ``duration`` seconds or until another schedule's moment, other bounds count; None:
    the policy's own. ``desired`` is a size set once, at that moment."""

    name: str
    cron: Cron
    duration: float | None = None
    minimum: int | None = None
    maximum: int | None = None
    desired: int | None = None


@dataclass(frozen=True, slots=True)
class Rate:
    """At most so many members, or so many per cent of them, in any ``period`` seconds. One of the two."""

    period: float
    members: int | None = None
    percent: float | None = None


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How fast changes in one direction may be. Times in seconds."""

    enabled: bool = True
    #: Growing: by the least, shrinking: to the most, of all that was asked for within it.
    window: float = 0.0
    rates: tuple[Rate, ...] = ()
    #: Of several rates the one that allows most counts; false: the one that allows least.
    most: bool = True
    #: As a share of the target.
    tolerance: float = 0.1
    #: After the end of any scaling.
    cooldown: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    minimum: int
    maximum: int
    targets: tuple[Target, ...] = ()
    steps: tuple[Step, ...] = ()
    schedules: tuple[Schedule, ...] = ()
    up: Behaviour = Behaviour()
    down: Behaviour = Behaviour(window=300.0)
    #: Seconds between two evaluations.
    interval: float = 15.0
    #: Seconds after a member has become ready in which its CPU says nothing.
    warmup: float = 30.0
    #: Seconds for which a member that is not ready is counted on.
    patience: float = 300.0
    scale_to_zero: bool = False

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Each once, in the order in which they are named."""
        every = [one.signal for one in self.targets] + [one.signal for one in self.steps]
        return tuple(dict.fromkeys(every))

    def behaviour(self, direction: Direction) -> Behaviour:
        return self.up if direction is Direction.UP else self.down
