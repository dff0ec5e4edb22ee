"""When runs are due, what becomes of missed times and of overlaps, and which ended runs are kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spinney.domain.cron import Cron
from spinney.domain.run_schedule import (
    BESIDE_AT_MOST,
    MADE_UP_FOR,
    JobRules,
    Missed,
    Overlap,
    Schedule,
    admit,
    due,
    outlived,
)
from spinney.domain.runs import Run, RunStatus

#: Midnight.
ZERO = 1_800_000_000.0 - 1_800_000_000.0 % 86400
HOUR = 3600.0


def hourly(missed: Missed) -> Schedule:
    return Schedule(Cron("0 * * * *"), missed)


@pytest.mark.parametrize(
    ("missed", "deadline", "looked_at", "now", "start", "not_begun"),
    [
        # Nothing came yet, and the very second.
        (Missed.ONCE, None, 0.0, 3599.9, [], []),
        (Missed.ONCE, None, 0.0, HOUR, [HOUR], []),
        (Missed.ONCE, None, HOUR, HOUR + 1, [], []),
        # On time, with nothing missed.
        (Missed.SKIP, None, 0.0, HOUR + 59, [HOUR], []),
        (Missed.ALL, None, 0.0, HOUR + 59, [HOUR], []),
        # Late by more than a minute.
        (Missed.SKIP, None, 0.0, HOUR + 61, [], [HOUR]),
        (Missed.ONCE, None, 0.0, HOUR + 61, [HOUR], []),
        # Three were missed, the last of them just now.
        (Missed.SKIP, None, 0.0, 3 * HOUR + 1, [3 * HOUR], [HOUR, 2 * HOUR]),
        (Missed.ONCE, None, 0.0, 3 * HOUR + 1, [3 * HOUR], [HOUR, 2 * HOUR]),
        (Missed.ALL, None, 0.0, 3 * HOUR + 1, [HOUR, 2 * HOUR, 3 * HOUR], []),
        # A deadline bounds all of them.
        (Missed.SKIP, 90.0, 0.0, HOUR + 89, [HOUR], []),
        (Missed.SKIP, 90.0, 0.0, HOUR + 91, [], [HOUR]),
        (Missed.ONCE, 90.0, 0.0, HOUR + 91, [], [HOUR]),
        (Missed.ALL, 5000.0, 0.0, 3 * HOUR, [2 * HOUR, 3 * HOUR], [HOUR]),
        # The clock was set back: nothing is due, and nobody waits for the time that was looked at.
        (Missed.ONCE, None, 30 * HOUR, 2 * HOUR + 1, [], []),
    ],
)
def test_what_is_due(
    missed: Missed, deadline: float | None, looked_at: float, now: float, start: list[float], not_begun: list[float]
) -> None:
    found = due(hourly(missed), deadline, ZERO + looked_at, ZERO + now)
    assert [moment - ZERO for moment in found.start] == start
    assert [moment - ZERO for moment in found.missed] == not_begun
    latest = max([*start, *not_begun], default=min(looked_at, now))
    assert found.looked_at - ZERO == latest


def test_after_a_clock_that_was_set_back_the_next_time_counts() -> None:
    back = due(hourly(Missed.ONCE), None, ZERO + 90 * 24 * HOUR, ZERO + 100)
    assert due(hourly(Missed.ONCE), None, back.looked_at, ZERO + HOUR).start == (ZERO + HOUR,)


def test_after_a_year_of_silence_only_so_many_are_made_up_for() -> None:
    found = due(hourly(Missed.ALL), None, ZERO, ZERO + 365 * 24 * HOUR)
    assert len(found.start) == MADE_UP_FOR
    assert found.start[-1] == found.looked_at == ZERO + 365 * 24 * HOUR


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(list(Missed)),
    st.none() | st.floats(10, 5 * HOUR),
    st.lists(st.floats(0, 4 * HOUR), min_size=1, max_size=12),
)
def test_no_time_is_answered_twice_and_none_is_lost(
    missed: Missed, deadline: float | None, pauses: list[float]
) -> None:
    looked_at = now = ZERO
    answered: list[float] = []
    for pause in pauses:
        now += pause
        found = due(hourly(missed), deadline, looked_at, now)
        assert found.looked_at >= looked_at
        assert all(deadline is None or now - moment <= deadline for moment in found.start)
        looked_at = found.looked_at
        answered += sorted([*found.start, *found.missed])
    assert answered == Cron("0 * * * *").between(ZERO, now, 1000)


def run(number: int, **fields: Any) -> Run:
    return replace(Run(id=str(number), cluster_id="c", policy_id="p", number=number), **fields)


@pytest.mark.parametrize(
    ("overlap", "unended", "fault", "cancels"),
    [
        (Overlap.FORBID, 0, None, 0),
        (Overlap.FORBID, 1, "run 1 is at work, and runs of this cluster must not overlap", 0),
        (Overlap.ALLOW, 9, None, 0),
        (Overlap.ALLOW, BESIDE_AT_MOST, "10 runs are at work, and no more than 10 may be at a time", 0),
        (Overlap.REPLACE, 2, None, 2),
    ],
)
def test_a_run_that_would_overlap(overlap: Overlap, unended: int, fault: str | None, cancels: int) -> None:
    found = admit(overlap, [run(number + 1) for number in range(unended)])
    assert (found.fault, len(found.cancel)) == (fault, cancels)


def _ended(number: int, ago: float, *, began: bool = True) -> Run:
    status = RunStatus.SUCCEEDED if began else RunStatus.SKIPPED
    return run(number, status=status, started_at=ZERO - ago if began else None, ended_at=ZERO - ago)


def test_the_latest_runs_are_kept_and_skipped_ones_do_not_push_them_out() -> None:
    rules = JobRules(keep_runs=2, keep_seconds=100.0)
    ended = [
        _ended(9, 1, began=False),
        _ended(8, 2, began=False),
        _ended(7, 3, began=False),
        _ended(6, 4),
        _ended(5, 5),
        _ended(4, 6),
    ]
    assert [one.number for one in outlived(rules, ended, ZERO)] == [7, 4]


def test_old_runs_go_but_for_the_newest() -> None:
    rules = JobRules(keep_runs=10, keep_seconds=100.0)
    assert [one.number for one in outlived(rules, [_ended(3, 500), _ended(2, 600)], ZERO)] == [2]
    assert outlived(rules, [_ended(3, 50), _ended(2, 100)], ZERO) == []
