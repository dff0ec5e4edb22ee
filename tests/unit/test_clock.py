"""Time and chance are passed in, and ids can be repeated."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.clock import Ids, SystemClock, iso


@given(st.integers())
def test_equal_seeds_give_equal_ids(seed: int) -> None:
    first, second = Ids(seed), Ids(seed)
    assert [first.new() for _ in range(5)] == [second.new() for _ in range(5)]
    assert first.token(8, "abc") == second.token(8, "abc") and first.fraction() == second.fraction()


@pytest.mark.parametrize("seed", [None, 1])
def test_ids_are_random_uuids_in_their_usual_spelling(seed: int | None) -> None:
    ids = Ids(seed)
    made = {ids.new() for _ in range(100)}
    assert len(made) == 100
    assert all(str(uuid.UUID(one)) == one and uuid.UUID(one).version == 4 for one in made)
    assert set(ids.token(200, "xy")) == {"x", "y"} and 0.0 <= ids.fraction() < 1.0


@pytest.mark.parametrize(
    ("moment", "text"),
    [(None, None), (0.0, "1970-01-01T00:00:00Z"), (1_800_000_000.999, "2027-01-15T08:00:00Z")],
)
def test_moments_are_told_in_whole_seconds_of_utc(moment: float | None, text: str | None) -> None:
    assert iso(moment) == text


def test_the_systems_clock_goes_forward() -> None:
    clock = SystemClock()
    first = clock.monotonic()
    assert clock.now() > 1_700_000_000 and clock.monotonic() >= first
