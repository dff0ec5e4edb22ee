"""What each target and each metric with steps asks for, and what they ask for together.

What is not known counts against a change in either direction. For growing, members whose figure is missing or that are still
coming are taken to have nothing of the metric; for shrinking, those whose figure is missing are taken to be at the target, and
a step that shrinks needs the figures of all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spinney.domain import sizing
from spinney.domain.autoscale import wording
from spinney.domain.autoscale.reading import Reading
from spinney.domain.autoscale.rules import Metric, Rules, Signal, Step, Target
from spinney.domain.autoscale.values import Kind, Reason, Situation

#: What rounding leaves over is no further member.
_ROUNDING = 1e-9
#: Nobody asks for more.
_MOST = 1_000_000


@dataclass(frozen=True, slots=True)
class Opinion:
    """``wanted`` None: it is not known. ``silent``: it has nothing to say, either way."""

    reason: Reason
    wanted: int | None = None
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """``size`` None: nothing is known. ``because``: what counted most."""

    size: int | None
    because: str
    reasons: tuple[Reason, ...]


def together(rules: Rules, situation: Situation, readings: Mapping[Signal, Reading]) -> Asked:
    opinions = [_tracked(target, rules, situation.size, readings[target.signal]) for target in rules.targets]
    by_signal: dict[Signal, list[Step]] = {}
    for step in rules.steps:
        by_signal.setdefault(step.signal, []).append(step)
    opinions += [_stepped(steps, situation.size, readings[signal]) for signal, steps in by_signal.items()]
    if not opinions:
        return Asked(None, "no metric is to be looked at, only schedules", ())
    reasons = tuple(one.reason for one in opinions)
    known = [one for one in opinions if one.wanted is not None]
    unknown = [one for one in opinions if one.wanted is None and not one.silent]
    if not known:
        because = unknown[0].reason.text if unknown else opinions[0].reason.text
        return Asked(None if unknown or not situation.size else situation.size, because, reasons)
    best = max(known, key=lambda one: one.wanted or 0)
    size, because = best.wanted or 0, best.reason.text
    if _idle(rules, readings) and size == 1:
        because = "no requests come"
        reasons += (Reason(Kind.IDLE, "No requests come, so what one member uses of other metrics does not keep it."),)
        size = 0
    if size < situation.size and unknown:
        names = _named(one.reason.data["metric"] for one in unknown)
        because = f"{wording.members(size)} would do, but nothing is known of {names}, and that may need more"
        reasons += (Reason(Kind.AGREEMENT, f"{because[0].upper()}{because[1:]}.", {"would_do": size}),)
        size = situation.size
    return Asked(size, because, reasons)


def _idle(rules: Rules, readings: Mapping[Signal, Reading]) -> bool:
    """Whether a cluster that may go to zero serves nobody."""
    requests = [one.whole for signal, one in readings.items() if signal.metric is Metric.REQUESTS]
    return rules.scale_to_zero and bool(requests) and all(one == 0 for one in requests)


def _named(names: Iterable[str]) -> str:
    return ", ".join(names)


# --- targets ----------------------------------------------------------------------------------------------------------


def _tracked(target: Target, rules: Rules, size: int, reading: Reading) -> Opinion:
    if reading.figure is None:
        return _unknown(reading, size)
    if target.signal.shared:
        wanted = _for_all(target, rules, size, reading)
    else:
        wanted = _for_each(target, rules, size, reading, reading.figure)
    text = f"{_shown(target, reading, reading.figure)}: {_meaning(target, rules, size, reading, wanted)}."
    return Opinion(Reason(Kind.TARGET, text, _data(target, reading, wanted)), wanted)


def _for_each(target: Target, rules: Rules, size: int, reading: Reading, figure: float) -> int:
    load = figure * reading.counted
    if load / (reading.ready + reading.coming) / target.target > 1 + rules.up.tolerance:
        return max(_whole(load / target.target), size)
    load += target.target * reading.missing
    if load / reading.ready / target.target < 1 - rules.down.tolerance:
        return min(max(_whole(load / target.target), 1), size)
    return size


def _for_all(target: Target, rules: Rules, size: int, reading: Reading) -> int:
    whole, there = reading.whole or 0.0, reading.ready + reading.coming
    needed = _whole(whole / target.target)
    if not there:
        return max(needed, size)
    ratio = whole / target.target / there
    if ratio > 1 + rules.up.tolerance:
        return max(needed, size)
    return min(needed, size) if ratio < 1 - rules.down.tolerance else size


def _whole(number: float) -> int:
    return min(math.ceil(min(number, _MOST) - _ROUNDING), _MOST)


def _shown(target: Target, reading: Reading, figure: float) -> str:
    signal = target.signal
    name, aim = wording.called(signal), wording.figure(signal, target.target)
    if signal.shared:
        whole = wording.figure(signal, reading.whole or 0.0)
        shown = f"{name} of the whole cluster is {whole}, {wording.figure(signal, figure)} for each of {_crew(reading)}"
    else:
        kind = "at most" if signal.aggregation == "maximum" else "on average"
        shown = f"{name} is {wording.figure(signal, figure)} {kind} in {_crew(reading)}"
    return f"{shown}; the target is {aim}"


def _meaning(target: Target, rules: Rules, size: int, reading: Reading, wanted: int) -> str:
    if wanted != size:
        return f"{wording.members(wanted)} would be right"
    ratio = (reading.figure or 0.0) / target.target
    all_tell = reading.counted == size and not (reading.missing or reading.coming)
    stay = f"{wording.members(size)} stay right"
    if not all_tell or _whole(ratio * size) == size:
        return stay
    tolerance = rules.up.tolerance if ratio > 1 else rules.down.tolerance
    return f"{stay}, within the tolerance of {100 * tolerance:g} %"


def _crew(reading: Reading) -> str:
    there = f"{wording.members(reading.counted)}"
    others = [(reading.missing, "not known"), (reading.coming, "coming")]
    told = [f"{count} {what}" for count, what in others if count]
    return f"{there} ({', '.join(told)})" if told else there


def _data(target: Target, reading: Reading, wanted: int) -> dict[str, Any]:
    return {**_seen(reading), "target": target.target, "wanted": wanted}


def _seen(reading: Reading) -> dict[str, Any]:
    return {
        "metric": reading.signal.name,
        "figure": reading.figure,
        "whole": reading.whole,
        "counted": reading.counted,
        "missing": reading.missing,
        "coming": reading.coming,
    }


def _unknown(reading: Reading, size: int) -> Opinion:
    name = wording.called(reading.signal)
    if not size and not reading.signal.shared:
        text = f"{name} is not looked at while there are no members."
        return Opinion(Reason(Kind.NOTHING, text, _seen(reading)), silent=True)
    if reading.signal.metric is Metric.REQUESTS:
        text = f"{name} is unknown: no load balancer of the cluster has counted any just now."
    elif reading.missing:
        why = f"; one told nothing because: {reading.why.rstrip('.')}" if reading.why else ""
        text = f"{name} is unknown: there is no fresh sample of any of {wording.members(reading.missing)}{why}."
    else:
        coming = f", {reading.coming} are coming" if reading.coming else ""
        text = f"{name} is unknown: no member is ready and long enough so{coming}."
    return Opinion(Reason(Kind.UNKNOWN, text, _seen(reading)))


# --- steps ------------------------------------------------------------------------------------------------------------


def _stepped(steps: Sequence[Step], size: int, reading: Reading) -> Opinion:
    """Of the steps that hold the one with the largest size counts."""
    if reading.figure is None:
        return _unknown(reading, size)
    signal = reading.signal
    shown = f"{wording.called(signal)} is {wording.figure(signal, reading.figure)} in {_crew(reading)}"
    holding = [wanted for step in steps if (wanted := _step(step, size, reading, reading.figure)) is not None]
    if not holding:
        reason = Reason(Kind.STEP, f"{shown}: no step is for that.", {**_seen(reading), "wanted": None})
        return Opinion(reason, silent=True)
    wanted = max(holding)
    text = f"{shown}: a step asks for {wording.members(wanted)}."
    return Opinion(Reason(Kind.STEP, text, {**_seen(reading), "wanted": wanted}), wanted)


def _step(step: Step, size: int, reading: Reading, figure: float) -> int | None:
    """The size that it asks for; None: it does not hold."""
    wanted = min(max(sizing.calculate(step.adjustment, step.number, size), 0), _MOST)
    if wanted > size:
        figure = _least(reading, figure)
    elif wanted < size and reading.missing:
        return None
    above = step.at_least is None or figure >= step.at_least
    return wanted if above and (step.below is None or figure < step.below) else None


def _least(reading: Reading, figure: float) -> float:
    """A member's figure if those of whom nothing is known, or nothing yet, have nothing."""
    there = reading.ready + reading.coming
    if reading.signal.shared:
        return (reading.whole or 0.0) / max(1, there)
    return figure * reading.counted / max(1, there)
