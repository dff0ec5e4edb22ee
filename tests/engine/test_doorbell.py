"""Doorbells shorten waits and lose nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import Connection

from engine.world import World
from spinney.clock import SystemClock
from spinney.domain.cluster import ClusterStatus
from spinney.engine.doorbell import LocalDoorbell, SqliteDoorbell
from spinney.store import tables
from spinney.store.database import Store
from virtual_time import VirtualClock, run_virtually


def test_a_ring_ends_the_wait_even_if_it_came_before() -> None:
    async def story() -> None:
        clock, bell = VirtualClock(), LocalDoorbell()
        bell.ring()
        await bell.wait(10.0)
        assert clock.monotonic() == 0.0
        await bell.wait(10.0)
        assert clock.monotonic() == 10.0, "one ring ends one wait"
        asyncio.get_running_loop().call_later(3.0, bell.ring)
        await bell.wait(10.0)
        assert clock.monotonic() == 13.0

    run_virtually(story())


def test_a_ring_wakes_everybody_who_waits() -> None:
    async def story() -> None:
        bell = LocalDoorbell()
        waiting = [asyncio.create_task(bell.wait(100.0)) for _ in range(3)]
        await asyncio.sleep(1.0)
        bell.ring()
        await asyncio.gather(*waiting)
        assert asyncio.get_running_loop().time() == 1.0

    run_virtually(story())


def test_a_wait_that_is_cancelled_does_not_swallow_the_ring() -> None:
    async def story() -> None:
        bell = LocalDoorbell()
        waiting = asyncio.create_task(bell.wait(100.0))
        await asyncio.sleep(1.0)
        bell.ring()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await bell.wait(100.0)
        assert asyncio.get_running_loop().time() == 1.0

    run_virtually(story())


def test_work_is_done_though_nobody_rings_only_later() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            await world.clock.sleep(1.0)
            world.bell.ring = lambda: None
            cluster_id = world.create(5)
            await world.settle(world.settings.poll_interval + 1.0)
            found = world.cluster(cluster_id)
            assert found is not None and found.status is ClusterStatus.ACTIVE

    run_virtually(story())


def test_with_the_bell_a_cluster_is_there_at_once() -> None:
    async def story() -> None:
        world = World()
        async with world.engine():
            await world.clock.sleep(1.0)
            world.create(50)
            await world.settle(0.5)
            assert len(world.running()) == 50

    run_virtually(story())


def _write(connection: Connection) -> None:
    connection.execute(tables.meta.delete())
    connection.execute(tables.meta.insert().values(key="k", value="v"))


def test_a_commit_of_another_process_rings(tmp_path: Path) -> None:
    path = tmp_path / "spinney.db"

    async def body() -> None:
        with Store(f"sqlite:///{path}", SystemClock()) as store:
            tables.metadata.create_all(store.engine)
            bell = SqliteDoorbell(str(path), SystemClock(), 0.005)
            watching = asyncio.create_task(bell.watch())
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(bell.wait(60.0), 0.05)
                await store.transact(_write)
                await asyncio.wait_for(bell.wait(60.0), 5.0)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            bell.close()

    asyncio.run(body())
