"""What is remembered from one evaluation to the next, and how decisions that say the same become one record.

A record stands for all evaluations in a row that came to the same; so windows are rebuilt from the records exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from spinney.domain.autoscale.rules import Behaviour, Rules
from spinney.domain.autoscale.values import Change, Decision, Proposal, State


@dataclass(frozen=True, slots=True)
class Past:
    """Of a recorded decision what the next ones depend on. It was come to in all evaluations from ``since`` until ``at``."""

    since: float
    at: float
    size: int
    wanted: int
    proposed: int | None
    acted: bool
    seeded: bool
    honoured: float | None


def past(decision: Decision) -> Past:
    acted = decision.order is not None
    return Past(
        decision.at, decision.at, decision.size, decision.wanted, decision.proposed, acted, decision.seeded, decision.honoured
    )  # fmt: skip


def merged(before: Past | None, after: Past) -> Past | None:
    """Both as one; None: they do not say the same, or one of them changed something."""
    if before is None or before.acted or after.acted or after.seeded:
        return None
    same = (before.size, before.wanted, before.proposed) == (after.size, after.wanted, after.proposed)
    return replace(after, since=before.since, seeded=before.seeded) if same else None


def follow(state: State, decision: Decision, rules: Rules) -> State:
    """What is remembered after one more evaluation."""
    return _add(state, past(decision), horizon(rules), decision.at)


def remembered(records: Iterable[Past], rules: Rules, now: float) -> State:
    """The state that those decisions, oldest first, have left behind."""
    state = State()
    for one in records:
        state = _add(state, one, horizon(rules), now)
    return state


def horizon(rules: Rules) -> float:
    """How many seconds back decisions still count."""
    return max(_reach(rules.up), _reach(rules.down), 4 * rules.interval)


def _reach(behaviour: Behaviour) -> float:
    return max([behaviour.window, behaviour.cooldown, *(rate.period for rate in behaviour.rates)])


def _add(state: State, one: Past, reach: float, now: float) -> State:
    proposals = list(state.proposals)
    if one.seeded:
        proposals.append(Proposal(one.since, one.since, one.size))
    if one.proposed is not None:
        last = proposals[-1] if proposals else None
        if last is not None and last.size == one.proposed:
            proposals[-1] = replace(last, until=one.at)
        else:
            proposals.append(Proposal(one.since, one.at, one.proposed))
    changes = [*state.changes, Change(one.at, one.size, one.wanted)] if one.acted else state.changes
    return State(
        tuple(p for p in proposals if p.until >= now - reach),
        tuple(c for c in changes if c.at >= now - reach),
        state.honoured if one.honoured is None else one.honoured,
    )
