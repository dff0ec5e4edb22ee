"""Scheduled runs on simulated hosts: on time, missed, overlapping, and clocks that jump."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from engine.job_world import all_runs, ended, job_cluster, latest, told
from engine.world import QUICK, World
from spinney.clock import Ids
from spinney.domain.action import ActionKind
from spinney.domain.runs import RunStatus
from virtual_time import VirtualClock, run_virtually

#: Every world begins at a full hour.
START = VirtualClock.EPOCH


def a_world() -> World:
    """In which engines outlive any jump of the clock."""
    return World(settings=replace(QUICK, lease=1e6))


async def nightly(world: World, command: str, **properties: Any) -> str:
    """A cluster whose schedule counts from now on."""
    cluster_id = await job_cluster(world, command, **properties)
    await world.clock.sleep(1.5)
    return cluster_id


def every(minutes: int, **fields: Any) -> dict[str, Any]:
    return {"schedule": {"cron": f"*/{minutes} * * * *", **fields}, "keep": {"runs": 50}}


def scheduled(world: World, cluster_id: str) -> list[tuple[int, RunStatus]]:
    """For which minute each run was meant, and what became of it."""
    found = [run for run in all_runs(world, cluster_id) if run.scheduled_at is not None]
    return [(round(((run.scheduled_at or 0.0) - START) / 60), run.status) for run in found]


def begun(world: World, cluster_id: str) -> list[int]:
    return [minute for minute, status in scheduled(world, cluster_id) if status is not RunStatus.SKIPPED]


def set_clock(world: World, minute: float) -> None:
    world.clock.set_by += START + 60 * minute - world.clock.now()


async def pass_minute(world: World, minute: int) -> None:
    """As if the time until then had passed; and then a few seconds."""
    set_clock(world, minute - 1 / 60)
    await world.clock.sleep(4.0)


def test_runs_begin_at_their_times() -> None:
    async def story() -> None:
        world = a_world()
        async with world.engine():
            cluster_id = await nightly(world, "sleep 1", **every(1))
            for minute in (1, 2, 3):
                await pass_minute(world, minute)
            assert scheduled(world, cluster_id) == [(i, RunStatus.SUCCEEDED) for i in (1, 2, 3)]
            for run in all_runs(world, cluster_id):
                assert run.started_at is not None and run.scheduled_at is not None
                assert 0 <= run.started_at - run.scheduled_at < 2
            assert told(world) == ["RUN_STARTED", "RUN_SUCCEEDED"] * 3

    run_virtually(story())


@pytest.mark.parametrize(
    ("missed", "fields", "then", "events"),
    [
        ("skip", {}, [5, 25], ["RUN_MISSED"]),
        ("once", {}, [5, 20, 25], ["RUN_MISSED"]),
        ("all", {}, [5, 10, 15, 20, 25], []),
        ("once", {"deadline": 60}, [5, 25], ["RUN_MISSED"]),
        ("all", {"deadline": 500}, [5, 15, 20, 25], ["RUN_MISSED"]),
    ],
)
def test_times_at_which_nobody_was_there(
    missed: str, fields: dict[str, Any], then: list[int], events: list[str]
) -> None:
    async def story() -> None:
        world = a_world()
        async with world.engine():
            cluster_id = await nightly(world, "exit 0", **every(5, missed=missed, **fields))
            await pass_minute(world, 5)
        set_clock(world, 22)
        async with world.engine(ids=Ids(9)):
            await world.clock.sleep(8.0)
            await pass_minute(world, 25)
        assert begun(world, cluster_id) == then
        assert told(world, "RUN_MISSED") == events
        for before, after in pairwise(all_runs(world, cluster_id)):  # one after the other
            assert before.ended_at is not None and after.started_at is not None
            assert before.ended_at <= after.started_at

    run_virtually(story())


@pytest.mark.parametrize(
    ("overlap", "statuses"),
    [
        ("forbid", [RunStatus.RUNNING, RunStatus.SKIPPED, RunStatus.SKIPPED]),
        ("allow", [RunStatus.RUNNING, RunStatus.RUNNING, RunStatus.RUNNING]),
        ("replace", [RunStatus.CANCELLED, RunStatus.CANCELLED, RunStatus.RUNNING]),
    ],
)
def test_a_run_that_takes_longer_than_the_time_to_the_next(overlap: str, statuses: list[RunStatus]) -> None:
    async def story() -> None:
        world = a_world()
        async with world.engine():
            cluster_id = await nightly(world, "sleep 900", profile={"stop_timeout": 1}, **every(1, overlap=overlap))
            for minute in (1, 2, 3):
                await pass_minute(world, minute)
            assert [status for _, status in scheduled(world, cluster_id)] == statuses
            assert told(world).count("RUN_SKIPPED") == statuses.count(RunStatus.SKIPPED)
            assert len(world.running()) == statuses.count(RunStatus.RUNNING)

    run_virtually(story())


def test_a_disabled_schedule_misses_nothing() -> None:
    async def story() -> None:
        world = a_world()
        async with world.engine():
            cluster_id = await nightly(world, "exit 0", **every(5))
            await pass_minute(world, 5)
            policy = {"policy_id": latest(world, cluster_id).policy_id}
            await ended(world, ActionKind.CLUSTER_UPDATE_POLICY, cluster_id, **policy, enabled=False)
            set_clock(world, 22)
            await world.clock.sleep(2.0)
            await ended(world, ActionKind.CLUSTER_UPDATE_POLICY, cluster_id, **policy, enabled=True)
            await pass_minute(world, 25)
            assert begun(world, cluster_id) == [5, 25]
            assert told(world, "RUN_MISSED") == []

    run_virtually(story())


def test_no_time_is_run_twice_when_clocks_are_set_back_and_none_is_waited_for_when_they_were_ahead() -> None:
    async def story() -> None:
        world = a_world()
        async with world.engine():
            cluster_id = await nightly(world, "exit 0", **every(5))
            await pass_minute(world, 5)
            await pass_minute(world, 5)
            assert begun(world, cluster_id) == [5]
            # A day ahead, by mistake: the latest of what that seems to have missed is begun.
            set_clock(world, 1447)
            await world.clock.sleep(4.0)
            assert begun(world, cluster_id) == [5, 1445]
            set_clock(world, 6)
            await world.clock.sleep(2.0)
            await pass_minute(world, 10)
            assert begun(world, cluster_id) == [5, 1445, 10]

    run_virtually(story())


def test_two_engines_and_a_successor_begin_each_run_once() -> None:
    async def story() -> None:
        world = a_world()
        async with world.engine(ids=Ids(2)):
            async with world.engine(ids=Ids(3)):
                cluster_id = await nightly(world, "exit 0", **every(1))
                for minute in (1, 2):
                    await pass_minute(world, minute)
            await pass_minute(world, 3)
        async with world.engine(ids=Ids(4)):
            await pass_minute(world, 4)
        assert begun(world, cluster_id) == [1, 2, 3, 4]
        assert len(world.members(cluster_id)) == 4

    run_virtually(story())
