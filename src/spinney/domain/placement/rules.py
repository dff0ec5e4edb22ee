"""What users and operators may ask of placement, as values: made by policies, obeyed by the scheduler.

A *key* is ``host``, ``zone``, ``region`` or ``label:NAME``: what hosts are grouped by. Hosts without a value for a key form no
group: a hard rule over that key refuses them, a soft one counts them as worst.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

#: In place of a pinned host that the project may not use any more: no host has this id.
UNSHARED = ""

#: A workload that failed this often on a host within the time that counts goes elsewhere while anywhere else is.
SETBACKS_TOO_MANY = 3


class Strategy(StrEnum):
    """How to choose among the hosts that fit; ties fall to fewer containers, then the name, then the id. See ``scores``."""

    #: The smallest reserved share after placing (the larger of CPU and memory).
    SPREAD = "spread"
    #: The least left free after placing.
    BINPACK = "binpack"
    #: Hosts whose measured use is below the thresholds first, by reservations; if none is, the least used. Never measured last.
    LEAST_UTILIZED = "least_utilized"
    #: The smallest difference between the reserved shares of CPU and memory after placing, so that neither is stranded.
    BALANCED = "balanced"
    #: By the stored seed.
    RANDOM = "random"


class Operator(StrEnum):
    IN = "in"
    NOT_IN = "not_in"
    EXISTS = "exists"
    NOT_EXISTS = "not_exists"


@dataclass(frozen=True, slots=True)
class LabelTerm:
    """One demand on a host's labels; ``values`` for IN and NOT_IN."""

    key: str
    operator: Operator = Operator.EXISTS
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Preference:
    """Hosts that satisfy the term are better by ``weight`` (1 to 100)."""

    term: LabelTerm
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Share:
    """One group's part of a workload's members. ``cap`` -1: none.

    ``hosts`` (names or ids): the group's hosts, instead of those that say it of themselves.
    """

    name: str
    weight: int = 100
    cap: int = -1
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Quota:
    """Members divided over the groups of a key by weight: a group takes at most ceil(members × weight / sum of weights).

    Hard: hosts of no named group, and of a group that has its quota, do not fit. Soft: they come after the others.
    """

    key: str  # zone | region
    shares: tuple[Share, ...]
    hard: bool = False
    #: The project whose words the names of hosts are; empty: an operator's.
    viewer: str = ""


@dataclass(frozen=True, slots=True)
class Affinity:
    """Toward members of a workload (a cluster id), grouped by a key: together with them, or apart from them.

    The members of the workloads in ``also`` count as if they were ``workload``'s. Under a rule that keeps a workload together
    with its own members (it is ``workload`` or in ``also``) the first member of all of them is free to go anywhere.
    """

    workload: str
    key: str = "host"
    apart: bool = True
    hard: bool = True
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Thresholds:
    """LEAST_UTILIZED prefers hosts whose measured shares (0 to 1) are below these; None: not looked at."""

    cpu: float | None = 0.8
    memory: float | None = None
    #: Samples older than this many seconds count as unknown.
    max_age: float = 60.0


@dataclass(frozen=True, slots=True)
class PlacementRules:
    """Everything a workload's policies ask for, merged. The defaults ask for nothing."""

    strategy: Strategy = Strategy.SPREAD
    thresholds: Thresholds = field(default_factory=Thresholds)
    #: How much measured use weighs beside reservations in the score of SPREAD and BALANCED, 0 to 1; and likewise per resource.
    weights: Mapping[str, float] = field(default_factory=dict)  # used | cpu | memory
    seed: int = 0
    #: Names or ids; empty: any host of those that the profile allows.
    hosts: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    require: tuple[LabelTerm, ...] = ()
    prefer: tuple[Preference, ...] = ()
    quotas: tuple[Quota, ...] = ()
    #: Members are spread evenly over the groups of this key; only soft quotas weigh more. None: not asked for.
    spread_over: str | None = None
    affinities: tuple[Affinity, ...] = ()
    max_per_host: int | None = None
    #: Shares (0 to 1) of each host's capacity that this workload leaves free for others.
    headroom_cpu: float = 0.0
    headroom_memory: float = 0.0
    #: The project whose words the names of hosts are; empty: an operator's.
    viewer: str = ""


NO_RULES = PlacementRules()
