"""How often something may happen."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.rate import Passage, Rate, Refusal, ask, charge

FIVE = Rate(per_second=5, burst=3)


def test_a_burst_passes_at_once_and_the_next_one_has_to_wait() -> None:
    full_at = 0.0
    for _ in range(3):
        passed = ask(full_at, 100.0, FIVE)
        assert isinstance(passed, Passage) and not passed.delay
        full_at = passed.full_at
    refused = ask(full_at, 100.0, FIVE)
    assert isinstance(refused, Refusal)
    assert round(refused.after, 6) == 0.2
    assert isinstance(ask(full_at, 100.0 + refused.after + 1e-6, FIVE), Passage)


def test_the_patient_are_spaced_out() -> None:
    full_at, delays = 0.0, []
    for _ in range(5):
        passed = ask(full_at, 100.0, FIVE, patience=1.0)
        assert isinstance(passed, Passage)
        full_at = passed.full_at
        delays.append(round(passed.delay, 6))
    assert delays == [0, 0, 0, 0.2, 0.4]


def test_what_turns_out_to_cost_more_is_paid_for_by_the_next() -> None:
    passed = ask(0.0, 100.0, FIVE)
    assert isinstance(passed, Passage)
    owing = charge(passed.full_at, 100.0, FIVE, cost=10)
    refused = ask(owing, 100.0, FIVE)
    assert isinstance(refused, Refusal)
    assert round(refused.after, 6) == round((1 + 10 + 1 - 3) / 5, 6)
    assert charge(7.0, 100.0, Rate(0, 0), cost=10) == 7.0


def test_no_rate_is_no_limit() -> None:
    assert ask(0.0, 100.0, Rate(0, 0)) == Passage(0.0)


@given(st.lists(st.floats(0, 2), min_size=1, max_size=60), st.floats(0.5, 50), st.integers(1, 10))
def test_never_more_than_the_burst_and_the_rate(gaps: list[float], rate: float, burst: int) -> None:
    full_at, now, passed = 0.0, 1000.0, []
    for gap in gaps:
        now += gap
        found = ask(full_at, now, Rate(rate, burst), patience=0.5)
        if isinstance(found, Passage):
            full_at = found.full_at
            passed.append(now + found.delay)
    for first in passed:
        within = [moment for moment in passed if first <= moment <= first + 1]
        assert len(within) <= burst + rate + 1 + 1e-6
