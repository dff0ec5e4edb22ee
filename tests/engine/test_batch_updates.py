"""A cluster taken to another profile, in batches: pace, failure, cancelling, and an engine that dies in between."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from engine.killing import MortalEngine
from engine.policed import attach, cluster_of, ended, seen
from engine.weather import check_whole
from engine.world import World
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.cluster import ClusterStatus
from spinney.drivers.simulated.faults import Operation
from spinney.errors import DiskFull
from virtual_time import run_virtually

UPDATE = ActionKind.CLUSTER_UPDATE
QUIET = {"spinney.self_healing": False}


def images(world: World) -> set[str]:
    return {container.image.partition("@")[0].partition(":")[0] for container in world.running()}


def profiles(world: World, cluster_id: str) -> list[str]:
    return [member.profile_id for member in world.members(cluster_id)]


def batches_of(world: World, action_id: str) -> list[list[Action]]:
    """The updates of members, those of one batch in one list, in the order of the members."""
    batches: dict[int, list[Action]] = {}
    order = {member.id: member.index for member in world.members(world.action(action_id).target)}
    for action in sorted(world.actions(), key=lambda a: order.get(a.target, 0)):
        if action.parent_id == action_id and action.action is ActionKind.NODE_UPDATE:
            batches.setdefault(action.inputs["batch"], []).append(action)
    return [batches[number] for number in sorted(batches)]


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
            assert resting.status is ActionStatus.WAITING and resting.owner is None, "it takes up no engine"
            assert resting.status_reason.startswith(
                "Batch 1 of 3: 2 of 5 members are updated. The next batch begins at"
            )
            assert resting.outputs == {
                "total": 5, "done": 2, "failed": 0, "under_way": 0, "batch": 1, "of": 3, "state": "resting",
                "rolling_back": False, "reason": resting.outputs["reason"],
            }  # fmt: skip
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
            assert "2 of 5 members failed" in failed.status_reason and "no space left" in failed.status_reason
            assert "2 of 5 members have the new profile and keep it; the others" in failed.status_reason
            assert seen(world, cluster_id).profile_id == old
            assert profiles(world, cluster_id) == [new] * 2 + [old] * 3, "the last batch was never begun"
            check_whole(world, cluster_id, 5)

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
            assert profiles(world, cluster_id) == [new] * 3 and images(world) == {"alpine"}
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
            assert profiles(world, cluster_id) == [new] * 3
            assert [len(batch) for batch in batches_of(world, action_id)] == [2, 1]

    run_virtually(story())


def test_an_update_is_cancelled_in_a_pause_and_another_one_does_the_rest() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id, new = await paced(world, pause_time=150)
            action_id = world.submit(UPDATE, cluster_id, {"new_profile_id": new})
            await pausing(world, action_id)
            world.cancel(action_id)
            await world.settle(seconds=5)
            cancelled = world.action(action_id)
            assert cancelled.status is ActionStatus.CANCELLED and "and the cluster, keep" in cancelled.status_reason
            again = world.submit(UPDATE, cluster_id, {"new_profile_id": new}, timeout=60)
            await world.settle(seconds=250)
            assert world.action(again).status is ActionStatus.SUCCEEDED, "to pause takes none of its time"
            assert len(batches_of(world, again)) == 2, "those that were updated before are left alone"

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
        ids = [member.id for member in world.members(cluster_id)]
        second = MortalEngine(world, seed=5)
        await world.settle()
        await second.stop()
        done = world.action(action_id)
        assert done.status is ActionStatus.SUCCEEDED
        assert [[a.target for a in batch] for batch in batches_of(world, action_id)] == [ids[:2], ids[2:4], ids[4:]]
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
