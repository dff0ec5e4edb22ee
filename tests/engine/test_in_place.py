"""Updates that change a container where it is: it goes on, and has what its new profile gives it."""

from __future__ import annotations

import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from engine.killing import MortalEngine
from engine.world import World
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.container import ContainerLimits, ContainerState
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.drivers.simulated.faults import Failure, Fault, FaultKind, FaultPlan, Operation, Rule
from spinney.store import adjusting, image_rules, tables
from virtual_time import run_virtually

MIB = 1 << 20


def _limits(world: World, node: Node) -> ContainerLimits:
    """What the Docker engine has been told last."""
    (record,) = (
        record for engine in world.connector.engines.values() for record in engine.core if record.id == node.physical_id
    )
    return record.request.limits


def _play(
    story: Callable[[World, str], Awaitable[None]],
    *,
    size: int = 1,
    host_count: int = 1,
    cores: float = 8.0,
    **base: Any,
) -> World:
    async def play() -> World:
        world = World(host_count=host_count, cpu=cores)
        async with world.engine():
            cluster_id = world.create(size, profile_id=world.profile(**base))
            await world.settle()
            await story(world, cluster_id)
            await world.clock.sleep(1)
        world.check_invariants()
        return world

    return run_virtually(play())


async def _update(world: World, cluster_id: str, **changed: Any) -> tuple[Action, Node, Node]:
    """Of the one member: the action, and the node before and after it."""
    (before,) = world.members(cluster_id)
    profile_id = world.profile(**changed)
    action_id = world.submit(ActionKind.NODE_UPDATE, before.id, {"new_profile_id": profile_id})
    await world.settle(300)
    (after,) = world.members(cluster_id)
    assert (after.profile_id == profile_id) is (world.action(action_id).status is ActionStatus.SUCCEEDED)
    return world.action(action_id), before, after


def _same_container(before: Node, after: Node) -> bool:
    return (before.physical_id, before.generation, before.host_id) == (
        after.physical_id,
        after.generation,
        after.host_id,
    )


@pytest.mark.parametrize("narrower", [False, True])
def test_the_container_stays_and_its_room_follows(narrower: bool) -> None:
    wide: dict[str, Any] = {"cpu": 2.0, "memory": "256m", "pids_limit": 100}
    small: dict[str, Any] = {"cpu": 1.0, "memory": "128m", "restart_policy": "on-failure:4"}
    first, then = (wide, small) if narrower else (small, wide)

    async def story(world: World, cluster_id: str) -> None:
        shown: list[NodeStatus] = []
        world.hooks.before = lambda operation, _: shown.extend(
            node.status for node in world.members(cluster_id) if operation is Operation.UPDATE
        )
        action, before, after = await _update(world, cluster_id, **then)
        assert (action.status, after.status_reason) == (ActionStatus.SUCCEEDED, "Changed in place.")
        assert _same_container(before, after)
        assert shown == [NodeStatus.ACTIVE], "it serves meanwhile"
        assert (after.reserved_cpu, after.reserved_memory) == ((1.0, 128 * MIB) if narrower else (2.0, 256 * MIB))
        limits = _limits(world, after)
        assert (limits.cpu_limit, limits.memory_limit) == ((1.0, 128 * MIB) if narrower else (2.0, 256 * MIB))
        assert limits.restart_on_failure == (4 if narrower else None)
        assert len(world.containers()) == 1

    _play(story, **first)


def test_what_concerns_the_service_alone_is_told_to_no_docker_engine() -> None:
    async def story(world: World, cluster_id: str) -> None:
        action, before, after = await _update(world, cluster_id, pull_policy="always")
        assert action.status is ActionStatus.SUCCEEDED and _same_container(before, after)
        assert world.connector.calls()[Operation.UPDATE] == 0

    _play(story)


def test_a_container_that_is_stopped_is_changed_and_stays_so() -> None:
    async def story(world: World, cluster_id: str) -> None:
        (node,) = world.members(cluster_id)
        world.submit(ActionKind.NODE_OPERATION, node.id, {"operation": "stop", "params": {}})
        await world.settle()
        _, before, after = await _update(world, cluster_id, cpu=0.5)
        assert _same_container(before, after) and after.power is PowerState.STOPPED
        assert world.containers()[0].state is ContainerState.EXITED and _limits(world, after).cpu_limit == 0.5

    _play(story)


@pytest.mark.parametrize(
    ("base", "changed"),
    [({}, {}), ({}, {"image": "alpine"}), ({"cpu": 1.0}, {"cpu": 2.0, "environment": {"A": "b"}})],
)
def test_whatever_else_differs_takes_a_new_container(base: dict[str, Any], changed: dict[str, Any]) -> None:
    async def story(world: World, cluster_id: str) -> None:
        action, before, after = await _update(world, cluster_id, **changed)
        assert action.status is ActionStatus.SUCCEEDED
        assert after.generation == before.generation + 1 and after.physical_id != before.physical_id
        assert world.connector.calls()[Operation.UPDATE] == 0

    _play(story, **base)


def test_a_container_that_uses_more_memory_than_it_is_to_have_is_made_anew() -> None:
    async def story(world: World, cluster_id: str) -> None:
        (node,) = world.members(cluster_id)
        world.host_engine(0).core.set_load(node.physical_id or "", 0.1, 200 * MIB)
        action, before, after = await _update(world, cluster_id, memory="128m")
        assert action.status is ActionStatus.SUCCEEDED and not _same_container(before, after)
        assert (after.reserved_memory, len(world.containers())) == (128 * MIB, 1)
        assert _limits(world, after).memory_limit == 128 * MIB

    _play(story, memory="256m")


def test_without_room_on_its_host_it_is_made_anew_on_another() -> None:
    async def story(world: World, cluster_id: str) -> None:
        (node,) = world.members(cluster_id)
        neighbour = world.profile(cpu=1.0, host_node=None)
        pin = {"profile_id": neighbour, "kind": "host_node", "target_id": node.host_id}
        world.store.run(lambda c: c.execute(tables.pin.insert(), pin))
        world.create(1, profile_id=neighbour)
        await world.settle()
        action, before, after = await _update(world, cluster_id, cpu=1.5)
        assert action.status is ActionStatus.SUCCEEDED and after.host_id != before.host_id
        assert (after.reserved_cpu, len(world.containers())) == (1.5, 2)

    _play(story, host_count=2, cores=2.0, cpu=0.5)


def test_one_that_finds_room_nowhere_is_left_as_it_was() -> None:
    async def story(world: World, cluster_id: str) -> None:
        action, before, after = await _update(world, cluster_id, cpu=7.5)
        assert action.status is ActionStatus.FAILED and "no room" in action.status_reason
        assert _same_container(before, after)
        assert (after.status, after.reserved_cpu) == (NodeStatus.ACTIVE, before.reserved_cpu)

    _play(story, cores=2.0)


@pytest.mark.parametrize("used", [200 * MIB, 1 * MIB])
def test_within_an_update_of_the_cluster_another_way_is_left_to_that(used: int) -> None:
    """One container uses too much memory, the other finds no room for more."""

    async def story(world: World, cluster_id: str) -> None:
        (before,) = world.members(cluster_id)
        world.host_engine(0).core.set_load(before.physical_id or "", 0.1, used)
        profile_id = world.profile(cpu=1.0, memory="128m") if used > MIB else world.profile(cpu=1.0, memory="64g")
        inputs = {"new_profile_id": profile_id, "manner": "in-place", "batch": 1}
        action_id = world.submit(ActionKind.NODE_UPDATE, before.id, inputs)
        await world.settle()
        (after,) = world.members(cluster_id)
        action = world.action(action_id)
        assert action.status is ActionStatus.FAILED and adjusting.REPLACE in action.outputs
        assert _same_container(before, after) and after.profile_id == before.profile_id
        assert (after.status, after.reserved_memory) == (NodeStatus.ACTIVE, 256 * MIB)

    _play(story, cpu=1.0, memory="256m")


@pytest.mark.parametrize("kind", [FaultKind.BEFORE, FaultKind.AFTER])
def test_what_failed_once_is_tried_again(kind: FaultKind) -> None:
    async def story(world: World, cluster_id: str) -> None:
        world.host_engine(0).plan = FaultPlan([Rule(Operation.UPDATE, Fault(kind), times=2)], random.Random(1))
        action, before, after = await _update(world, cluster_id, cpu=2.0)
        assert action.status is ActionStatus.SUCCEEDED and _same_container(before, after)
        assert (after.reserved_cpu, _limits(world, after).cpu_limit) == (2.0, 2.0)

    _play(story)


def test_a_host_out_of_reach_leaves_it_as_it_was() -> None:
    async def story(world: World, cluster_id: str) -> None:
        (before,) = world.members(cluster_id)
        world.host_engine(0).plan = FaultPlan(
            [Rule(Operation.UPDATE, Fault(FaultKind.BEFORE, failure=Failure.CONNECTION))], random.Random(1)
        )
        action, before, after = await _update(world, cluster_id, cpu=2.0)
        assert action.status is ActionStatus.FAILED and action.retries == world.settings.retries
        assert _same_container(before, after)
        assert (after.status, after.reserved_cpu) == (NodeStatus.ACTIVE, before.reserved_cpu)

    _play(story)


def test_what_has_begun_is_not_cancelled_in_the_middle() -> None:
    async def story(world: World, cluster_id: str) -> None:
        (before,) = world.members(cluster_id)
        inputs = {"new_profile_id": world.profile(cpu=2.0)}
        asked: list[str] = []

        async def cancel(operation: Operation, _: str) -> None:
            if operation is Operation.UPDATE:
                world.cancel(asked[0])
                await world.clock.sleep(5)

        world.hooks.before = cancel
        asked.append(world.submit(ActionKind.NODE_UPDATE, before.id, inputs))
        await world.settle()
        (after,) = world.members(cluster_id)
        assert world.action(asked[0]).status is ActionStatus.SUCCEEDED
        assert _same_container(before, after) and after.status is NodeStatus.ACTIVE
        assert (after.reserved_cpu, _limits(world, after).cpu_limit) == (2.0, 2.0)

    _play(story)


def test_the_image_stays_the_one_that_its_tag_stood_for() -> None:
    async def story(world: World, cluster_id: str) -> None:
        (node,) = world.members(cluster_id)
        world.store.run(image_rules.resolve, cluster_id, node.profile_id, "busybox@sha256:" + "a" * 64, 0.0)
        _, _, after = await _update(world, cluster_id, cpu=2.0)
        kept = world.store.run(image_rules.digest_of, cluster_id, after.profile_id)
        assert kept == "busybox@sha256:" + "a" * 64

    _play(story)


def test_a_cluster_is_changed_without_one_container_ending() -> None:
    async def story(world: World, cluster_id: str) -> None:
        before = {node.id: node.physical_id for node in world.members(cluster_id)}
        profile_id = world.profile(cpu=0.5, memory="64m")
        action_id = world.submit(ActionKind.CLUSTER_UPDATE, cluster_id, {"new_profile_id": profile_id})
        await world.settle()
        assert world.action(action_id).status is ActionStatus.SUCCEEDED
        assert {node.id: node.physical_id for node in world.members(cluster_id)} == before
        assert all(c.restart_count == 0 and c.state is ContainerState.RUNNING for c in world.containers())

    _play(story, size=5, host_count=2)


@pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.integration)])
def test_it_ends_the_same_wherever_the_engine_dies(stride: int) -> None:
    async def play(kill_at: int) -> int:
        world = World(host_count=1)
        begin = MortalEngine(world, seed=3)
        cluster_id = world.create(1, profile_id=world.profile(cpu=2.0), config={"spinney.self_healing": False})
        await world.settle()
        await begin.stop()
        (before,) = world.members(cluster_id)
        first = MortalEngine(world, kill_at)
        profile_id = world.profile(cpu=0.5)
        world.submit(ActionKind.NODE_UPDATE, before.id, {"new_profile_id": profile_id})
        second = None
        if kill_at:
            await world.until(lambda: first.reaper.dead or world.idle())
            second = MortalEngine(world, seed=11)
        await world.settle()
        await first.stop()
        if second is not None:
            await second.stop()
        (after,) = world.members(cluster_id)
        assert _same_container(before, after) and after.profile_id == profile_id
        assert (after.status, after.reserved_cpu, _limits(world, after).cpu_limit) == (NodeStatus.ACTIVE, 0.5, 0.5)
        world.check_invariants()
        return first.reaper.steps

    logging.disable(logging.CRITICAL)
    try:
        steps = run_virtually(play(0))
        assert steps >= 6, "steps have escaped the counting"
        for kill_at in range(1, steps + 1, stride):
            run_virtually(play(kill_at))
    finally:
        logging.disable(logging.NOTSET)
