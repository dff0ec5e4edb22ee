"""How well a cluster followed its load: arithmetic over what was seen at regular moments, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Moment:
    """``offered`` and ``counted``: requests per second, by the clients and by the load balancer; ``size``: members that were
    wanted then; ``serving``: those in the pool."""

    at: float
    offered: float
    size: int
    serving: int
    counted: float | None = None


@dataclass(frozen=True, slots=True)
class Aim:
    """What a policy aims at: so much for each of ``least`` to ``most`` members, and how far off it lets that be (a fraction).
    ``memory``: seconds for which it goes on keeping what was needed."""

    target: float
    least: int
    most: int
    tolerance: float = 0.1
    memory: float = 0.0

    def ideal(self, offered: float) -> int:
        return self._bounded(offered / self.target)

    def enough(self, offered: float) -> int:
        """The fewest with which nobody has more than the tolerance lets them."""
        return self._bounded(offered / self.target / (1 + self.tolerance))

    def _bounded(self, members: float) -> int:
        return min(max(math.ceil(members - _ROUNDING), self.least), self.most)


@dataclass(frozen=True, slots=True)
class Followed:
    """``overshoot``: most members wanted above the highest ideal of the time that the policy remembers; ``to_spare``: above
    that of the moment. ``flaps``: turns of the size, up to down or down to up, that the ideal did not make. Shares are of the
    member-seconds that would have been ideal; ``short`` and ``spare``: below and above the ideal, which has no tolerance;
    ``lacking``: below what the tolerance asks for."""

    changes: int
    flaps: int
    overshoot: int
    to_spare: int
    worst: int
    short: float
    lacking: float
    spare: float


def followed(moments: Sequence[Moment], aim: Aim) -> Followed:
    """``moments`` are equally far apart."""
    ideal = [aim.ideal(one.offered) for one in moments]
    sizes = [one.size for one in moments]
    whole = max(sum(ideal), 1)
    remembered = [_remembered(moments, ideal, index, aim.memory) for index in range(len(moments))]
    return Followed(
        changes=sum(a != b for a, b in pairwise(sizes)),
        flaps=max(turns(sizes) - turns(ideal), 0),
        overshoot=max((one.size - most for one, most in zip(moments, remembered, strict=True)), default=0),
        to_spare=max((one.size - right for one, right in zip(moments, ideal, strict=True)), default=0),
        worst=max((right - one.serving for one, right in zip(moments, ideal, strict=True)), default=0),
        short=sum(max(right - one.serving, 0) for one, right in zip(moments, ideal, strict=True)) / whole,
        lacking=sum(max(aim.enough(one.offered) - one.serving, 0) for one in moments) / whole,
        spare=sum(max(one.serving - right, 0) for one, right in zip(moments, ideal, strict=True)) / whole,
    )


def _remembered(moments: Sequence[Moment], ideal: Sequence[int], index: int, memory: float) -> int:
    since = moments[index].at - memory
    return max(right for one, right in zip(moments[: index + 1], ideal, strict=False) if one.at >= since)


def turns(sizes: Sequence[int]) -> int:
    """How often a course changes its direction."""
    ways = [after > before for before, after in pairwise(sizes) if after != before]
    return sum(a != b for a, b in pairwise(ways))


@dataclass(frozen=True, slots=True)
class Reaction:
    """Seconds from a step of the load until: another size was wanted; the first member more (or fewer) served; as many served
    as is ideal. None: that did not come."""

    ordered: float | None
    first: float | None
    settled: float | None


def reaction(moments: Sequence[Moment], aim: Aim, step: float) -> Reaction:
    """``step``: when the load changed, for as long as ``moments`` last."""
    before = [one for one in moments if one.at < step][-1]
    after = [one for one in moments if one.at >= step]
    up = after[0].offered > before.offered

    def until(holds: Callable[[Moment], bool]) -> float | None:
        return next((one.at - step for one in after if holds(one)), None)

    def beyond(number: int, than: int) -> bool:
        return number > than if up else number < than

    def settled(one: Moment) -> bool:
        right = aim.ideal(one.offered)
        return one.serving >= right if up else one.serving <= right

    return Reaction(
        until(lambda one: beyond(one.size, before.size)),
        until(lambda one: beyond(one.serving, before.serving)),
        until(settled),
    )


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at the cluster, at any moment."""

    at: float
    size: int
    serving: int
    counted: float | None


def regular(
    looks: Sequence[Seen], offered: Callable[[float], float], end: float, every: float = 1.0
) -> Iterator[Moment]:
    """What was last seen at each moment from 0 on; ``looks`` are in order, the first of them not after 0."""
    index = 0
    for number in range(int(end / every)):
        at = number * every
        while index + 1 < len(looks) and looks[index + 1].at <= at:
            index += 1
        seen = looks[index]
        yield Moment(at, offered(at), seen.size, seen.serving, seen.counted)
