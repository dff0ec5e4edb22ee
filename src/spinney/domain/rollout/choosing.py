"""Which members begin now, and how. Guaranteed: of what is stopped first, never more than leaves the floor in service."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from spinney.domain.drain import Held
from spinney.domain.rollout.model import Manner, Member, Order, Rules, Situation, Start

#: Members beyond those that may begin for which the scheduler is asked: some of the first may be held up.
_FURTHER = 8
_NOT_ASKED = "its turn has not come"


@dataclass(slots=True)
class Choice:
    start: list[Start] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)


def choose(situation: Situation, wanting: Sequence[Member], slots: int) -> Choice:
    """At most ``slots`` of those that are wanting, in their order."""
    choice = Choice()
    crowded: list[tuple[Member, str]] = []
    for member in wanting:
        if len(choice.start) >= slots:
            return choice
        if member.busy:
            choice.held.append(Held(member.id, member.name, f"{member.busy} is at work on it"))
            continue
        manner = _without_room(member, situation.rules)
        if manner is not None:
            choice.start.append(Start(member.id, manner))
        elif not _may_start(situation.rules):
            _stop_first(situation, choice, member)
        elif lacking := _lacking(situation, member):
            crowded.append((member, lacking))
        else:
            choice.start.append(Start(member.id, Manner.START_FIRST))
    _squeeze(situation, choice, crowded, slots)
    return choice


def to_ask_for(situation: Situation, wanting: Iterable[Member], slots: int) -> list[str]:
    """The members for which it matters whether there is room for a further container."""
    if not _may_start(situation.rules) or slots <= 0:
        return []
    asked = [m.id for m in wanting if not m.busy and _without_room(m, situation.rules) is None]
    return asked[: slots + _FURTHER]


def _may_start(rules: Rules) -> bool:
    return rules.overlap and rules.order is not Order.STOP_FIRST


def _without_room(member: Member, rules: Rules) -> Manner | None:
    """How it is updated where that costs neither service nor room; None: it costs one of them."""
    if member.in_place and not member.broken:
        return Manner.IN_PLACE
    return None if member.serving or not member.in_reach else Manner.REPLACE


def _lacking(situation: Situation, member: Member) -> str:
    """Why no further container of it has room; empty: one has."""
    return "" if situation.room is None else situation.room.get(member.id, _NOT_ASKED)


def _squeeze(situation: Situation, choice: Choice, crowded: Sequence[tuple[Member, str]], slots: int) -> None:
    """Those without room for a further container: as long as any other is replaced that way room may come free."""
    starting = any(one.manner is Manner.START_FIRST for one in choice.start)
    starting = starting or any(member.under_way is Manner.START_FIRST for member in situation.members)
    for member, why in crowded:
        if len(choice.start) >= slots:
            return
        if situation.rules.order is Order.START_FIRST or starting:
            choice.held.append(
                Held(member.id, member.name, f"there is no room for its new container beside the old one: {why}")
            )
        else:
            _stop_first(situation, choice, member)


def _stop_first(situation: Situation, choice: Choice, member: Member) -> None:
    if not member.in_reach:
        why = (
            "its host does not answer, so its container may still run, and members must not run twice (spinney.overlap)"
        )
        choice.held.append(Held(member.id, member.name, why))
        return
    rules = situation.rules
    stopping = sum(one.manner is Manner.STOP_FIRST for one in choice.start)
    serving = sum(one.serving for one in situation.members)
    if serving - stopping > rules.floor:
        choice.start.append(Start(member.id, Manner.STOP_FIRST))
        return
    why = f"{serving - stopping} are in service then, and {rules.floor} have to stay ({rules.floor_because})"
    choice.held.append(Held(member.id, member.name, why))
