"""Whole courses of load through the pure decision: how soon it reacts, how far it overshoots, and that it does not flap.

A member takes a while to start, does at most one core, and what nobody does is lost, as CPU tells of it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from spinney.domain.autoscale.deciding import evaluate
from spinney.domain.autoscale.history import follow
from spinney.domain.autoscale.rules import Behaviour, Metric, Rate, Rules, Signal, Target
from spinney.domain.autoscale.values import MemberSample, Situation, State

CPU = Signal(Metric.CPU)
#: As a policy has it that says nothing of them.
USUAL = Behaviour(rates=(Rate(15, percent=100.0), Rate(15, members=4)))


@dataclass
class Course:
    """By evaluation: the cores that were wanted, and the members there were."""

    wanted: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    @property
    def turns(self) -> int:
        """How often growing became shrinking or the other way round."""
        signs = [b > a for a, b in pairwise(self.sizes) if a != b]
        return sum(a != b for a, b in pairwise(signs))


def course(
    rules: Rules, cores: Callable[[float], float], seconds: float, size: int, *, start: float = 20.0, noise: float = 0.0
) -> Course:
    chance, found, state = random.Random(5), Course(), State()
    born = [-1000.0] * size
    now = 0.0
    while now < seconds:
        ready = [at + start for at in born if at + start <= now]
        share = min(1.0, cores(now) / max(1, len(ready)))
        samples = [
            MemberSample(
                str(i), ready_since=at + start, values={CPU.key: 100 * share * (1 + chance.uniform(-noise, noise))}
            )
            if at + start <= now
            else MemberSample(str(i), coming_since=at)
            for i, at in enumerate(born)
        ]
        decision = evaluate(rules, Situation(now=now, size=len(born), members=samples), state)
        state = follow(state, decision, rules)
        if decision.order is not None:
            more = decision.wanted - len(born)
            born = [*born, *([now] * more)] if more > 0 else born[:more]
        found.wanted.append(cores(now))
        found.sizes.append(len(born))
        now += rules.interval
    return found


def policy(**fields: Behaviour) -> Rules:
    return Rules(minimum=1, maximum=60, targets=(Target(CPU, 50.0),), **{"up": USUAL, **fields})


def test_a_step_is_followed_within_three_minutes_and_not_overshot() -> None:
    found = course(policy(), lambda now: 1.0 if now < 600 else 8.0, 3600, 2, noise=0.1)
    step = int(600 / 15)
    assert set(found.sizes[:step]) == {2}
    reached = next(index for index, size in enumerate(found.sizes) if size >= 15)
    assert (reached - step) * 15 <= 165
    assert max(found.sizes) <= 18, "16 are right, and a tenth more is within the tolerance"
    assert found.turns == 0


def test_a_day_is_followed_without_flapping() -> None:
    def day(now: float) -> float:
        return 4.0 - 3.5 * math.cos(2 * math.pi * now / 14400)

    found = course(policy(), day, 28800, 1, noise=0.15)
    assert found.turns == 3, "two days: up, down, up, down"
    served = [size * 0.6 >= wanted for wanted, size in zip(found.wanted, found.sizes, strict=True)]
    assert sum(served) / len(served) > 0.98, "hardly ever more than 60 % for each"
    spent, ideal = sum(found.sizes), sum(max(1.0, wanted / 0.5) for wanted in found.wanted)
    assert spent < 1.25 * ideal


def test_short_peaks_do_not_make_it_flap() -> None:
    found = course(policy(), lambda now: 6.0 if now % 240 < 60 else 2.0, 7200, 4)
    later = found.sizes[40:]
    assert len(set(later)) == 1, "what came within the window may come again"


def test_without_a_window_it_would_flap() -> None:
    """Which shows that the window is what keeps it from doing so."""
    found = course(policy(down=Behaviour()), lambda now: 6.0 if now % 240 < 60 else 2.0, 7200, 4)
    assert found.turns > 20
