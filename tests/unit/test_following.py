"""How well a cluster followed its load, and loads that follow a course."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from system.following import Aim, Moment, Seen, followed, reaction, regular, turns
from system.load import rate_at

AIM = Aim(target=50.0, least=2, most=14, tolerance=0.1)


def moments(*each: tuple[float, int, int]) -> list[Moment]:
    """Of each second what was offered, wanted and there."""
    return [Moment(float(at), *one) for at, one in enumerate(each)]


@pytest.mark.parametrize(
    "offered, ideal, enough",
    [(0, 2, 2), (100, 2, 2), (101, 3, 2), (110, 3, 2), (111, 3, 3), (400, 8, 8), (5000, 14, 14)],
)
def test_the_ideal_is_within_bounds_and_the_tolerance_lets_fewer_be_enough(
    offered: float, ideal: int, enough: int
) -> None:
    assert (AIM.ideal(offered), AIM.enough(offered)) == (ideal, enough)


@pytest.mark.parametrize(
    "sizes, count",
    [([], 0), ([3], 0), ([2, 2, 5, 8], 0), ([2, 5, 5, 3], 1), ([2, 5, 3, 4], 2), ([2, 3, 3, 2, 3, 3, 2], 3)],
)
def test_a_turn_is_a_change_the_other_way(sizes: Sequence[int], count: int) -> None:
    assert turns(sizes) == count


def test_a_cluster_that_is_always_right_lacks_nothing_and_has_nothing_to_spare() -> None:
    told = followed(moments((100, 2, 2), (400, 8, 8), (400, 8, 8), (100, 2, 2)), AIM)
    assert (told.changes, told.flaps, told.overshoot, told.to_spare, told.worst) == (2, 0, 0, 0, 0)
    assert (told.short, told.lacking, told.spare) == (0, 0, 0)


def test_what_lacks_and_what_is_to_spare_are_shares_of_what_would_have_been_ideal() -> None:
    told = followed(moments((400, 8, 6), (400, 8, 8), (200, 8, 8)), AIM)
    assert (told.worst, told.to_spare) == (2, 4)
    assert (told.short, told.spare) == (2 / 20, 4 / 20)


def test_what_the_tolerance_lets_pass_is_short_and_not_lacking() -> None:
    told = followed(moments((105, 2, 2)), AIM)
    assert (told.short, told.lacking) == (1 / 3, 0)


def test_turns_of_the_load_are_no_flaps_and_others_are() -> None:
    load = [100, 400, 400, 400, 100]
    assert (
        followed(moments(*((rate, size, size) for rate, size in zip(load, [2, 8, 8, 8, 2], strict=True))), AIM).flaps
        == 0
    )
    assert (
        followed(moments(*((rate, size, size) for rate, size in zip(load, [2, 8, 7, 8, 2], strict=True))), AIM).flaps
        == 2
    )


def test_what_is_kept_from_before_is_no_overshoot_as_long_as_it_is_remembered() -> None:
    fallen = moments((400, 8, 8), (100, 8, 8), (100, 8, 8), (100, 2, 2))
    short, long = Aim(50.0, 2, 14, memory=1.0), Aim(50.0, 2, 14, memory=2.0)
    assert followed(fallen, short).overshoot == 6
    assert followed(fallen, long).overshoot == 0
    assert followed(moments((100, 2, 2), (400, 11, 2)), long).overshoot == 3


def test_how_long_a_step_up_and_a_step_down_took() -> None:
    seen = moments(
        (100, 2, 2),
        (400, 2, 2),
        (400, 6, 2),
        (400, 6, 3),
        (400, 8, 6),
        (400, 8, 8),
        (100, 8, 8),
        (100, 2, 8),
        (100, 2, 5),
    )
    up, down = reaction(seen[:6], AIM, 1.0), reaction(seen, AIM, 6.0)
    assert (up.ordered, up.first, up.settled) == (1, 2, 4)
    assert (down.ordered, down.first, down.settled) == (1, 2, None)


def test_irregular_looks_become_regular_moments() -> None:
    looks = [Seen(-0.5, 2, 2, None), Seen(0.9, 4, 2, 90.0), Seen(2.4, 4, 4, 95.0)]
    found = list(regular(looks, lambda at: 100 + at, end=4.0))
    assert [(one.at, one.offered, one.size, one.serving, one.counted) for one in found] == [
        (0.0, 100.0, 2, 2, None),
        (1.0, 101.0, 4, 2, 90.0),
        (2.0, 102.0, 4, 2, 90.0),
        (3.0, 103.0, 4, 4, 95.0),
    ]


@pytest.mark.parametrize("at, rate", [(-1, 40), (0, 40), (59.9, 40), (60, 400), (90, 250), (120, 100), (999, 100)])
def test_a_course_is_straight_between_its_moments_and_may_jump(at: float, rate: float) -> None:
    assert rate_at([(0, 40), (60, 40), (60, 400), (120, 100)], at) == rate
