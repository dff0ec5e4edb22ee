"""The circuit breaker of a cluster: a table of cases."""

from __future__ import annotations

import json

import pytest

from spinney.domain.breaker import Breaker, Failure, admit, closed, of_stored, trial_due
from spinney.domain.health_rules import BreakerRules

RULES = BreakerRules()


def failures(names: str, *, news: bool = True) -> list[Failure]:
    return [Failure(name, news) for name in names]


@pytest.mark.parametrize(
    ("failed", "members", "some", "too_many"),
    [
        ("50%", 10, 5, False),
        ("50%", 10, 6, True),
        ("50%", 5, 2, False),
        ("50%", 5, 3, True),
        ("50%", 2, 2, False),  # never for fewer than three
        ("0%", 100, 2, False),
        ("0%", 100, 3, True),
        ("100%", 3, 3, False),
        ("4", 100, 4, False),
        ("4", 100, 5, True),
    ],
)
def test_how_many_are_too_many(failed: str, members: int, some: int, too_many: bool) -> None:
    assert BreakerRules(failed).too_many(some, members) is too_many


@pytest.mark.parametrize(
    ("failed_before", "now_fail", "admitted"),
    [
        ({}, "abc", "abc"),
        ({}, "abcd", ""),
        ({"a": 990.0, "b": 995.0}, "cd", ""),
        ({"a": 990.0, "b": 995.0}, "c", "c"),
        ({"a": 990.0, "b": 995.0}, "ab", "ab"),  # the same ones again
        ({"a": 600.0, "b": 650.0}, "cd", "cd"),  # long ago
    ],
)
def test_recovery_stops_when_too_many_different_members_fail_within_the_window(
    failed_before: dict[str, float], now_fail: str, admitted: str
) -> None:
    found = admit(RULES, Breaker(failed=failed_before), failures(now_fail), 6, 1000.0)
    assert found.admitted == set(admitted)
    assert found.opened == found.breaker.open == (not admitted)
    assert ("of 6 members failed within 300 s" in found.breaker.reason) == (not admitted)


def test_while_it_is_open_one_at_a_time_is_tried_in_turn() -> None:
    one = admit(RULES, Breaker(), failures("abcd"), 6, 0.0).breaker
    tried = []
    for now in (10.0, 59.0, 60.0, 61.0, 119.0, 120.0, 180.0, 240.0, 300.0):
        found = admit(RULES, one, failures("abcd"), 6, now)
        assert not found.opened
        one = found.breaker
        tried.append("".join(found.admitted))
    assert tried == ["", "", "a", "", "", "b", "c", "d", "a"]
    assert not trial_due(BreakerRules(trial_after=0), one, 1e9)


def test_what_failed_before_it_closed_does_not_open_it_again() -> None:
    after = closed(1000.0)
    assert not admit(RULES, after, failures("bcdef", news=False), 6, 1001.0).opened
    assert admit(RULES, after, failures("bcdef"), 6, 1001.0).opened


def test_it_survives_being_stored() -> None:
    opened = admit(RULES, Breaker(), failures("abcd"), 6, 5.0).breaker
    tried = admit(RULES, opened, failures("abcd"), 6, 100.0).breaker
    for one in (Breaker(), opened, tried, closed(7.0)):
        assert of_stored(json.loads(json.dumps(one.stored()))) == one
    assert of_stored(None) == Breaker() and Breaker().stored() == {"state": "closed"}
    assert opened.stored()["state"] == "open"
