"""What slows a change down: the windows over earlier proposals, rates, and cooldowns."""

from __future__ import annotations

import math
from collections.abc import Iterable

from spinney.clock import iso
from spinney.domain.autoscale import wording
from spinney.domain.autoscale.rules import Behaviour, Direction, Rate, Rules
from spinney.domain.autoscale.values import Gate, Kind, Proposal, Reason, Situation, State

#: Evaluations that may be missed before what was asked for in them counts as unknown.
_MISSED = 3


def seeded(rules: Rules, state: State, now: float) -> bool:
    """Whether nothing is remembered of what was asked for lately, so that the size itself has to stand for it."""
    if not state.proposals:
        return True
    gap = now - state.proposals[-1].until
    return gap > max(rules.up.window, rules.down.window, _MISSED * rules.interval)


def steadied(rules: Rules, situation: Situation, state: State, proposed: int) -> tuple[int, Reason | None]:
    """The size after both windows; a reason where they change anything. ``state`` with the seed, if one is needed."""
    size = situation.size
    if proposed > size:
        least = min([proposed, *_sizes(state.proposals, situation.now - rules.up.window)])
        wanted = max(least, size)
    else:
        most = max([proposed, *_sizes(state.proposals, situation.now - rules.down.window)])
        wanted = min(most, size)
    if wanted == proposed:
        return wanted, None
    direction = Direction.UP if proposed > size else Direction.DOWN
    window = rules.behaviour(direction).window
    at = _over(rules, situation, state, proposed, direction)
    which = "fewer were enough" if direction is Direction.UP else "more were asked for"
    text = (
        f"{wording.members(proposed)} would do now, but within the last {wording.seconds(window)} {which}: {wanted} for the "
        f"moment; {proposed} at {iso(at)} if it stays so."
    )
    data = {"direction": direction.value, "window": window, "asked": proposed, "wanted": wanted, "at": iso(at)}
    return wanted, Reason(Kind.WINDOW, text, data)


def _sizes(proposals: Iterable[Proposal], since: float) -> list[int]:
    return [one.size for one in proposals if one.until > since]


def _over(rules: Rules, situation: Situation, state: State, proposed: int, direction: Direction) -> float:
    """When the last proposal that stands against this one leaves the window."""
    up = direction is Direction.UP
    against = [one.until for one in state.proposals if (one.size < proposed if up else one.size > proposed)]
    return max(against, default=situation.now) + rules.behaviour(direction).window


# --- rates ------------------------------------------------------------------------------------------------------------


def slowed(rules: Rules, situation: Situation, state: State, wanted: int) -> tuple[int, Reason | None]:
    """The size after the rates of its direction."""
    size = situation.size
    if wanted == size:
        return size, None
    direction = Direction.UP if wanted > size else Direction.DOWN
    behaviour = rules.behaviour(direction)
    if not behaviour.enabled:
        text = f"Scaling {direction.value} is switched off in the policy; {wording.members(wanted)} would be right."
        return size, Reason(Kind.DISABLED, text, {"direction": direction.value, "wanted": wanted})
    if not behaviour.rates:
        return wanted, None
    choose = max if behaviour.most == (direction is Direction.UP) else min
    limit = choose(_limit(rate, direction, situation, state) for rate in behaviour.rates)
    allowed = max(min(wanted, limit), size) if direction is Direction.UP else min(max(wanted, limit), size)
    if allowed == wanted:
        return wanted, None
    text = (
        f"{wording.members(wanted)} would be right, and the rates of scaling {direction.value} allow {allowed} for now."
    )
    return allowed, Reason(
        Kind.RATE, text, {"direction": direction.value, "wanted": wanted, "allowed": allowed, **_rates(behaviour)}
    )


def _limit(rate: Rate, direction: Direction, situation: Situation, state: State) -> int:
    """The size up to which the rate lets it go, from what it was at the beginning of the period."""
    up = direction is Direction.UP
    moved = [one.after - one.before for one in state.changes if one.at > situation.now - rate.period]
    start = situation.size - sum(by for by in moved if (by > 0) == up)
    by = rate.members if rate.members is not None else _share(start, rate.percent or 0.0)
    return start + by if up else start - by


def _share(start: int, percent: float) -> int:
    """At least one, so that a small cluster changes at all."""
    return max(1, math.ceil(max(0, start) * percent / 100 - 1e-9))


def _rates(behaviour: Behaviour) -> dict[str, object]:
    rates = [{"period": one.period, "members": one.members, "percent": one.percent} for one in behaviour.rates]
    return {"rates": rates}


# --- cooldown ---------------------------------------------------------------------------------------------------------


def cooling(rules: Rules, situation: Situation, state: State, direction: Direction) -> Reason | None:
    """Why a change in that direction has to wait; None: it has not."""
    gates = [gate for gate in situation.gates if gate.direction in (None, direction) and gate.until > situation.now]
    ended = [at for at in (situation.last_scaled, *(one.at for one in state.changes[-1:])) if at is not None]
    cooldown = rules.behaviour(direction).cooldown
    if ended and cooldown > 0 and max(ended) + cooldown > situation.now:
        text = f"the policy's cooldown of {wording.seconds(cooldown)} after the last scaling"
        gates.append(Gate(max(ended) + cooldown, text, direction))
    if not gates:
        return None
    latest = max(gates, key=lambda gate: gate.until)
    text = f"It has to wait until {iso(latest.until)}: {latest.text}."
    return Reason(Kind.COOLDOWN, text, {"until": iso(latest.until), "direction": direction.value})
