"""A cluster taken to another profile, in batches: pace, failure, cancelling, and an engine that dies in between."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from engine.killing import MortalEngine
from engine.policed import attach, cluster_of, ended, seen
from engine.world import World
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.cluster import ClusterStatus
from spinney.domain.node import NodeStatus
from spinney.drivers.simulated.faults import Operation
from spinney.errors import DiskFull
from virtual_time import run_virtually

UPDATE = ActionKind.CLUSTER_UPDATE
QUIET = {"spinney.self_healing": False}


def profiles(world: World, cluster_id: str) -> list[str]:
    return [member.profile_id for member in world.members(cluster_id)]


def batches_of(world: World, action_id: str) -> list[list[Action]]:
    """The updates of members, those that were ordered together in one list."""
    moments: dict[float, list[Action]] = {}
    for action in sorted(world.actions(), key=lambda a: a.created_at):
        if action.parent_id == action_id:
            moments.setdefault(action.created_at, []).append(action)
    return list(moments.values())


async def paced(world: World, size: int = 5, **policy: Any) -> tuple[str, str]:
    """A cluster with a batch policy, and another profile."""
    cluster_id = await cluster_of(world, size, config=QUIET)
    await attach(world, cluster_id, "batch", **{"max_batch_size": 2, "pause_time": 20, **policy})
    return cluster_id, world.profile(image="alpine", cpu=0.5)


async def pausing(world: World, action_id: str) -> None:
    await world.until(lambda: " begins at " in world.action(action_id).status_reason)


def test_members_change_batch_by_batch_with_a_pause_between_them_and_none_after_the_last() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id, new = await paced(world)
            ids = [member.id for member in world.members(cluster_id)]
            action_id = world.submit(UPDATE, cluster_id, {"new_profile_id": new})
            await pausing(world, action_id)
            resting = world.action(action_id)
            assert resting.status is ActionStatus.READY and resting.owner is None, "it takes up no engine"
            assert resting.status_reason.startswith("Batch 2 of 3 begins at")
            assert resting.data["update"]["plan"] == [ids[:2], ids[2:4], ids[4:]]
            assert profiles(world, cluster_id).count(new) == 2
            shown = seen(world, cluster_id)
            assert shown.status is ClusterStatus.UPDATING and shown.profile_id != new
            await world.settle()
            assert world.action(action_id).status is ActionStatus.SUCCEEDED
            assert set(profiles(world, cluster_id)) == {new} == {seen(world, cluster_id).profile_id}
            done = batches_of(world, action_id)
            assert [[a.target for a in batch] for batch in done] == [ids[:2], ids[2:4], ids[4:]]
            for before, after in pairwise(done):
                gap = after[0].created_at - max(a.end_time or 0 for a in before)
                assert 20 <= gap < 24
            end = world.action(action_id).end_time
            assert end is not None and end - max(a.end_time or 0 for a in done[-1]) < 1

    run_virtually(story())


def test_without_a_policy_all_members_change_at_once_and_profile_only_changes_none() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = await cluster_of(world, 3)
            old, new = seen(world, cluster_id).profile_id, world.profile(cpu=0.5)
            only = await ended(world, UPDATE, cluster_id, new_profile_id=new, profile_only=True)
            assert only.status is ActionStatus.SUCCEEDED
            assert (seen(world, cluster_id).profile_id, set(profiles(world, cluster_id))) == (new, {old})
            newest = world.profile(cpu=0.25)
            done = await ended(world, UPDATE, cluster_id, new_profile_id=newest)
            assert len(batches_of(world, done.id)) == 1 and set(profiles(world, cluster_id)) == {newest}

    run_virtually(story())


def test_a_batch_that_fails_stops_the_update_and_the_cluster_keeps_its_profile() -> None:
    async def refuse(operation: Operation, host: str) -> None:
        if operation is Operation.CREATE:
            raise DiskFull("no space left on device")

    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id, new = await paced(world, pause_time=5)
            old = seen(world, cluster_id).profile_id
            action_id = world.submit(UPDATE, cluster_id, {"new_profile_id": new})
            await pausing(world, action_id)
            world.hooks.before = refuse
            await world.settle()
            failed = world.action(action_id)
            assert failed.status is ActionStatus.FAILED
            assert "It ended in batch 2 of 3" in failed.status_reason
            assert seen(world, cluster_id).profile_id == old
            assert profiles(world, cluster_id) == [new] * 4 + [old], "the last batch was never begun"
            assert [one.status for one in world.members(cluster_id)] == [NodeStatus.ACTIVE] * 2 + [
                NodeStatus.ERROR, NodeStatus.ERROR, NodeStatus.ACTIVE,
            ]  # fmt: skip

    run_virtually(story())


def test_who_waits_for_room_takes_the_new_profile_and_holds_nobody_up() -> None:
    async def story() -> None:
        world = World(host_count=2)
        async with world.engine():
            cluster_id = await cluster_of(world, 0, config=QUIET)
            await attach(world, cluster_id, "affinity")
            await attach(world, cluster_id, "batch", max_batch_size=1, pause_time=1)
            await ended(world, ActionKind.CLUSTER_SCALE_OUT, cluster_id, count=3)
            assert [one.host_id for one in world.members(cluster_id)].count(None) == 1
            new = world.profile(image="alpine")
            done = await ended(world, UPDATE, cluster_id, new_profile_id=new)
            assert done.status is ActionStatus.SUCCEEDED, done.status_reason
            assert profiles(world, cluster_id) == [new] * 3 and {c.image for c in world.running()} == {"alpine:latest"}
            assert [one.waiting_since is None for one in world.members(cluster_id)].count(False) == 1

    run_virtually(story())


def test_members_that_left_meanwhile_are_passed_over() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id, new = await paced(world, pause_time=10)
            action_id = world.submit(UPDATE, cluster_id, {"new_profile_id": new})
            await pausing(world, action_id)
            for member in world.members(cluster_id)[2:4]:
                world.submit(ActionKind.NODE_DELETE, member.id)
            await world.settle()
            assert world.action(action_id).status is ActionStatus.SUCCEEDED
            assert profiles(world, cluster_id) == [new] * 3 and len(batches_of(world, action_id)) == 2

    run_virtually(story())


def test_an_update_is_cancelled_in_a_pause_and_late_when_its_time_is_up() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id, new = await paced(world, pause_time=1000)
            action_id = world.submit(UPDATE, cluster_id, {"new_profile_id": new})
            await pausing(world, action_id)
            world.cancel(action_id)
            await world.settle(seconds=5)
            cancelled = world.action(action_id)
            assert cancelled.status is ActionStatus.CANCELLED and "and the cluster, keep" in cancelled.status_reason
            late = world.submit(UPDATE, cluster_id, {"new_profile_id": new}, timeout=60)
            await world.settle(seconds=1100)
            assert world.action(late).status is ActionStatus.FAILED
            assert "exceeded its timeout of 60 s" in world.action(late).status_reason

    run_virtually(story())


@pytest.mark.parametrize("die_in", ["batch", "pause"])
def test_a_successor_goes_on_with_the_next_batch(die_in: str) -> None:
    async def story() -> None:
        world = World()
        first = MortalEngine(world, seed=3)
        cluster_id, new = await paced(world)
        action_id = world.submit(UPDATE, cluster_id, {"new_profile_id": new})
        if die_in == "batch":
            await world.until(lambda: bool(batches_of(world, action_id)))
        else:
            await pausing(world, action_id)
        await first.stop()
        plan = world.action(action_id).data["update"]["plan"]
        second = MortalEngine(world, seed=5)
        await world.settle()
        await second.stop()
        done = world.action(action_id)
        assert done.status is ActionStatus.SUCCEEDED and done.data["update"]["plan"] == plan
        assert [[a.target for a in batch] for batch in batches_of(world, action_id)] == plan
        assert set(profiles(world, cluster_id)) == {new} and len(world.running()) == 5 == len(world.containers())
        world.check_invariants()

    run_virtually(story())


def test_containers_get_as_long_to_stop_before_an_update_as_the_cluster_says() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            stubborn = world.profile(command="sh -c \"trap '' TERM; sleep 1000000\"", stop_timeout=60)
            config = {**QUIET, "cluster.stop_timeout_before_update": 4}
            cluster_id = await cluster_of(world, 1, profile_id=stubborn, config=config)
            begun = world.clock.monotonic()
            await ended(world, UPDATE, cluster_id, new_profile_id=world.profile(cpu=0.5))
            assert 4 <= world.clock.monotonic() - begun < 9

    run_virtually(story())
