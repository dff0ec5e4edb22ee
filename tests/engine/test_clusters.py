"""A cluster's life through the engine, on simulated hosts."""

from __future__ import annotations

from collections import Counter

import pytest

from engine.world import World
from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.cluster import ClusterStatus
from spinney.domain.container import LABEL_NODE, ContainerState
from spinney.domain.node import NodeStatus, PowerState
from virtual_time import run_virtually


def test_create_scale_and_delete() -> None:
    async def story() -> None:
        world = World(host_count=3)
        async with world.engine():
            cluster_id = world.create(6)
            await world.settle()
            found = world.cluster(cluster_id)
            assert found is not None and found.status is ClusterStatus.ACTIVE and found.created_at is not None
            assert len(world.running()) == 6
            assert Counter(n.host_id for n in world.members(cluster_id)) == dict.fromkeys(world.host_ids, 2)
            assert {n.physical_id for n in world.members(cluster_id)} == {c.id for c in world.running()}

            world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id, {"count": 4})
            await world.settle()
            assert len(world.running()) == 10

            action = world.submit(ActionKind.CLUSTER_SCALE_IN, cluster_id, {"count": 7})
            await world.settle()
            assert len(world.containers()) == 3
            assert len(world.action(action).outputs["nodes_removed"]) == 7
            world.check_invariants()

            world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle()
            assert world.cluster(cluster_id) is None
            assert world.containers() == [] and world.members(cluster_id) == []
            world.check_invariants()

    run_virtually(story())


def test_failed_scale_names_the_fault_and_changes_nothing() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = world.create(2, max_size=3)
            await world.settle()
            action = world.submit(ActionKind.CLUSTER_SCALE_OUT, cluster_id, {"count": 5})
            await world.settle()
            assert world.action(action).status is ActionStatus.FAILED
            assert "max_size (3)" in world.action(action).status_reason
            found = world.cluster(cluster_id)
            assert found is not None and (found.desired_capacity, found.status) == (2, ClusterStatus.ACTIVE)

    run_virtually(story())


def test_nodes_without_room_wait_and_are_placed_when_there_is_some() -> None:
    async def story() -> None:
        world = World(host_count=1, cpu=1.0)
        async with world.engine():
            cluster_id = world.create(5, profile_id=world.profile(cpu=0.25))
            await world.settle()
            found = world.cluster(cluster_id)
            assert found is not None and found.status is ClusterStatus.WARNING
            waiting = [n for n in world.members(cluster_id) if n.waiting_since is not None]
            assert len(waiting) == 1 and "cpu short on 1" in waiting[0].status_reason
            victim = next(n for n in world.members(cluster_id) if n.waiting_since is None)
            world.submit(ActionKind.NODE_DELETE, victim.id)
            await world.until(lambda: len(world.running()) == 4 and world.idle())
            assert all(n.status is NodeStatus.ACTIVE for n in world.members(cluster_id))
            world.check_invariants()

    run_virtually(story())


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"image": "no-such-image"}, "no-such-image"),
        ({"command": "no-such-program"}, "no-such-program"),
        ({"command": "sh -c 'exit 3'"}, "exit code 3"),
    ],
)
def test_a_node_that_cannot_be_made_says_why(properties: dict[str, str], reason: str) -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = world.create(1, profile_id=world.profile(**properties), config={"spinney.self_healing": False})
            await world.settle()
            (node,) = world.members(cluster_id)
            assert node.status is NodeStatus.ERROR and reason in node.status_reason
            world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle()
            assert world.containers() == []
            world.check_invariants()

    run_virtually(story())


def test_delete_overtakes_a_running_scale_out() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = world.create(2, profile_id=world.profile(image="remote/app", pull_policy="missing"))
            world.host_engine(0).core.images.pull_seconds = 50.0
            world.host_engine(1).core.images.pull_seconds = 50.0
            await world.clock.sleep(1.0)
            world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle(10.0)
            assert world.cluster(cluster_id) is None and world.containers() == []
            world.check_invariants()

    run_virtually(story())


def test_operations_set_the_wanted_power_state() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id = world.create(1)
            await world.settle()
            (node,) = world.members(cluster_id)
            for operation, power, state in (
                ("pause", PowerState.PAUSED, ContainerState.PAUSED),
                ("unpause", PowerState.RUNNING, ContainerState.RUNNING),
                ("stop", PowerState.STOPPED, ContainerState.EXITED),
            ):
                world.submit(ActionKind.NODE_OPERATION, node.id, {"operation": operation, "params": {}})
                await world.settle()
                now = world.node(node.id)
                assert now is not None and (now.power, now.status) == (power, NodeStatus.ACTIVE)
                assert [c.state for c in world.containers()] == [state]
            await world.clock.sleep(30.0)
            assert world.running() == [], "healing obeys the wanted power state"
            world.submit(ActionKind.NODE_OPERATION, node.id, {"operation": "start", "params": {}})
            await world.settle()
            assert len(world.running()) == 1

    run_virtually(story())


def test_update_to_another_profile_replaces_the_containers() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id = world.create(3)
            await world.settle()
            before = {c.id for c in world.running()}
            world.submit(
                ActionKind.CLUSTER_UPDATE, cluster_id, {"new_profile_id": world.profile(image="alpine", cpu=0.5)}
            )
            await world.settle()
            after = world.running()
            assert len(after) == 3 and not before & {c.id for c in after}
            assert {c.image.partition("@")[0] for c in after} == {"alpine"}, "what the tag stands for"
            assert len({c.labels[LABEL_NODE] for c in after}) == 3
            world.check_invariants()

    run_virtually(story())
