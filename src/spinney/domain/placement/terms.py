"""Rules about the other members of workloads: quotas, spreading over a key, affinity. Each counts members in groups of hosts.

A term answers for one group with a count: whether its hosts are refused, and how much worse they are. Over the key ``host``
each host is its own group and counts its own residents; over any other key all hosts of a group get one answer.
"""

from __future__ import annotations

from collections.abc import Iterable

from spinney.domain.placement.model import PlacementRequest
from spinney.domain.placement.room import EVERYWHERE, Census, Grouping, Room
from spinney.domain.placement.rules import Affinity, Quota

#: Worse than any number of members.
WORST = 2**40

#: What a soft quota adds where a group has no room, and where it is the group that the node is in already.
_FULL, _OWN_FULL = 2, 1

#: Slots of a rank; see ``kinds``.
QUOTA, SPREAD, AFFINITY = 1, 2, 3


def in_members(count: int) -> str:
    return f"{count} member{'' if count == 1 else 's'}"


class Term:
    """``slot``: of the rank, where its penalty is added. ``rule``: what it is called where it refuses."""

    slot = SPREAD
    rule = "spread_over"
    hard = False

    def __init__(self, by: Grouping, workloads: tuple[str, ...], counted_on: str | None) -> None:
        self.by = by
        self.workloads = workloads
        self._counted_on = counted_on

    def prepare(self, members: int) -> None:
        """Before a run: so many members are to be there in all."""

    def free(self, census: Census) -> bool:
        """Whether there is nobody yet to be together with; a change of this concerns all hosts."""
        return False

    def on(self, room: Room, census: Census) -> tuple[bool, int]:
        """For the key ``host``."""
        count = 0
        for workload in self.workloads:
            count += room.residents.get(workload, 0)
        if self._counted_on == room.id and count:
            count -= 1
        return self.judge(room.id, count, census)

    def of(self, group: str | None, census: Census) -> tuple[bool, int]:
        """Refused, penalty."""
        return self.judge(group, self.count(group, census), census)

    def count(self, group: str | None, census: Census) -> int:
        tally = census.by(self.by)
        count = tally.count(self.workloads, group)
        if self._counted_on is not None and count and tally.group(self._counted_on) == group:
            count -= self.itself(census)
        return count

    def itself(self, census: Census) -> int:
        """1 if the node to be placed is among those counted."""
        return int(self._counted_on is not None and census.residents(self._counted_on, self.workloads) > 0)

    def judge(self, group: str | None, count: int, census: Census) -> tuple[bool, int]:
        return False, count if group is not None else WORST

    def lacking(self, group: str | None, census: Census) -> tuple[str, str, str]:
        """Why it refuses a group: needed, available, text."""
        return "", "", ""


class SpreadTerm(Term):
    """The fewest members of the workload first."""


class QuotaTerm(Term):
    slot = QUOTA
    rule = "quota"

    def __init__(self, quota: Quota, workload: str, counted_on: str | None) -> None:
        super().__init__(quota, (workload,), counted_on)
        self.quota = quota
        self.hard = quota.hard
        self.limits: dict[str, int] = {}

    def prepare(self, members: int) -> None:
        total = sum(share.weight for share in self.quota.shares) or 1
        for share in self.quota.shares:
            most = -(-members * share.weight // total)
            self.limits[share.name] = most if share.cap < 0 else min(most, share.cap)

    def judge(self, group: str | None, count: int, census: Census) -> tuple[bool, int]:
        """Whose new containers are still beside their old ones count twice, so a group may look full to who only takes its own
        place there: where all are, it stays."""
        full = group is None or count >= self.limits[group]
        if self.hard or not full:
            return full, 0
        return False, _OWN_FULL if self._is_home(group, census) else _FULL

    def _is_home(self, group: str | None, census: Census) -> bool:
        home = None if self._counted_on is None else census.by(self.by).group(self._counted_on)
        return home is not None and home == group

    def lacking(self, group: str | None, census: Census) -> tuple[str, str, str]:
        names = ", ".join(share.name for share in self.quota.shares)
        if group is None:
            return names, "none of them", f"it is in no {self.quota.key} that has a quota ({names})"
        count, limit = self.count(group, census), self.limits[group]
        return (
            f"fewer than {limit}",
            str(count),
            f"{self.quota.key} {group} has {in_members(count)}, and its quota is {limit}",
        )


class AffinityTerm(Term):
    slot = AFFINITY
    rule = "affinity"

    def __init__(self, affinity: Affinity, workload: str, counted_on: str | None) -> None:
        workloads = (affinity.workload, *affinity.also)
        own = workload in workloads
        super().__init__(affinity.key, workloads, counted_on if own else None)
        self.affinity = affinity
        self.hard = affinity.hard
        self._own = own

    def free(self, census: Census) -> bool:
        if self.affinity.apart:
            return False
        return census.by(EVERYWHERE).count(self.workloads, EVERYWHERE) <= self.itself(census)

    def judge(self, group: str | None, count: int, census: Census) -> tuple[bool, int]:
        if self.affinity.apart:
            bad = WORST if group is None else count
        elif group is None:
            bad = 1
        else:
            bad = int(count == 0 and not (self.free(census) and (self._own or not self.hard)))
        return (bad > 0, 0) if self.hard else (False, bad)

    def lacking(self, group: str | None, census: Census) -> tuple[str, str, str]:
        key = self.affinity.key
        whose = "its own cluster" if self._own else f"cluster {self.affinity.workload}"
        if group is None:
            return f"a {key}", "none", f"it has no {key} to go by"
        if self.affinity.apart:
            count = self.count(group, census)
            return "none", str(count), f"{in_members(count)} of {whose} on the same {key}"
        return "at least 1", "0", f"no member of {whose} is on the same {key}"


def terms_of(request: PlacementRequest) -> list[Term]:
    rules, workload, here = request.rules, request.workload, request.counted_on
    found: list[Term] = [QuotaTerm(quota, workload, here) for quota in rules.quotas]
    if rules.spread_over is not None:
        found.append(SpreadTerm(rules.spread_over, (workload,), here))
    found += [AffinityTerm(affinity, workload, here) for affinity in rules.affinities]
    return found


def penalties(answers: Iterable[tuple[Term, int]]) -> tuple[int, int, int]:
    """What the terms add to a rank's slots."""
    sums = [0, 0, 0]
    for term, penalty in answers:
        sums[term.slot - QUOTA] += penalty
    return sums[0], sums[1], sums[2]
