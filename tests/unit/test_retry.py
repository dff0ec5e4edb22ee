"""When to try again, and when to give up."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney import errors
from spinney.domain.retry import GiveUp, TryAgain, after_failure, backoff
from spinney.errors import HostBroken, HostUnreachable, SpinneyError


@given(st.floats(0.001, 100.0), st.floats(0.001, 10_000.0))
def test_delays_double_up_to_the_ceiling(base: float, ceiling: float) -> None:
    delays = [backoff(failures, base, ceiling) for failures in range(1, 100)]
    assert delays[0] == min(base, ceiling) and delays[-1] <= ceiling
    assert all(b == min(2 * a, ceiling) or a == b == ceiling for a, b in pairwise(delays))


def test_no_failure_no_delay_and_a_million_failures_no_overflow() -> None:
    assert backoff(0, 1.0, 10.0) == 0.0 and backoff(10**6, 1.0, 10.0) == 10.0


def _after(error: BaseException, retries: int = 0, deadline: float = 1000.0) -> TryAgain | GiveUp:
    return after_failure(error, retries=retries, limit=3, base=1.0, ceiling=30.0, now=100.0, deadline=deadline)


def test_what_may_pass_is_tried_again_a_few_times() -> None:
    found = [_after(HostUnreachable("no route"), retries) for retries in range(5)]
    assert [f.at for f in found if isinstance(f, TryAgain)] == [101.0, 102.0, 104.0]
    assert found[0].reason == "no route (try 2 of 4 follows)"
    assert found[3] == GiveUp("no route (gave up after 4 tries)")


def test_nothing_is_tried_again_past_the_deadline() -> None:
    assert isinstance(_after(HostBroken("500"), deadline=101.0), TryAgain)
    found = _after(HostBroken("500"), deadline=100.9)
    assert isinstance(found, GiveUp) and "leaves no time" in found.reason


_ALL = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, SpinneyError)]


@pytest.mark.parametrize("kind", _ALL)
def test_each_named_failure_is_tried_again_exactly_when_it_says_so(kind: type[SpinneyError]) -> None:
    found = _after(kind("what happened"))
    assert isinstance(found, TryAgain) == kind.retryable
    assert found.reason.startswith("what happened")


def test_what_nobody_named_is_told_with_its_class_and_not_repeated() -> None:
    assert _after(ZeroDivisionError("x")) == GiveUp("unexpected ZeroDivisionError: x")
