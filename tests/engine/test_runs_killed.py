"""Kill an engine at its k-th step while it carries a run; let another take over; demand the same final world."""

from __future__ import annotations

import logging

import pytest

from engine.job_world import all_over, all_runs, bare_cluster, exit_codes, job_policy, latest, places
from engine.killing import MortalEngine
from engine.world import World
from spinney.domain.action import ActionKind
from spinney.domain.cluster import ClusterStatus
from spinney.domain.runs import RunStatus
from virtual_time import run_virtually

#: Long enough for the reaper's two sightings.
_AFTERWARDS = 10.0
_FEWEST_STEPS = 60


async def _play(kill_at: int) -> tuple[World, str, int]:
    world = World()
    engine = MortalEngine(world, seed=3)
    cluster_id = await bare_cluster(world, "sleep 1")
    await engine.stop()
    first = MortalEngine(world, kill_at)
    inputs = {"policy_id": job_policy(world, parallelism=2, completions=3), "enabled": True}
    world.submit(ActionKind.CLUSTER_ATTACH_POLICY, cluster_id, inputs)
    second = None
    if kill_at:
        await world.until(lambda: first.reaper.dead or latest(world, cluster_id).ended_at is not None)
        second = MortalEngine(world, seed=11)
    await all_over(world, cluster_id)
    steps = first.reaper.steps
    await world.clock.sleep(_AFTERWARDS if kill_at else 0.0)
    for one in (first, second):
        if one is not None:
            await one.stop()
    return world, cluster_id, steps


def _judge(world: World, cluster_id: str) -> None:
    (run,) = all_runs(world, cluster_id)
    assert (run.status, run.succeeded, run.failed) == (RunStatus.SUCCEEDED, 3, 0)
    members = world.members(cluster_id)
    assert sorted(places(world, cluster_id)) == [(1, 0, 1), (1, 1, 1), (1, 2, 1)], "each completion by one member"
    assert exit_codes(members) == [0, 0, 0]
    assert {member.physical_id for member in members} == {container.id for container in world.containers()}
    cluster = world.cluster(cluster_id)
    assert cluster is not None and (cluster.status, cluster.desired_capacity) == (ClusterStatus.ACTIVE, 0)
    assert [event.action for event in world.events()].count("RUN_STARTED") == 1
    assert [event.action for event in world.events()].count("RUN_SUCCEEDED") == 1
    world.check_invariants()


@pytest.mark.parametrize("stride", [25, pytest.param(1, marks=pytest.mark.integration)])
def test_a_run_ends_the_same_wherever_the_engine_dies(stride: int) -> None:
    logging.disable(logging.CRITICAL)  # a hundred deaths, each told at length
    try:
        world, cluster_id, steps = run_virtually(_play(0))
        _judge(world, cluster_id)
        assert steps >= _FEWEST_STEPS, "steps have escaped the counting"
        for kill_at in range(1, steps + 1, stride):
            world, cluster_id, _ = run_virtually(_play(kill_at))
            try:
                _judge(world, cluster_id)
            except AssertionError as error:
                raise AssertionError(f"killed at step {kill_at} of {steps}: {error}\n{world.describe()}") from error
            world.store.close()
    finally:
        logging.disable(logging.NOTSET)
