"""Members of more important clusters push out those of less important ones, when the operator wants that."""

from __future__ import annotations

import logging
from typing import Any

from engine.killing import MortalEngine
from engine.world import World
from spinney.config import SchedulerSettings
from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.node import Node, NodeStatus
from virtual_time import run_virtually

_ON = SchedulerSettings(preemption=True)


def _cluster(world: World, size: int, priority: int | None, cpu: float, **fields: Any) -> str:
    profile_id = world.profile(cpu={"limit": cpu, "reservation": cpu})
    config = {} if priority is None else {"spinney.priority": priority}
    return world.create(size, profile_id=profile_id, config=config, **fields)


def _evictions(world: World) -> list[str]:
    return [a.status_reason for a in world.actions() if a.action is ActionKind.NODE_EVICT]


def _where(world: World, cluster_id: str) -> list[Node]:
    return [node for node in world.members(cluster_id) if node.host_id is not None]


def test_room_is_made_by_the_least_important_and_they_come_back() -> None:
    async def story() -> None:
        world = World(host_count=2, cpu=4.0)
        async with world.engine(scheduler=_ON):
            cheap, dear = _cluster(world, 2, 0, 2.0), _cluster(world, 2, 3, 2.0)
            await world.settle()
            assert len(world.running()) == 4
            urgent = _cluster(world, 1, 5, 2.0)
            await world.until(lambda: [n.status for n in world.members(urgent)] == [NodeStatus.ACTIVE])
            await world.clock.sleep(10.0)
            assert len(_where(world, cheap)) == 1 and len(_where(world, dear)) == 2
            (waiting,) = [n for n in world.members(cheap) if n.host_id is None]
            (winner,) = world.members(urgent)
            assert waiting.status is NodeStatus.INIT and waiting.waiting_since is not None
            told = f"Preempted by {winner.name} (priority 5 over 0)."
            assert waiting.status_reason.startswith(f"{told} Waiting for room: 0 of 2 hosts fit")
            assert _evictions(world) == [told]
            phases = [e.status for e in world.events() if e.action == "NODE_EVICT" and e.oid == waiting.id]
            assert phases == ["start", "end"]
            world.check_invariants()
            world.submit(ActionKind.CLUSTER_DELETE, urgent)
            await world.until(lambda: len(_where(world, cheap)) == 2 and world.idle())
            back = world.node(waiting.id)
            assert back is not None and back.status is NodeStatus.ACTIVE and "evicted" not in back.data
            assert len(world.running()) == 4

    run_virtually(story())


def test_not_unless_it_is_switched_on() -> None:
    async def story() -> None:
        world = World(host_count=1, cpu=4.0)
        async with world.engine():
            cheap = _cluster(world, 2, None, 2.0)
            await world.settle()
            _cluster(world, 1, 5, 2.0)
            await world.clock.sleep(20.0)
            assert _evictions(world) == [] and len(_where(world, cheap)) == 2

    run_virtually(story())


def test_neither_equals_nor_other_projects_are_pushed_out() -> None:
    async def story() -> None:
        world = World(host_count=2, cpu=4.0)
        async with world.engine(scheduler=_ON):
            _cluster(world, 1, 5, 4.0)
            await world.settle()
            _cluster(world, 1, 0, 4.0, project="theirs")
            await world.settle()
            _cluster(world, 1, 5, 4.0)
            await world.clock.sleep(20.0)
            assert _evictions(world) == [] and len(world.running()) == 2

    run_virtually(story())


def test_several_that_wait_have_each_its_room_made_by_two_engines_as_by_one() -> None:
    async def story() -> None:
        world = World(host_count=3, cpu=4.0)
        async with world.engine(scheduler=_ON), world.engine(scheduler=_ON):
            cheap = _cluster(world, 6, 0, 2.0)
            await world.settle()
            urgent = _cluster(world, 2, 1, 3.0)
            await world.until(lambda: [n.status for n in world.members(urgent)] == [NodeStatus.ACTIVE] * 2)
            await world.clock.sleep(10.0)
            assert len(_evictions(world)) == 4 and len(_where(world, cheap)) == 2
            world.check_invariants()

    run_virtually(story())


def test_freed_room_goes_to_the_most_important_that_waits() -> None:
    async def story() -> None:
        world = World(host_count=1, cpu=4.0)
        async with world.engine():
            filling = _cluster(world, 1, 0, 4.0)
            await world.settle()
            early = _cluster(world, 1, 0, 4.0)
            await world.clock.sleep(5.0)
            late = _cluster(world, 1, 1, 3.0)
            await world.clock.sleep(5.0)
            world.submit(ActionKind.CLUSTER_DELETE, filling)
            await world.until(lambda: len(world.running()) == 1 and world.idle())
            assert len(_where(world, late)) == 1 and _where(world, early) == []

    run_virtually(story())


def test_an_order_that_nobody_needs_any_more_is_not_carried_out() -> None:
    async def story() -> None:
        world = World(host_count=1, cpu=4.0)
        async with world.engine():
            cheap = _cluster(world, 1, 0, 4.0)
            await world.settle()
            (node,) = world.members(cheap)
            inputs = {"for": "gone", "host": node.host_id, "reason": "Preempted by gone (priority 5 over 0)."}
            order = world.submit(ActionKind.NODE_EVICT, node.id, inputs)
            await world.settle()
            assert world.action(order).status is ActionStatus.FAILED
            assert world.action(order).status_reason == "nobody waits for its room any more"
            assert world.node(node.id) == node and len(world.running()) == 1

    run_virtually(story())


def test_a_host_that_cannot_be_asked_keeps_its_containers() -> None:
    async def story() -> None:
        world = World(host_count=1, cpu=4.0)
        async with world.engine(scheduler=_ON):
            cheap = _cluster(world, 1, 0, 4.0)
            await world.settle()
            urgent = _cluster(world, 1, 5, 4.0)
            world.host_engine(0).cut()
            await world.clock.sleep(120.0)
            (node,) = world.members(cheap)
            assert node.host_id is not None
            world.host_engine(0).heal()
            await world.until(lambda: [n.status for n in world.members(urgent)] == [NodeStatus.ACTIVE], 300.0)
            assert len(world.running()) == 1

    run_virtually(story())


async def _killed(kill_at: int) -> tuple[World, str, str, int]:
    """One of two containers makes room while the engine dies at a step, and another takes over."""
    world = World(host_count=1, cpu=4.0)
    before = MortalEngine(world, seed=3)
    cheap = _cluster(world, 2, 0, 2.0)
    await world.settle()
    urgent = _cluster(world, 1, 5, 2.0)
    await world.settle()
    await before.stop()
    first = MortalEngine(world, kill_at, scheduler=_ON)

    def done() -> bool:
        return [n.status for n in world.members(urgent)] == [NodeStatus.ACTIVE] and world.idle()

    if kill_at:
        await world.until(lambda: first.reaper.dead or done())
        second = MortalEngine(world, seed=11, scheduler=_ON)
        await world.until(done)
        await world.clock.sleep(8.0)
        await second.stop()
    else:
        await world.until(done)
    await first.stop()
    return world, cheap, urgent, first.reaper.steps


def test_room_is_made_once_wherever_the_engine_dies() -> None:
    logging.disable(logging.CRITICAL)
    try:
        *_, steps = run_virtually(_killed(0))
        assert steps >= 20, "steps have escaped the counting"
        for kill_at in range(1, steps + 1, 3):  # every other one before something, every other one after it
            world, cheap, urgent, _ = run_virtually(_killed(kill_at))
            where = f"killed at step {kill_at} of {steps}"
            assert sorted(n.status for n in world.members(cheap)) == [NodeStatus.ACTIVE, NodeStatus.INIT], where
            assert [n.status for n in world.members(urgent)] == [NodeStatus.ACTIVE], where
            assert len(world.running()) == len(world.containers()) == 2, where
            world.check_invariants()
            world.store.close()
    finally:
        logging.disable(logging.NOTSET)
