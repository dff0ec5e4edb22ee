"""The simulated Docker engine keeps the promises of every container host."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import count

import pytest

from drivers.contract import ContractSuite, World
from spinney.clock import SystemClock
from spinney.domain.container import ContainerRequest, ImageRequest
from spinney.drivers.base import ContainerHost
from spinney.drivers.simulated import EngineSettings, SimulatedEngine, SimulatedHost


class SimulatedWorld(World):
    """A world on one simulated Docker engine, whichever front the host under test uses."""

    def __init__(self, host: ContainerHost, runner: asyncio.Runner, engine: SimulatedEngine) -> None:
        super().__init__(host, runner, "busybox:latest")
        self.engine = engine
        self._ports = count(20_000)

    async def make_foreign(self, name: str) -> str:
        core = self.engine.core
        foreign = core.create(ContainerRequest(name, {}, ImageRequest(self.image)), self.engine.clock.now())
        return foreign.id

    async def remove_foreign(self, container_id: str) -> None:
        self.engine.core.remove(container_id, self.engine.clock.now())

    def free_port(self) -> int:
        return next(self._ports)


class TestSimulatedHost(ContractSuite):
    @pytest.fixture
    def world(self) -> Iterator[World]:
        with asyncio.Runner() as runner:
            engine = SimulatedEngine(EngineSettings("contract"), SystemClock())
            host = SimulatedHost(engine)
            yield SimulatedWorld(host, runner, engine)
            runner.run(host.close())
