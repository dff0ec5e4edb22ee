"""Several engine processes on one database: shared work, takeovers, engines that freeze, and clean stops."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from engine.weather import FrostyEngine, check_gone, check_whole, running, storm
from engine.world import QUICK, World
from spinney.clock import Ids
from spinney.domain.action import ActionKind, ActionStatus
from spinney.drivers.simulated.faults import Operation
from spinney.engine.supervisor import Engine
from spinney.store import engines
from virtual_time import run_virtually


def _owners(world: World) -> set[str]:
    return {a.owner for a in world.actions() if a.owner is not None}


def _engine_ids(world: World) -> set[str]:
    return {row.id for row in world.store.run(engines.everyone)}


def test_engines_share_the_work_and_double_nothing() -> None:
    async def story() -> None:
        world = World(host_count=4, settings=replace(QUICK, concurrency=6))
        storm(world, "*:latency=0.1")
        async with running(world.context(ids=Ids(2))), running(world.context(ids=Ids(3))):
            await world.until(lambda: len(_engine_ids(world)) == 2)
            cluster_id = world.create(30)
            seen: set[str] = set()
            while not world.idle():
                seen |= _owners(world)
                await world.clock.sleep(0.05)
            assert seen == _engine_ids(world)
            check_whole(world, cluster_id, 30)
            assert sum(world.connector.calls()[o] for o in (Operation.START,)) == 30

    run_virtually(story())


def test_each_host_is_watched_by_one_engine_and_by_another_once_that_is_gone() -> None:
    async def story() -> None:
        world = World(host_count=4)
        first, second = Engine(world.context(ids=Ids(2))), Engine(world.context(ids=Ids(3)))
        tasks = [asyncio.create_task(engine.run()) for engine in (first, second)]
        await world.clock.sleep(5.0)
        assert world.connector.calls()[Operation.EVENTS] <= 8, (
            "those of the first, before the second was there, move once"
        )
        tasks[0].cancel()
        await asyncio.gather(tasks[0], return_exceptions=True)
        cluster_id = world.create(8)
        await world.settle()
        await world.clock.sleep(3.0)
        for number in range(4):
            engine = world.host_engine(number)
            engine.do(engine.core.kill, next(c.id for c in engine.core.containers({}, world.clock.now())), "SIGKILL")
        await world.clock.sleep(3.0)
        await world.settle()
        check_whole(world, cluster_id, 8)
        tasks[1].cancel()
        await asyncio.gather(tasks[1], return_exceptions=True)

    run_virtually(story())


def test_a_clean_stop_puts_unfinished_work_back_at_once() -> None:
    async def story() -> None:
        world = World(host_count=1)
        world.host_engine(0).core.images.remote["remote/app:latest"] = 30.0
        async with running(world.context()):
            cluster_id = world.create(3, profile_id=world.profile(image="remote/app", pull_policy="missing"))
            await world.clock.sleep(5.0)
            stopping = world.clock.monotonic()
        assert world.clock.monotonic() - stopping < 0.1
        states = {a.action: a.status for a in world.actions()}
        assert states == {
            ActionKind.CLUSTER_CREATE: ActionStatus.WAITING,
            ActionKind.NODE_CREATE: ActionStatus.READY,
        }
        assert _owners(world) == set() and _engine_ids(world) == set()
        async with running(world.context(ids=Ids(9))):
            await world.settle()
            check_whole(world, cluster_id, 3)

    run_virtually(story())


def _freeze_at(world: World, engine: FrostyEngine, operation: Operation) -> asyncio.Event:
    """Freeze the engine when a host is about to carry this out for it; the request itself goes through in the end."""
    frozen = asyncio.Event()

    async def before(called: Operation, host: str) -> None:
        if called is operation and not frozen.is_set():
            frozen.set()
            engine.frost.begin()
            await engine.frost.wait()

    world.hooks.before = before
    return frozen


def test_a_frozen_engine_that_goes_on_changes_nothing_and_doubles_nothing() -> None:
    async def story() -> None:
        for operation in (Operation.CREATE, Operation.START, Operation.INSPECT):
            world = World(host_count=1)
            stale = FrostyEngine(world)
            frozen = _freeze_at(world, stale, operation)
            cluster_id = world.create(3)
            await frozen.wait()
            async with running(world.context(ids=Ids(9))):
                await world.settle()
                before = world.members(cluster_id), [a for a in world.actions() if a.final], world.events()
                check_whole(world, cluster_id, 3)
                stale.frost.end()
                await world.clock.sleep(0.5)
                assert (world.members(cluster_id), [a for a in world.actions() if a.final], world.events()) == before
                await world.clock.sleep(20.0)
                check_whole(world, cluster_id, 3)
                await stale.stop()

    run_virtually(story())


def test_what_a_frozen_engine_makes_too_late_is_reaped() -> None:
    async def story() -> None:
        world = World(host_count=1)
        stale = FrostyEngine(world)
        frozen = _freeze_at(world, stale, Operation.CREATE)
        cluster_id = world.create(3)
        await frozen.wait()
        async with running(world.context(ids=Ids(9))):
            await world.settle()
            world.submit(ActionKind.CLUSTER_DELETE, cluster_id)
            await world.settle()
            check_gone(world, cluster_id)
            stale.frost.end()
            await world.clock.sleep(0.5)
            assert world.containers(), "the request that was on its way has made a container that nobody wants"
            await world.until(lambda: not world.containers(), 15.0)
            await stale.stop()
            check_gone(world, cluster_id)

    run_virtually(story())


def test_an_engine_whose_lease_has_run_out_sends_nothing_that_changes_a_host() -> None:
    async def story() -> None:
        world = World(host_count=1)
        async with running(world.context(ids=Ids(9))):
            cluster_id = world.create(1)
            await world.settle()
        calls = world.host_engine(0).calls
        stale = FrostyEngine(world)
        looked = asyncio.Event()

        async def slow_look(called: Operation, host: str) -> None:
            if called is Operation.INSPECT and not looked.is_set():
                looked.set()
                stale.frost.begin()  # the heartbeat does not come through …
                await world.clock.sleep(3.9)  # … and the answer comes when the lease is over, before anybody took over
                stale.frost.end()

        world.hooks.before = slow_look
        (node,) = world.members(cluster_id)
        await world.clock.sleep(0.1)
        engine = world.host_engine(0)
        engine.do(engine.core.pause, node.physical_id)  # so that there is something to repair
        world.submit(ActionKind.NODE_RECOVER, node.id, {"operation": "RECREATE", "check": True})
        await looked.wait()
        changing = (Operation.STOP, Operation.REMOVE, Operation.CREATE, Operation.START)
        before = [calls[o] for o in changing]
        await world.clock.sleep(3.95)
        assert [calls[o] for o in changing] == before
        await world.settle()
        await world.clock.sleep(15.0)
        check_whole(world, cluster_id, 1)
        await stale.stop()

    run_virtually(story())


def test_an_engine_that_dies_is_replaced_within_its_lease() -> None:
    async def story() -> None:
        world = World(host_count=2)
        dead = FrostyEngine(world)
        storm(world, "*:latency=0.2")
        cluster_id = world.create(10)
        await world.clock.sleep(1.0)
        dead.frost.begin()  # for ever
        async with running(world.context(ids=Ids(9))):
            started = world.clock.monotonic()
            await world.settle()
            assert world.clock.monotonic() - started < 3 * QUICK.lease
            await world.clock.sleep(15.0)
            check_whole(world, cluster_id, 10)
            await dead.stop()

    run_virtually(story())
