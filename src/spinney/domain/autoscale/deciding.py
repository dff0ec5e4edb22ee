"""How many members, and why.

Guaranteed, whatever is measured: a size outside the bounds is brought back into them at once, and no other order leaves them;
what is unknown never lowers the size; without any figure the size stays; equal input gives equal output. Windows, rates and
cooldowns hold for what metrics ask for; bounds and the sizes that schedules set do not wait for them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from spinney.domain.action import ActionKind
from spinney.domain.autoscale import ahead, asking, holding, reading, timetable, wording
from spinney.domain.autoscale.reading import Reading
from spinney.domain.autoscale.rules import Direction, Rules, Signal
from spinney.domain.autoscale.timetable import Bounds
from spinney.domain.autoscale.values import By, Decision, Kind, Order, Proposal, Reason, Situation, State


@dataclass(frozen=True, slots=True)
class _Answer:
    """``held``: it must not be carried out now."""

    by: By
    proposed: int | None
    wanted: int
    because: str
    reasons: tuple[Reason, ...] = ()
    held: bool = False


def evaluate(rules: Rules, situation: Situation, state: State) -> Decision:
    found = timetable.bounds(rules, situation)
    readings = {signal: reading.take(signal, rules, situation) for signal in rules.signals}
    seeded = holding.seeded(rules, state, situation.now)
    if seeded:
        state = replace(state, proposals=(Proposal(situation.now, situation.now, situation.size),))
    answer = _answer(rules, situation, state, found, readings)
    reasons = [*found.reasons, *answer.reasons]
    held = answer.held
    gate = next((g for g in situation.gates if g.direction is None and g.until > situation.now), None)
    if answer.wanted != situation.size and not held:
        if situation.busy:
            reasons.append(Reason(Kind.BUSY, f"Nothing can be ordered now: {situation.busy}."))
            held = True
        elif gate is not None and answer.by is not By.METRICS:
            reasons.append(Reason(Kind.HELD, f"It waits: {gate.text}."))
            held = True
    order = None if held else _order(answer, situation.size)
    reasons += ahead.reasons(rules, situation, found, readings)
    return Decision(
        at=situation.now,
        size=situation.size,
        low=found.low,
        high=found.high,
        proposed=answer.proposed,
        wanted=answer.wanted,
        by=answer.by,
        order=order,
        reasons=tuple(reasons),
        sentence=_sentence(situation.size, answer, reasons, held),
        samples=tuple(one.sample(situation.now) for one in readings.values()),
        seeded=seeded,
        honoured=_honoured(answer, found, state, situation.now, held),
    )


def _answer(
    rules: Rules, situation: Situation, state: State, found: Bounds, readings: dict[Signal, Reading]
) -> _Answer:
    asked = asking.together(rules, situation, readings)
    size = situation.size
    if not found.low <= size <= found.high:
        nearest = found.low if size < found.low else found.high
        because = f"{size} is outside of {found.low} to {found.high}"
        told = Reason(Kind.BOUNDS, f"{wording.members(size)} are not within {found.low} to {found.high}.")
        return _Answer(By.BOUNDS, asked.size, nearest, because, (*asked.reasons, told))
    set_to = timetable.due(found, state.honoured)
    if set_to is not None and found.schedule is not None:
        desired = found.schedule.desired
        clamped = f": it says {desired}, and {found.low} to {found.high} are allowed" if desired != set_to else ""
        because = f"schedule '{found.schedule.name}' sets {set_to}{clamped}"
        text = f"Schedule '{found.schedule.name}' sets the size to {set_to}{clamped}."
        told = Reason(Kind.SCHEDULE, text, {"sets": set_to})
        return _Answer(By.SCHEDULE, set_to, set_to, because, (*asked.reasons, told))
    if asked.size is None:
        return _Answer(By.METRICS, None, size, asked.because, asked.reasons)
    return _by_metrics(rules, situation, state, found, asked, asked.size)


def _by_metrics(
    rules: Rules, situation: Situation, state: State, found: Bounds, asked: asking.Asked, proposed: int
) -> _Answer:
    reasons = list(asked.reasons)
    because = asked.because
    within = min(max(proposed, found.low), found.high)
    if within != proposed:
        text = f"{found.low} to {found.high} are allowed, so {within}."
        reasons.append(Reason(Kind.BOUNDS, text, {"asked": proposed, "allowed": within}))
    wanted, told = holding.steadied(rules, situation, state, within)
    wanted = min(max(wanted, found.low), found.high)
    slower, slow = holding.slowed(rules, situation, state, wanted)
    reasons += [one for one in (told, slow) if one is not None]
    if slower != situation.size:
        direction = Direction.UP if slower > situation.size else Direction.DOWN
        cooling = holding.cooling(rules, situation, state, direction)
        if cooling is not None:
            return _Answer(By.METRICS, proposed, slower, because, (*reasons, cooling), held=True)
    return _Answer(By.METRICS, proposed, slower, because, tuple(reasons))


def _order(answer: _Answer, size: int) -> Order | None:
    """Bounds and schedules resize, which no scaling policy's cooldown refuses."""
    if answer.wanted == size:
        return None
    if answer.by is not By.METRICS:
        return Order(ActionKind.CLUSTER_RESIZE, answer.wanted)
    growing = answer.wanted > size
    kind = ActionKind.CLUSTER_SCALE_OUT if growing else ActionKind.CLUSTER_SCALE_IN
    return Order(kind, abs(answer.wanted - size))


def _honoured(answer: _Answer, found: Bounds, state: State, now: float, held: bool) -> float | None:
    """A schedule whose moment came before the first evaluation sets no size any more."""
    if state.honoured is None:
        return now
    done = answer.by is By.SCHEDULE and not held
    return found.since if done else state.honoured


#: What may make another size of what metrics ask for, or put it off.
_LIMITS = (Kind.BOUNDS, Kind.WINDOW, Kind.RATE, Kind.DISABLED, Kind.COOLDOWN, Kind.BUSY, Kind.HELD)


def _sentence(size: int, answer: _Answer, reasons: list[Reason], held: bool) -> str:
    limits = [] if answer.by is By.BOUNDS else [one.text for one in reasons if one.kind in _LIMITS]
    said = " ".join([f"{answer.because.rstrip('.')}.", *limits])
    if answer.wanted == size or held:
        return f"Stays at {size}: {said}"
    return f"{'Grows' if answer.wanted > size else 'Shrinks'} from {size} to {answer.wanted}: {said}"
