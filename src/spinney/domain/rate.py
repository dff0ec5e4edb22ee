"""How often something may happen: at a steady rate, with a burst.

One moment stands for everything let through so far: when the whole burst would be to be had again. Each passage moves it on by
its share of a second; what would move it further ahead than the burst reaches has to wait.
"""

from __future__ import annotations

from dataclasses import dataclass

#: Seconds; moments are far larger than what they differ by.
_ROUNDING = 1e-5


@dataclass(frozen=True, slots=True)
class Rate:
    """``per_second`` 0: as often as one likes."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Passage:
    """``full_at``: what to remember. ``delay``: seconds to wait before passing."""

    full_at: float
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """``after``: in how many seconds it may be tried again."""

    after: float


def ask(full_at: float, now: float, rate: Rate, patience: float = 0.0, cost: int = 1) -> Passage | Refusal:
    """Pass, after a delay of at most ``patience``; or not at all, which changes nothing. ``cost``: for how many it counts."""
    if not rate.per_second:
        return Passage(full_at)
    share = 1 / rate.per_second
    moved = max(full_at, now) + share * cost
    delay = moved - now - rate.burst * share
    if delay > patience + _ROUNDING:
        return Refusal(delay - patience)
    return Passage(moved, delay if delay > _ROUNDING else 0.0)


def charge(full_at: float, now: float, rate: Rate, cost: float) -> float:
    """What to remember when something that has passed already turned out to count for more."""
    return max(full_at, now) + cost / rate.per_second if rate.per_second else full_at
