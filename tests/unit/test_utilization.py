"""Counters become rates and averages: what is never known is never zero, and how often one looks does not matter."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.host import Host
from spinney.domain.utilization import (
    ContainerCounters,
    ContainersReading,
    HostCounters,
    HostTrack,
    container_stats,
    decayed,
    follow_containers,
    follow_host,
    is_fresh,
    is_news,
    known_use,
    rate,
)

GIB = 2**30
FIRST = HostCounters(
    at=100.0,
    boot="a",
    busy=50.0,
    cores=4,
    memory_total=8 * GIB,
    memory_available=6 * GIB,
    disk_total=100 * GIB,
    disk_free=70 * GIB,
)
seconds = st.floats(0.01, 1000.0)
shares = st.floats(0.0, 1.0)


def after(track: HostTrack | None, counters: HostCounters, now: float = 0.0, time_constant: float = 60.0) -> HostTrack:
    return follow_host(track, counters, now, time_constant)


def test_of_one_reading_memory_and_disk_are_known_and_cpu_is_not() -> None:
    use = after(None, FIRST, now=7.0).use
    assert (use.cpu, use.memory, use.disk, use.disk_total, use.sampled_at) == (None, 2 * GIB, 30 * GIB, 100 * GIB, 7.0)


def test_the_second_reading_tells_the_rate_between_the_two() -> None:
    track = after(after(None, FIRST), replace(FIRST, at=105.0, busy=60.0))
    assert track.use.cpu == pytest.approx(2.0)


@pytest.mark.parametrize(
    "change",
    [{"boot": "b", "busy": 1.0}, {"boot": "b", "at": 110.0, "busy": 60.0}],
    ids=["rebooted", "another way of reading"],
)
def test_another_boot_begins_anew(change: dict[str, float]) -> None:
    known = after(after(None, FIRST), replace(FIRST, at=105.0, busy=60.0))
    track = after(known, replace(FIRST, memory_available=GIB, **change))
    assert (track.use.cpu, track.use.memory) == (None, 7 * GIB)
    assert after(track, replace(track.counters, at=track.counters.at + 1, busy=track.counters.busy + 3)).use.cpu == 3.0


@pytest.mark.parametrize("change", [{"at": 105.0, "busy": 1.0}, {"at": 90.0, "busy": 70.0}, {"at": 105.0}])
def test_a_counter_or_clock_that_went_back_tells_nothing_and_hurts_nothing(change: dict[str, float]) -> None:
    known = after(after(None, FIRST), replace(FIRST, at=105.0, busy=60.0))
    track = after(known, replace(FIRST, **{"at": 105.0, "busy": 60.0, **change}))
    assert track.use.cpu == known.use.cpu
    assert after(track, replace(track.counters, at=track.counters.at + 60, busy=track.counters.busy + 60)).use.cpu == (
        pytest.approx(2.0 - (1 - math.exp(-1)))
    )


@given(st.lists(st.tuples(seconds, st.floats(0, 50_000), st.integers(0, 16 * GIB)), min_size=1, max_size=30), seconds)
def test_use_is_never_negative_never_more_than_there_is(steps: list[tuple[float, float, int]], constant: float) -> None:
    track, counters = after(None, FIRST), FIRST
    for passed, busy, available in steps:
        counters = replace(counters, at=counters.at + passed, busy=busy, memory_available=available)
        track = after(track, counters, time_constant=constant)
        assert track.use.cpu is None or 0.0 <= track.use.cpu <= counters.cores
        assert track.use.memory is not None and 0 <= track.use.memory <= counters.memory_total


@given(st.lists(st.tuples(st.integers(1, 40), st.floats(0, 4)), min_size=1, max_size=8), st.floats(1, 300))
def test_the_average_does_not_depend_on_how_often_one_looks(held: list[tuple[int, float]], constant: float) -> None:
    """The same loads, looked at once for each and looked at four times a second."""

    def average(looks_per_second: float) -> float | None:
        track, at, busy = after(None, FIRST), FIRST.at, FIRST.busy
        for lasted, load in held:
            looks = max(1, round(lasted * looks_per_second))
            for _ in range(looks):
                at, busy = at + lasted / looks, busy + load * lasted / looks
                track = after(track, replace(FIRST, at=at, busy=busy), time_constant=constant)
        return track.use.cpu

    assert average(0.001) == pytest.approx(average(4), abs=1e-6)


@given(shares, shares, seconds, seconds)
def test_an_average_lies_between_what_it_was_and_what_is(average: float, value: float, lasted: float, c: float) -> None:
    found = decayed(average, value, lasted, c)
    assert found is not None and min(average, value) - 1e-9 <= found <= max(average, value) + 1e-9


def test_after_one_time_constant_a_third_of_the_past_is_left() -> None:
    assert decayed(1.0, 0.0, 60.0, 60.0) == pytest.approx(math.exp(-1))
    assert decayed(None, 0.3, 0.0, 60.0) == 0.3
    assert decayed(0.3, None, 5.0, 60.0) == 0.3
    assert decayed(None, None, 5.0, 60.0) is None


@pytest.mark.parametrize(
    ("before", "now", "lasted"),
    [(None, 1.0, 1.0), (1.0, None, 1.0), (1.0, 2.0, 0.0), (1.0, 2.0, -1.0), (2.0, 1.0, 1.0)],
)
def test_a_rate_that_cannot_be_known_is_unknown(before: float | None, now: float | None, lasted: float) -> None:
    assert rate(before, now, lasted, 4.0) is None


class TestContainers:
    def reading(self, at: float, **cpu: float | None) -> ContainersReading:
        return ContainersReading(at, {name: ContainerCounters(cpu=value, memory=5) for name, value in cpu.items()})

    def test_rates_appear_with_the_second_reading_and_leave_with_the_container(self) -> None:
        first = follow_containers({}, self.reading(1.0, a=10.0, b=0.0), 4, 50.0, 60.0)
        assert container_stats(first["a"]).cpu is None and container_stats(first["a"]).memory == 5
        second = follow_containers(first, self.reading(3.0, a=13.0, c=1.0), 4, 52.0, 60.0)
        assert set(second) == {"a", "c"}
        stats = container_stats(second["a"])
        assert (stats.cpu, stats.memory, stats.sampled_at, stats.rx_bytes) == (1.5, 5, 52.0, None)

    def test_a_container_that_was_started_again_begins_anew(self) -> None:
        tracks = follow_containers({}, self.reading(1.0, a=10.0), 4, 0.0, 60.0)
        tracks = follow_containers(tracks, self.reading(2.0, a=11.0), 4, 1.0, 60.0)
        tracks = follow_containers(tracks, self.reading(3.0, a=0.5), 4, 2.0, 60.0)
        assert (tracks["a"].cpu, tracks["a"].average_cpu) == (None, None)
        tracks = follow_containers(tracks, self.reading(4.0, a=2.5), 4, 3.0, 60.0)
        assert (tracks["a"].cpu, tracks["a"].average_cpu) == (2.0, 2.0)

    def test_what_the_kernel_does_not_tell_stays_unknown(self) -> None:
        tracks = follow_containers({}, self.reading(1.0, a=None), 4, 0.0, 60.0)
        tracks = follow_containers(tracks, self.reading(2.0, a=None), 4, 1.0, 60.0)
        assert container_stats(tracks["a"]).cpu is None


class TestAge:
    def test_never_and_too_long_ago_are_unknown(self) -> None:
        host = Host(node_id="h", endpoint="unix:///h", name="h", cluster_id="", project="p", disk=9)
        assert known_use(host, 100.0, 60.0) is None
        measured = replace(host, used_cpu=0.0, used_memory=1, used_disk=2, sampled_at=40.0)
        use = known_use(measured, 100.0, 60.0)
        assert use is not None and (use.cpu, use.memory, use.disk, use.disk_total) == (0.0, 1, 2, 9)
        assert known_use(measured, 100.1, 60.0) is None

    @given(st.floats(0, 1e9), st.floats(0, 1e6), st.floats(0.1, 1e6))
    def test_fresh_is_at_most_so_old(self, sampled_at: float, age: float, most: float) -> None:
        assert is_fresh(sampled_at, sampled_at + age, most) == ((sampled_at + age) - sampled_at <= most)

    def test_a_clock_that_runs_ahead_makes_no_sample_old(self) -> None:
        assert is_fresh(105.0, 100.0, 60.0)


class TestNews:
    track = after(after(None, FIRST, now=95.0), replace(FIRST, at=105.0, busy=60.0), now=100.0)

    def test_what_was_not_told_is_news_and_what_was_is_none(self) -> None:
        assert is_news(None, self.track, 20.0)
        assert not is_news(self.track.use, self.track, 20.0)

    @pytest.mark.parametrize(
        "told",
        [{"sampled_at": 80.0}, {"cpu": 1.5}, {"cpu": None}, {"memory": GIB}, {"disk": 20 * GIB}, {"disk_total": GIB}],
    )
    def test_what_is_old_or_differs_is_news(self, told: dict[str, float | None]) -> None:
        assert is_news(replace(self.track.use, **told), self.track, 20.0)

    @pytest.mark.parametrize("told", [{"sampled_at": 81.0}, {"cpu": 1.9}, {"memory": 2 * GIB + 1000}])
    def test_small_differences_can_wait(self, told: dict[str, float]) -> None:
        assert not is_news(replace(self.track.use, **told), self.track, 20.0)
