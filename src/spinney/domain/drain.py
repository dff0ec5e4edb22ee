"""Emptying a host: which moves may begin now, what holds the others up, and whether it is over.

Asked again whenever a move has ended and every few moments while something is held up; nothing is remembered between two
times but what rows say. Guaranteed: never more than ``max_in_flight`` moves at a time, never more members out of service than
their cluster's disruption budget has left, and no move begins after the deadline or once somebody has asked to stop.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from spinney.domain.budget import Purse, Standing

MAX_IN_FLIGHT = 4


@dataclass(frozen=True, slots=True)
class Resident:
    """A node placed on the host."""

    node_id: str
    name: str
    cluster_id: str = ""
    #: It is in service: moving it may cost its cluster a member for a while.
    serving: bool = True
    #: Its host answers.
    in_reach: bool = True
    #: A move of it is under way or queued.
    moving: bool = False
    #: Another action on it: what it is.
    busy: str | None = None
    #: Why no other host would take it now.
    no_room: str | None = None
    #: Why its latest move failed, and the moment before which it is not tried again.
    failed: str | None = None
    retry_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Situation:
    residents: Sequence[Resident]
    standings: Sequence[Standing] = ()
    max_in_flight: int = MAX_IN_FLIGHT
    now: float = 0.0
    deadline: float | None = None
    #: Somebody asked to stop.
    stopping: bool = False
    #: Nodes still on their way to the host, from before it was drained, or whose old container is still there.
    arriving: int = 0
    #: Moves whose node lives elsewhere already, and which have not ended yet.
    ending: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """A node that cannot leave yet."""

    node_id: str
    name: str
    why: str


class Progress(StrEnum):
    #: Moves are under way or begin now.
    MOVING = "moving"
    #: Everything that is left is held up.
    HELD = "held"
    EMPTY = "empty"
    #: The deadline has passed and the last move has ended.
    OVERDUE = "overdue"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Next:
    progress: Progress
    start: tuple[str, ...] = ()
    held: tuple[Held, ...] = field(default=())


def decide(situation: Situation) -> Next:
    moving = sum(resident.moving for resident in situation.residents) + situation.ending
    late = situation.deadline is not None and situation.now >= situation.deadline
    if not situation.residents and not situation.arriving:
        return Next(Progress.EMPTY)
    start, held = ([], _left_behind(situation)) if late or situation.stopping else _select(situation, moving)
    if moving or start:
        progress = Progress.MOVING
    elif situation.stopping:
        progress = Progress.STOPPED
    else:
        progress = Progress.OVERDUE if late else Progress.HELD
    return Next(progress, tuple(start), tuple(held))


def _select(situation: Situation, moving: int) -> tuple[list[str], list[Held]]:
    """Those that may begin, in the order given; the others with what holds them up. One that only waits for its turn is
    not held up."""
    purse = Purse(situation.standings)
    free = max(situation.max_in_flight - moving, 0)
    start: list[str] = []
    held: list[Held] = []
    for resident in situation.residents:
        if resident.moving:
            continue
        why = _hindrance(resident, situation.now)
        if why is None and len(start) < free:
            why = _cost(purse, resident)
            if why is None:
                start.append(resident.node_id)
        if why is not None:
            held.append(Held(resident.node_id, resident.name, why))
    return start, held


def _cost(purse: Purse, resident: Resident) -> str | None:
    return purse.spend(resident.cluster_id, serving=resident.serving, in_reach=resident.in_reach)


def _hindrance(resident: Resident, now: float) -> str | None:
    if resident.busy is not None:
        return f"{resident.busy} is at work on it"
    if resident.no_room is not None:
        return resident.no_room
    if resident.failed is not None and now < resident.retry_at:
        return f"its move failed and is tried again: {resident.failed}"
    return None


def _left_behind(situation: Situation) -> list[Held]:
    """What will not be moved any more, each with the last that is known of it."""
    purse = Purse(situation.standings)
    left = []
    for resident in situation.residents:
        if not resident.moving:
            why = resident.failed or _hindrance(resident, situation.now)
            why = why or _cost(purse, resident) or "its turn had not come"
            left.append(Held(resident.node_id, resident.name, why))
    return left


def told(total: int, situation: Situation, step: Next) -> str:
    """How far it is, in one line. ``total``: containers there were or came."""
    moving = sum(resident.moving for resident in situation.residents) + situation.ending + len(step.start)
    gone = max(total - len(situation.residents), 0)
    parts = [f"{gone} of {total} containers have left"]
    if moving:
        parts.append(f"{moving} moving")
    if situation.arriving:
        parts.append(f"{situation.arriving} still arriving")
    if step.held:
        parts.append(f"{len(step.held)} held up ({reasons(step.held)})")
    return ", ".join(parts) + "."


def reasons(held: Sequence[Held], most: int = 3) -> str:
    """Each reason once, with who it holds up."""
    by_reason: dict[str, list[str]] = {}
    for one in held:
        by_reason.setdefault(one.why, []).append(one.name)
    said = [_named(names, why) for why, names in list(by_reason.items())[:most]]
    if len(by_reason) > most:
        said.append(f"and {len(by_reason) - most} more reasons")
    return "; ".join(said)


def _named(names: Sequence[str], why: str, most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}: {why}"


def as_mapping(held: Sequence[Held]) -> list[Mapping[str, str]]:
    return [{"node": one.node_id, "name": one.name, "why": one.why} for one in held]
