"""The arithmetic of sizes: the API's table of faults, and what holds for every resize."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain import sizing
from spinney.domain.cluster import Cluster
from spinney.domain.sizing import Adjustment, calculate, check

CLUSTER = Cluster(id="c", name="c", profile_id="p", min_size=2, max_size=6, desired_capacity=4)


@pytest.mark.parametrize(
    ("adjustment", "number", "current", "min_step", "result"),
    [
        (Adjustment.EXACT, 7, 3, None, 7),
        (Adjustment.CHANGE, -2, 3, None, 1),
        (Adjustment.PERCENTAGE, 50, 10, None, 15),
        (Adjustment.PERCENTAGE, 10, 3, None, 4),
        (Adjustment.PERCENTAGE, -10, 3, None, 2),
        (Adjustment.PERCENTAGE, 55, 3, None, 4),
        (Adjustment.PERCENTAGE, -55, 3, None, 2),
        (Adjustment.PERCENTAGE, 10, 10, 3, 13),
        (Adjustment.PERCENTAGE, -10, 10, 3, 7),
        (Adjustment.PERCENTAGE, 50, 10, 3, 15),
        (Adjustment.PERCENTAGE, 50, 0, 2, -2),
    ],
)
def test_calculate(adjustment: Adjustment, number: float, current: int, min_step: int | None, result: int) -> None:
    assert calculate(adjustment, number, current, min_step) == result


@pytest.mark.parametrize(
    ("desired", "min_size", "max_size", "strict", "words"),
    [
        (11, None, None, False, "target capacity (11) is greater than the number of nodes that any"),
        (3, 4, None, False, "target capacity (3) is less than the specified min_size (4)"),
        (1, None, None, True, "less than the cluster's min_size (2)"),
        (1, None, None, False, None),
        (5, None, 4, False, "greater than the specified max_size (4)"),
        (7, None, None, True, "greater than the cluster's max_size (6)"),
        (7, None, None, False, None),
        (None, 5, 4, False, "min_size (5) is greater than the specified max_size (4)"),
        (None, 7, None, False, "min_size (7) is greater than the cluster's max_size (6)"),
        (None, 5, None, True, "min_size (5) is greater than the cluster's desired_capacity (4)"),
        (None, 5, None, False, None),
        (None, None, 11, False, "max_size (11) is greater than the number of nodes that any"),
        (None, None, 1, False, "max_size (1) is less than the cluster's min_size (2)"),
        (None, None, 3, True, "max_size (3) is less than the cluster's desired_capacity (4)"),
        (None, None, 3, False, None),
        (None, None, -1, True, None),
        (4, 0, 8, True, None),
    ],
)
def test_check_names_the_first_fault(
    desired: int | None, min_size: int | None, max_size: int | None, strict: bool, words: str | None
) -> None:
    fault = check(CLUSTER, desired, max_nodes=10, strict=strict, min_size=min_size, max_size=max_size)
    assert fault is None if words is None else fault is not None and words in fault


def test_a_cluster_about_to_be_made_is_compared_with_what_was_asked_alone() -> None:
    assert check(None, 3, max_nodes=10, strict=True, min_size=0, max_size=-1) is None
    assert "max_size (2)" in str(check(None, 3, max_nodes=10, strict=True, min_size=0, max_size=2))


SIZES = st.integers(0, 20)
CLUSTERS = st.builds(
    lambda low, more, most: replace(
        CLUSTER, min_size=low, desired_capacity=low + more, max_size=-1 if most is None else low + more + most
    ),
    SIZES,
    SIZES,
    st.none() | SIZES,
)
INPUTS = st.fixed_dictionaries(
    {"strict": st.booleans()},
    optional={
        "adjustment_type": st.sampled_from(list(Adjustment)),
        "min_size": SIZES,
        "max_size": st.integers(-1, 30),
        "min_step": SIZES,
    },
)


@given(cluster=CLUSTERS, inputs=INPUTS, number=st.integers(-150, 150), current=SIZES)
def test_a_resize_never_leaves_its_bounds(cluster: Cluster, inputs: dict[str, Any], number: int, current: int) -> None:
    outcome = sizing.resize(cluster, {**inputs, "number": number}, current=current, max_nodes=40)
    if isinstance(outcome, str):
        assert outcome
        return
    assert 0 <= outcome.min_size <= outcome.desired_capacity <= 40
    assert outcome.max_size < 0 or outcome.desired_capacity <= outcome.max_size
    if inputs["strict"] and "adjustment_type" in inputs:
        assert outcome.desired_capacity == sizing.asked({**inputs, "number": number}, current)


@given(number=st.floats(-200, 200), current=st.integers(0, 1000))
def test_a_percentage_moves_in_its_own_direction(number: float, current: int) -> None:
    size = calculate(Adjustment.PERCENTAGE, number, current)
    assert (size - current) * number >= 0
    assert abs(size - current - number * current / 100) <= 1
