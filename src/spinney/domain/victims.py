"""Which members go when a cluster shrinks and nobody named them: pure.

Guaranteed: hosts in use are last; a count that the members can meet is met; equal input gives equal output, chance included,
because it comes in as a seed. What a member's zone or region is to lose (``shares``) is taken there; what the shares do not
cover comes from members of no share first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from spinney.domain.host import Duty
from spinney.domain.member import Member
from spinney.domain.node import NodeStatus

_BAD = (NodeStatus.ERROR, NodeStatus.WARNING)


class Criteria(StrEnum):
    OLDEST_FIRST = "OLDEST_FIRST"
    OLDEST_PROFILE_FIRST = "OLDEST_PROFILE_FIRST"
    YOUNGEST_FIRST = "YOUNGEST_FIRST"
    RANDOM = "RANDOM"

    @property
    def told(self) -> str:
        """What is said of a member that goes because of it."""
        return _TOLD[self]


_TOLD = {
    Criteria.OLDEST_FIRST: "the oldest",
    Criteria.OLDEST_PROFILE_FIRST: "of the oldest profile",
    Criteria.YOUNGEST_FIRST: "the youngest",
    Criteria.RANDOM: "drawn by lot, which is drawn anew when it is done",
}


@dataclass(frozen=True, slots=True)
class Shares:
    """How many members each group loses. ``key``: ``zone`` or ``region``."""

    key: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)

    def of(self, member: Member) -> str | None:
        group: str | None = getattr(member, self.key) if self.key else None
        return group if group in self.counts else None


ANYWHERE = Shares()


def shares_of(deletion: Mapping[str, Any]) -> Shares:
    """What the policies of regions, else of zones, have written into an action's ``deletion`` data."""
    for key in ("region", "zone"):
        if deletion.get(f"{key}s") is not None:
            return Shares(key, deletion[f"{key}s"])
    return ANYWHERE


def victims(
    members: Sequence[Member],
    count: int,
    *,
    criteria: Criteria | None = None,
    seed: str = "",
    shares: Shares = ANYWHERE,
) -> list[Member]:
    """Without criteria those that are not ready go, then the youngest. Before any criteria go the broken, the tainted and the
    unmade."""
    order = _usual if criteria is None else _order(criteria, seed)
    left = sorted(members, key=order)
    chosen: list[Member] = []
    for name in sorted(shares.counts):
        here = [member for member in left if shares.of(member) == name][: shares.counts[name]]
        gone = {member.id for member in here}
        chosen += here
        left = [member for member in left if member.id not in gone]
    left.sort(key=lambda member: shares.of(member) is not None)
    return (chosen + left)[: max(count, 0)]


def bad_first(members: Sequence[Member]) -> list[Member]:
    """In the order of their indexes, but the broken, the tainted and then the unmade before the others."""
    return sorted(members, key=lambda member: (_worth(member), member.index))


def _worth(member: Member) -> int:
    if member.status in _BAD or member.tainted:
        return 0
    return 1 if member.created_at is None else 2


def _usual(member: Member) -> tuple[Any, ...]:
    worthless = member.status in _BAD or not member.made
    worth = 0 if worthless else 1 if member.tainted else 2
    return (member.used, worth, member.ready, member.duty is Duty.OPEN, not member.leaving, -member.index)


def _order(criteria: Criteria, seed: str) -> Callable[[Member], tuple[Any, ...]]:
    """Among those that the criteria count as equal, a member goes whose host is to be left, then of the fullest host; lots are
    drawn after that."""

    def age(member: Member) -> tuple[Any, ...]:
        born = member.created_at or 0.0
        if criteria is Criteria.RANDOM:
            lot = hashlib.sha256(f"{seed}:{member.id}".encode()).hexdigest()
            return (not member.leaving, lot)
        if criteria is Criteria.OLDEST_PROFILE_FIRST:
            born = member.profile_created_at
        return (-born if criteria is Criteria.YOUNGEST_FIRST else born, not member.leaving, -member.crowd)

    def order(member: Member) -> tuple[Any, ...]:
        worth = _worth(member)
        return (member.used, worth, *(age(member) if worth == 2 else ()), member.index)

    return order
