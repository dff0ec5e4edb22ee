"""Asking actions to stop, and actions that meet on one object."""

from __future__ import annotations

from dataclasses import replace

import pytest

from engine.weather import check_gone, check_whole, storm
from engine.world import QUICK, World
from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.cluster import ClusterStatus
from spinney.domain.node import NodeStatus, PowerState
from spinney.errors import ActionConflict, ResourceIsLocked
from spinney.store import action_requests, actions
from virtual_time import run_virtually


def _slow(world: World, size: int = 2, seconds: float = 500.0) -> str:
    """A cluster whose image takes that long to pull; returns its id."""
    for number in range(len(world.host_ids)):
        world.host_engine(number).core.images.remote["remote/app:latest"] = seconds
    return world.create(size, profile_id=world.profile(image="remote/app", pull_policy="missing"))


def _creation(world: World) -> str:
    (found,) = [a.id for a in world.actions() if a.action is ActionKind.CLUSTER_CREATE]
    return found


def _cancel(world: World, action_id: str) -> None:
    world.store.run(actions.cancel, action_id)
    world.bell.ring()


def test_cancelling_a_slow_pull_ends_everything_and_holds_nothing() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = _slow(world, 4)
            await world.clock.sleep(3.0)
            _cancel(world, _creation(world))
            await world.settle(5.0)
            creation = world.action(_creation(world))
            assert creation.status is ActionStatus.CANCELLED and "0 of 4 nodes were done" in creation.status_reason
            assert [n.status for n in world.members(cluster_id)] == [NodeStatus.ERROR] * 4
            assert world.containers() == [] and all(h.containers == 0 for h in world.hosts())
            world.check_invariants()
            world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle()
            check_gone(world, cluster_id)

    run_virtually(story())


def test_cancelling_is_noticed_without_the_bell_while_other_work_goes_on() -> None:
    async def story() -> None:
        world = World(host_count=2, settings=replace(QUICK, host_concurrency=1))
        storm(world, "start:latency=1")
        async with world.engine():
            _slow(world, 1)
            await world.clock.sleep(3.0)
            world.create(40)
            await world.clock.sleep(3.0)
            pulling = next(a.id for a in world.actions() if a.action is ActionKind.CLUSTER_CREATE)
            world.store.run(actions.cancel, pulling)  # and nobody rings
            await world.until(lambda: world.action(pulling).final, 6.0)
            assert not world.idle(), "the other work must last longer for this test to mean something"

    run_virtually(story())


def test_cancelling_by_force_is_final_at_once_and_the_world_follows() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = _slow(world, 2, 20.0)
            await world.clock.sleep(3.0)
            world.store.run(action_requests.cancel_by_force, _creation(world), world.clock.now())
            assert world.idle()
            found = world.cluster(cluster_id)
            assert found is not None and found.status is not ClusterStatus.CREATING
            assert all(n.status is not NodeStatus.CREATING for n in world.members(cluster_id))
            await world.clock.sleep(60.0)
            world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle()
            await world.clock.sleep(15.0)
            check_gone(world, cluster_id)

    run_virtually(story())


def test_cancelling_a_child_by_force_lets_its_parent_end() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            _slow(world, 1)
            await world.clock.sleep(3.0)
            (child,) = [a.id for a in world.actions() if a.action is ActionKind.NODE_CREATE]
            world.store.run(action_requests.cancel_by_force, child, world.clock.now())
            world.bell.ring()
            await world.settle(10.0)
            assert world.action(_creation(world)).status is ActionStatus.CANCELLED

    run_virtually(story())


def test_two_deletions_at_once_end_in_one_deleted_cluster() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = world.create(4)
            await world.settle()
            storm(world, "*:latency=0.5")
            first = world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.clock.sleep(0.7)
            second = world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle()
            assert world.action(second).status is ActionStatus.SUCCEEDED
            assert world.action(first).status in (ActionStatus.SUCCEEDED, ActionStatus.CANCELLED)
            check_gone(world, cluster_id)

    run_virtually(story())


def test_scaling_during_a_deletion_is_refused() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = world.create(2)
            await world.settle()
            storm(world, "*:latency=1")
            world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            with pytest.raises(ActionConflict, match="is queued before it"):
                world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id, {"count": 2})
            await world.clock.sleep(0.5)
            with pytest.raises(ResourceIsLocked, match="is at work on it"):
                world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id, {"count": 2})
            await world.settle()
            check_gone(world, cluster_id)

    run_virtually(story())


def test_a_node_deleted_while_its_cluster_is_made_is_gone_and_the_others_stay() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = _slow(world, 3, 20.0)
            await world.clock.sleep(3.0)
            victim = world.members(cluster_id)[1]
            world.submit(ActionKind.NODE_DELETE, victim.id)
            await world.settle()
            assert world.node(victim.id) is None and len(world.running()) == 2
            await world.clock.sleep(15.0)
            world.check_invariants()
            assert len(world.containers()) == len(world.members(cluster_id)) == 2

    run_virtually(story())


@pytest.mark.parametrize("operation", ["stop", "pause"])
def test_a_recovery_that_finds_a_member_well_leaves_its_power_state(operation: str) -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = world.create(1)
            await world.settle()
            (node,) = world.members(cluster_id)
            world.submit(ActionKind.NODE_OPERATION, node.id, {"operation": operation})
            await world.settle()
            world.submit(ActionKind.CLUSTER_RECOVER, cluster_id, {"check": True})
            await world.settle()
            await world.clock.sleep(15.0)
            (after,) = world.members(cluster_id)
            wanted = PowerState.STOPPED if operation == "stop" else PowerState.PAUSED
            assert (after.power, after.status, world.running()) == (wanted, NodeStatus.ACTIVE, [])
            assert after.physical_id == node.physical_id

    run_virtually(story())


def test_deleting_a_cluster_whose_nodes_wait_for_room() -> None:
    async def story() -> None:
        world = World(host_count=1, cpu=0.3)
        async with world.engine():
            cluster_id = world.create(3, profile_id=world.profile(cpu=0.25))
            await world.settle()
            world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle()
            await world.clock.sleep(5.0)
            check_gone(world, cluster_id)

    run_virtually(story())


def test_user_work_makes_healing_yield() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = world.create(2)
            await world.settle()
            await world.clock.sleep(1.0)
            storm(world, "*:latency=1")
            engine = world.host_engine(0)
            for container in world.running():
                engine.do(engine.core.kill, container.id, "SIGKILL")
            await world.until(lambda: not world.idle())
            world.submit(ActionKind.CLUSTER_RECOVER, cluster_id, {"check": True})
            await world.settle()
            await world.clock.sleep(20.0)
            await world.settle()
            check_whole(world, cluster_id, 2)

    run_virtually(story())
