"""Which bounds count at a moment, and whether a schedule sets a size then.

The schedule whose moment came last counts, as long as its duration lasts; of several that came at one moment the one that
stands last. That depends on the moment alone, not on what was evaluated before it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from spinney.clock import iso
from spinney.domain.autoscale.rules import Rules, Schedule
from spinney.domain.autoscale.values import Kind, Reason, Situation
from spinney.domain.cron import Cron

_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Bounds:
    """``schedule``: the one that counts, and since when; None: the policy's own bounds do."""

    low: int
    high: int
    schedule: Schedule | None = None
    since: float | None = None
    reasons: tuple[Reason, ...] = ()


def bounds(rules: Rules, situation: Situation) -> Bounds:
    """Those of the policy or of a schedule, within those of the cluster. Guaranteed: ``low`` is at most ``high``; 0 only
    where the rules allow it."""
    found = in_force(rules, situation.now)
    schedule, since = found if found is not None else (None, None)
    minimum, maximum = rules.minimum, rules.maximum
    if schedule is not None:
        minimum = minimum if schedule.minimum is None else schedule.minimum
        maximum = maximum if schedule.maximum is None else schedule.maximum
    least = 0 if rules.scale_to_zero else 1
    ceiling = max(situation.ceiling, situation.floor, 0)
    low = min(max(minimum, situation.floor, least), ceiling)
    high = max(min(maximum, ceiling), low)
    reasons = () if schedule is None else (_told(schedule, since, low, high, ceiling),)
    return Bounds(low, high, schedule, since, reasons)


def in_force(rules: Rules, now: float) -> tuple[Schedule, float] | None:
    """The schedule that counts, and its moment."""
    best: tuple[Schedule, float] | None = None
    for schedule in rules.schedules:
        at = _latest(schedule.cron, int(now // _MINUTE))
        lasts = at is not None and (schedule.duration is None or now < at + schedule.duration)
        if at is not None and lasts and (best is None or at >= best[1]):
            best = schedule, at
    return best


def due(found: Bounds, honoured: float | None) -> int | None:
    """The size that a schedule sets and that nobody has seen to yet."""
    if found.schedule is None or found.schedule.desired is None or found.since is None or honoured is None:
        return None
    return min(max(found.schedule.desired, found.low), found.high) if found.since > honoured else None


def _told(schedule: Schedule, since: float | None, low: int, high: int, ceiling: int) -> Reason:
    asked = [("min", schedule.minimum), ("max", schedule.maximum)]
    beyond = [f"{key} {value}" for key, value in asked if value is not None and value > ceiling]
    clamped = f" It says {' and '.join(beyond)}, and the cluster may have {ceiling} at most." if beyond else ""
    text = f"Schedule '{schedule.name}' counts since {iso(since)}: {low} to {high} members.{clamped}"
    return Reason(Kind.SCHEDULE, text, {"schedule": schedule.name, "since": iso(since), "low": low, "high": high})


@lru_cache(maxsize=4096)
def _latest(cron: Cron, minute: int) -> float | None:
    """Moments are whole minutes, so the latest one is the same for all of a minute."""
    return cron.last_until(float(minute * _MINUTE))
