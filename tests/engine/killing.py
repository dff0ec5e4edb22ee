"""Engines that die at a chosen step: at the k-th commit or host call, before or after its effect.

A dead engine is like a killed process: it neither writes nor calls again, and releases nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from engine.world import World
from spinney.clock import Ids
from spinney.drivers.base import ContainerHost, HostAddress
from spinney.engine.supervisor import Engine

_STREAMS = ("events", "logs")


class Dead(Exception):
    """The process is gone; nobody is left to see this."""


class Reaper:
    """Counts steps and kills at the chosen one (0: never)."""

    def __init__(self, kill_at: int = 0) -> None:
        self.kill_at = kill_at
        self.steps = 0
        self.dead = False
        self.on_kill: Callable[[], object] = lambda: None

    def step(self) -> None:
        if self.dead:
            raise Dead
        self.steps += 1
        if self.steps == self.kill_at:
            self.dead = True
            self.on_kill()
            raise Dead

    async def around(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        self.step()
        result = await call(*args, **kwargs)
        self.step()
        return result


class MortalStore:
    """Every transaction is two steps: one before it begins, one after its commit (a lost acknowledgement)."""

    def __init__(self, store: Any, reaper: Reaper) -> None:
        self._store = store
        self._reaper = reaper

    async def transact(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        return await self._reaper.around(self._store.transact, fn, *args, **kwargs)

    async def transact_urgent(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        return await self._reaper.around(self._store.transact_urgent, fn, *args, **kwargs)

    async def read(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        if self._reaper.dead:
            raise Dead
        return await self._store.read(fn, *args, **kwargs)


class MortalHost:
    """Every call is two steps: one before it is sent, one after it was carried out."""

    def __init__(self, host: ContainerHost, reaper: Reaper) -> None:
        self._host = host
        self._reaper = reaper

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._host, name)
        if name in _STREAMS:
            return lambda *args: self._stream(method(*args))
        if name == "close":
            return method
        return lambda *args, **kwargs: self._reaper.around(method, *args, **kwargs)

    async def _stream(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for item in items:
            if self._reaper.dead:
                raise Dead
            yield item


class MortalConnector:
    def __init__(self, world: World, reaper: Reaper) -> None:
        self._world = world
        self._reaper = reaper

    def connect(self, address: HostAddress) -> Any:
        return MortalHost(self._world.connector.connect(address), self._reaper)


class MortalEngine:
    """An engine process of its own in the world; ``stop`` ends it whether it lives or not."""

    def __init__(self, world: World, kill_at: int = 0, seed: int = 7, **changes: Any) -> None:
        self.reaper = Reaper(kill_at)
        store: Any = MortalStore(world.store, self.reaper)
        connector = MortalConnector(world, self.reaper)
        self._engine = Engine(world.context(store=store, connector=connector, ids=Ids(seed), **changes))
        self._task = asyncio.create_task(self._engine.run())
        self.reaper.on_kill = self._task.cancel

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
