"""Bad weather for simulated hosts, engines that freeze, and what must hold once it has passed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from engine.world import World
from spinney.clock import Ids
from spinney.domain.cluster import ClusterStatus
from spinney.domain.container import LABEL_NODE
from spinney.domain.node import NodeStatus
from spinney.drivers.base import ContainerHost, HostAddress
from spinney.drivers.simulated.faults import FaultPlan, parse_faults
from spinney.engine.context import EngineContext
from spinney.engine.supervisor import Engine

_STREAMS = ("events", "logs")


def storm(world: World, faults: str, seed: int = 1) -> None:
    """From now on these faults befall every host; see ``parse_faults`` for the notation."""
    for number in range(len(world.host_ids)):
        world.host_engine(number).plan = FaultPlan(parse_faults(faults), random.Random(seed * 1000 + number))


def clear_up(world: World) -> None:
    for number in range(len(world.host_ids)):
        world.host_engine(number).plan = None
        world.host_engine(number).heal()


def check_whole(world: World, cluster_id: str, size: int) -> None:
    """The cluster is well: as many containers as nodes, each known by its row, none leaked, none doubled."""
    members, running = world.members(cluster_id), world.running()
    cluster = world.cluster(cluster_id)
    assert cluster is not None and cluster.status is ClusterStatus.ACTIVE, world.describe()
    assert len(members) == size and all(m.status is NodeStatus.ACTIVE for m in members), world.describe()
    assert all(m.ready for m in members), [m.ready_reason for m in members]
    assert len(world.containers()) == len(running) == size
    assert len({c.labels[LABEL_NODE] for c in running}) == size
    assert {m.physical_id for m in members} == {c.id for c in running}
    world.check_invariants()


def check_gone(world: World, cluster_id: str) -> None:
    assert world.cluster(cluster_id) is None, world.describe()
    assert world.members(cluster_id) == [] and world.containers() == []
    assert all(host.containers == 0 and host.reserved_cpu == 0.0 for host in world.hosts())
    world.check_invariants()


@asynccontextmanager
async def running(context: EngineContext) -> AsyncIterator[Engine]:
    """An engine process of its own, stopped cleanly in the end."""
    engine = Engine(context)
    task = asyncio.create_task(engine.run())
    try:
        yield engine
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


class Frost:
    """While it lasts, a frozen engine's calls to the database and to hosts are not even sent."""

    def __init__(self) -> None:
        self._thawed = asyncio.Event()
        self._thawed.set()

    def begin(self) -> None:
        self._thawed.clear()

    def end(self) -> None:
        self._thawed.set()

    async def wait(self) -> None:
        await self._thawed.wait()


class _FrostyStore:
    def __init__(self, store: Any, frost: Frost) -> None:
        self._store = store
        self._frost = frost

    def __getattr__(self, name: str) -> Any:
        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._frost.wait()
            return await getattr(self._store, name)(*args, **kwargs)

        return call


class _FrostyHost:
    def __init__(self, host: ContainerHost, frost: Frost) -> None:
        self._host = host
        self._frost = frost

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._host, name)
        if name == "close":
            return method
        if name in _STREAMS:
            return lambda *args: self._stream(method(*args))

        async def call(*args: Any, **kwargs: Any) -> Any:
            await self._frost.wait()
            return await method(*args, **kwargs)

        return call

    async def _stream(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for item in items:
            await self._frost.wait()
            yield item


class _FrostyConnector:
    def __init__(self, world: World, frost: Frost) -> None:
        self._world = world
        self._frost = frost

    def connect(self, address: HostAddress) -> Any:
        return _FrostyHost(self._world.connector.connect(address), self._frost)


class FrostyEngine:
    """An engine process that can be frozen, with requests already past its own lease check, and thawed again."""

    def __init__(self, world: World, seed: int = 5) -> None:
        self.frost = Frost()
        store: Any = _FrostyStore(world.store, self.frost)
        connector: Any = _FrostyConnector(world, self.frost)
        self.engine = Engine(world.context(store=store, connector=connector, ids=Ids(seed)))
        self._task = asyncio.create_task(self.engine.run())

    async def stop(self) -> None:
        self.frost.end()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
