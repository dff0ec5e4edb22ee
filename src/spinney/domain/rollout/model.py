"""A rolling update as its decisions see it: members, rules, and what may come next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from spinney.domain.drain import Held


class Order(StrEnum):
    """What comes first where a container is replaced."""

    #: The new one where there is room for it and members may overlap, else the old one's end.
    AUTO = "auto"
    START_FIRST = "start-first"
    STOP_FIRST = "stop-first"


class OnFailure(StrEnum):
    """What becomes of an update of which more members fail than may."""

    #: It ends; what was updated stays so, and the cluster keeps its profile.
    STOP = "stop"
    PAUSE = "pause"
    CONTINUE = "continue"
    ROLLBACK = "rollback"


class Manner(StrEnum):
    """How one member is updated."""

    #: Its container goes on running and is changed.
    IN_PLACE = "in-place"
    START_FIRST = "start-first"
    STOP_FIRST = "stop-first"
    #: As stop-first, of one that is out of service anyway.
    REPLACE = "replace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """For a cluster of as many members as it has now; times in seconds."""

    #: Members in a batch, at most.
    size: int
    #: Members that stay in service whatever is stopped first, and what asks for that.
    floor: int = 0
    floor_because: str = ""
    pause: float = 0.0
    order: Order = Order.AUTO
    #: Whether two containers of one member may run at the same time.
    overlap: bool = True
    #: How long a batch has to stay ready before the next one begins.
    monitor: float = 0.0
    #: How long a new container has to become ready.
    ready_timeout: float = 3600.0
    #: How many members may fail.
    tolerated: int = 0
    on_failure: OnFailure = OnFailure.STOP
    #: How many members go first, alone; 0: none do.
    canary: int = 0
    #: How long after the canary the others follow; None: when somebody says so.
    promote_after: float | None = None
    #: How long it may be that nothing can begin.
    patience: float = 3600.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """How the update of one member has ended."""

    batch: int
    ended_at: float
    failed: bool = False
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """``serving``: it is ready and nothing at work or queued takes it out of service. ``ready_at``: since when it is ready, or
    is not."""

    id: str
    name: str
    #: Made from the profile that it is to be made from.
    updated: bool = False
    serving: bool = True
    ready: bool = True
    ready_at: float = 0.0
    #: What it has has failed, and only a new container will do.
    broken: bool = False
    #: Its container had to be repaired since its attempt ended.
    repaired: bool = False
    #: What is the matter with it, in words.
    ailment: str = ""
    #: Why nobody expects it to be ready.
    excused: str = ""
    #: What else is at work on it.
    busy: str = ""
    #: Its update is at work or queued.
    under_way: Manner | None = None
    #: The latest that counts.
    attempt: Attempt | None = None
    in_place: bool = False
    #: Its host answers, so that its container can be stopped.
    in_reach: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """``members`` in the order in which they are to be updated, but the broken go first."""

    members: Sequence[Member]
    rules: Rules
    now: float
    #: The number of the latest batch, and how many it is to have.
    batch: int = 0
    planned: int = 0
    promoted: bool = False
    #: Why it pauses.
    paused: str = ""
    #: Members are brought back to what they were: those that serve nobody come first, alone.
    restoring: bool = False
    #: Since when nothing could begin.
    held_since: float | None = None
    #: By member: why there is no room for a further container of it; empty: there is. Members left out were not asked for.
    #: None: nobody was.
    room: Mapping[str, str] | None = None


class Progress(StrEnum):
    #: Something is under way or begins now.
    UPDATING = "updating"
    #: The batch has to stay ready for a while.
    WATCHING = "watching"
    #: Between two batches.
    RESTING = "resting"
    #: The canary is updated, and the others wait until it is promoted.
    CANARY = "canary"
    #: Nothing is under way and nothing can begin.
    HELD = "held"
    PAUSED = "paused"
    #: Too many have failed: everything goes back.
    TURNING = "turning"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Start:
    member_id: str
    manner: Manner


@dataclass(frozen=True, slots=True)
class Next:
    """``batch``: the number of the latest batch from now on, which those of ``start`` belong to. ``planned``: how many that one
    is to have, if it is a new one. ``until``: when it goes on by itself."""

    progress: Progress
    batch: int
    reason: str = ""
    start: tuple[Start, ...] = ()
    held: tuple[Held, ...] = field(default=())
    until: float | None = None
    promoted: bool = False
    planned: int = 0
