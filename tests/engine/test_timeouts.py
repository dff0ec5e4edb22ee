"""Actions that take longer than they may."""

from __future__ import annotations

from engine.weather import check_gone, check_whole, clear_up, storm
from engine.world import World
from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.node import NodeStatus
from spinney.store import tables
from virtual_time import run_virtually


def _pulling(world: World, seconds: float) -> str:
    for number in range(len(world.host_ids)):
        world.host_engine(number).core.images.remote["remote/app:latest"] = seconds
    return world.profile(image="remote/app", pull_policy="missing")


def _submit_creation(world: World, profile_id: str, size: int, timeout: int) -> tuple[str, str]:
    cluster_id = world.create(0, profile_id=profile_id)
    world.store.run(lambda connection: connection.execute(tables.action.delete()))  # nobody has begun the creation yet
    action = world.submit(ActionKind.CLUSTER_RESIZE, cluster_id, _exactly(size), timeout=timeout)
    return cluster_id, action


def _exactly(size: int) -> dict[str, object]:
    return {"adjustment_type": "EXACT_CAPACITY", "number": size}


def test_an_action_past_its_timeout_fails_says_so_and_holds_nothing() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            cluster_id, action = _submit_creation(world, _pulling(world, 500.0), 3, timeout=30)
            started = world.clock.monotonic()
            await world.settle()
            assert 29.0 <= world.clock.monotonic() - started <= 36.0
            assert world.action(action).status is ActionStatus.FAILED
            assert "exceeded its timeout of 30 s" in world.action(action).status_reason
            assert all(n.status is NodeStatus.ERROR for n in world.members(cluster_id))
            assert world.containers() == [] and all(h.containers == 0 for h in world.hosts())
            world.check_invariants()

    run_virtually(story())


def test_a_silent_host_does_not_hold_an_action_beyond_its_timeout() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            storm(world, "create:hang")
            cluster_id, action = _submit_creation(world, world.profile(), 2, timeout=20)
            await world.settle(40.0)
            assert "exceeded its timeout of 20 s" in world.action(action).status_reason
            clear_up(world)
            world.submit(ActionKind.CLUSTER_RECOVER, cluster_id)
            await world.settle()
            await world.clock.sleep(15.0)
            check_whole(world, cluster_id, 2)

    run_virtually(story())


def test_retries_stop_where_the_timeout_leaves_no_time() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            storm(world, "create:before=connection")
            _, action = _submit_creation(world, world.profile(), 1, timeout=10)
            await world.settle(15.0)
            assert "leaves no time for another try" in world.action(action).status_reason

    run_virtually(story())


def test_work_that_waited_for_a_dead_engine_beyond_its_timeout_fails() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with world.engine():
            cluster_id, action = _submit_creation(world, _pulling(world, 500.0), 1, timeout=30)
            await world.clock.sleep(5.0)
        await world.clock.sleep(60.0)  # nobody is there
        async with world.engine():
            await world.settle(10.0)
            assert "exceeded its timeout of 30 s" in world.action(action).status_reason
            world.check_invariants()
            world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle()
            check_gone(world, cluster_id)

    run_virtually(story())
