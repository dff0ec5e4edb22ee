"""What would have to happen for the size to change: figures beyond which each target would grow or shrink the cluster, and the
next moment of a schedule. These hold as long as the members stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spinney.clock import iso
from spinney.domain.autoscale import wording
from spinney.domain.autoscale.reading import Reading
from spinney.domain.autoscale.rules import Rules, Signal, Target
from spinney.domain.autoscale.timetable import Bounds
from spinney.domain.autoscale.values import Kind, Reason, Situation


def reasons(rules: Rules, situation: Situation, found: Bounds, readings: Mapping[Signal, Reading]) -> list[Reason]:
    told = [_about(target, rules, situation, found, readings[target.signal]) for target in rules.targets]
    return [*(one for one in told if one is not None), *_schedules(rules, situation.now)]


def _about(target: Target, rules: Rules, situation: Situation, found: Bounds, reading: Reading) -> Reason | None:
    size = situation.size
    if not size:
        if not target.signal.shared:
            return None
        return Reason(Kind.AHEAD, f"It grows as soon as {wording.called(target.signal)} is more than nothing.")
    grows = target.target * (1 + rules.up.tolerance)
    # Short of one member less, and beyond the tolerance.
    shrinks = min(target.target * (size - 1) / size, target.target * (1 - rules.down.tolerance))
    texts: list[str] = []
    data: dict[str, Any] = {"metric": target.signal.name}
    if size < found.high and rules.up.enabled:
        texts.append(f"grows when it is above {wording.figure(target.signal, grows)}{_for(rules.up.window)}")
        data["grows_above"] = grows
    if size > found.low and rules.down.enabled:
        texts.append(f"shrinks when it is below {wording.figure(target.signal, shrinks)}{_for(rules.down.window)}")
        data["shrinks_below"] = shrinks
    if not texts:
        return None
    return Reason(Kind.AHEAD, f"By {wording.called(target.signal)} it {' and '.join(texts)}.", data)


def _for(window: float) -> str:
    return f" for {wording.seconds(window)}" if window else ""


def _schedules(rules: Rules, now: float) -> list[Reason]:
    coming = [(at, one) for one in rules.schedules if (at := one.cron.next_after(now)) is not None]
    if not coming:
        return []
    at, schedule = min(coming, key=lambda pair: pair[0])
    changes = {"min": schedule.minimum, "max": schedule.maximum, "desired": schedule.desired}
    told = ", ".join(f"{name} {value}" for name, value in changes.items() if value is not None)
    data = {"schedule": schedule.name, "at": iso(at)}
    return [Reason(Kind.AHEAD, f"Schedule '{schedule.name}' comes at {iso(at)}: {told}.", data)]
