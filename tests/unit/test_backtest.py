"""Back-tests: what a policy would have done with a load that is known."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.autoscale.backtest import Point, World, backtest, score
from spinney.domain.autoscale.rules import Aggregation, Behaviour, Metric, Rules, Signal, Target
from spinney.domain.autoscale.values import Kind, Sample

CPU = Signal(Metric.CPU)
REQUESTS = Signal(Metric.REQUESTS, Aggregation.SHARED)
RULES = Rules(
    minimum=1, maximum=20, targets=(Target(CPU, 50.0),), down=Behaviour(window=60.0), interval=10.0, warmup=0.0
)


def history(
    load: Callable[[float], float | None], end: float, signal: Signal = CPU, every: float = 10.0
) -> Mapping[str, Sequence[Sample]]:
    moments = [number * every for number in range(int(end / every) + 1)]
    return {signal.name: [Sample(signal.name, at, load(at), 1, 1) for at in moments]}


def run(
    rules: Rules,
    load: Callable[[float], float | None],
    end: float = 1200.0,
    size: int = 2,
    startup: float = 10.0,
    signal: Signal = CPU,
) -> list[Point]:
    return list(backtest(rules, history(load, end, signal), World(size, startup), 0.0, end))


def test_a_step_is_followed_once_the_new_members_are_ready() -> None:
    points = run(RULES, lambda at: 100.0 if at < 300 else 400.0)
    assert {point.size for point in points if point.at <= 300} == {2}
    assert points[-1].size == points[-1].ready == points[-1].ideal == 8
    told = score(points, RULES.interval)
    assert (told.changes, told.flaps, told.overshoot, told.worst) == (1, 0, 0, 6)
    assert told.reactions == (10.0,)


def test_a_slower_start_is_a_longer_reaction_and_more_that_is_missing() -> None:
    quick, slow = (
        score(run(RULES, lambda at: 100.0 if at < 300 else 400.0, startup=startup), RULES.interval)
        for startup in (10.0, 60.0)
    )
    assert slow.reaction is not None and quick.reaction is not None
    assert slow.reaction - quick.reaction == 50.0
    assert slow.short - quick.short == 50.0 * 6


def test_it_shrinks_only_when_the_window_is_over() -> None:
    points = run(RULES, lambda at: 400.0 if at < 300 else 100.0, size=8)
    shrunk = next(point.at for point in points if point.size < 8)
    assert 300 + RULES.down.window <= shrunk <= 300 + RULES.down.window + 2 * RULES.interval
    assert points[-1].size == 2


def test_what_goes_up_and_down_at_once_is_a_flap() -> None:
    nervous = replace(RULES, down=Behaviour(window=0.0))
    load = lambda at: 400.0 if int(at / 40) % 2 else 100.0  # noqa: E731
    assert score(run(nervous, load), nervous.interval).flaps > 10
    assert score(run(RULES, load), RULES.interval).flaps == 0


def test_an_unknown_load_changes_nothing_and_has_no_ideal() -> None:
    points = run(RULES, lambda at: 100.0 if at < 300 else None)
    assert {point.size for point in points} == {2}
    assert {point.ideal for point in points if point.at >= 300} == {None}
    assert any(reason.kind is Kind.UNKNOWN for reason in points[-1].decision.reasons)
    assert score(points, RULES.interval).seconds == len(points) * RULES.interval


def test_a_load_that_is_told_no_more_becomes_unknown() -> None:
    points = list(backtest(RULES, history(lambda at: 100.0, 300.0), World(2), 0.0, 1200.0))
    assert points[-1].ideal is None and points[30].ideal == 2


def test_requests_wake_a_cluster_that_went_to_zero() -> None:
    rules = replace(RULES, minimum=0, scale_to_zero=True, targets=(Target(REQUESTS, 10.0),))
    points = run(rules, lambda at: 0.0 if at < 600 else 25.0, signal=REQUESTS)
    assert 0 in {point.size for point in points if point.at <= 600}
    assert points[-1].size == 3


def test_a_day_is_followed_closely_without_flaps() -> None:
    rules = replace(RULES, interval=15.0, down=Behaviour(window=300.0))
    points = run(rules, lambda at: 300.0 + 250.0 * math.sin(at / 86400 * 2 * math.pi), end=86400.0, size=6)
    told = score(points, rules.interval)
    assert told.flaps == 0 and told.overshoot <= 1
    assert told.short < 0.01 * told.ideal


@pytest.mark.parametrize("floor, ceiling", [(3, 5), (0, 1000)])
def test_the_bounds_of_the_cluster_hold(floor: int, ceiling: int) -> None:
    world = World(4, floor=floor, ceiling=ceiling)
    sizes = {p.size for p in backtest(RULES, history(lambda at: at, 1200.0), world, 0.0, 1200.0)}
    assert min(sizes) >= max(floor, 1) and max(sizes) <= min(ceiling, RULES.maximum)


@given(st.lists(st.one_of(st.none(), st.floats(0, 5000)), min_size=2, max_size=60), st.integers(1, 20))
def test_equal_input_gives_equal_output_within_the_bounds(loads: list[float | None], size: int) -> None:
    samples = {CPU.name: [Sample(CPU.name, 10.0 * at, load, 1, 1) for at, load in enumerate(loads)]}
    first, second = (list(backtest(RULES, samples, World(size), 0.0, 10.0 * len(loads))) for _ in range(2))
    assert first == second
    assert all(RULES.minimum <= point.size <= RULES.maximum for point in first)
