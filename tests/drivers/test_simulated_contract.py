"""The simulated Docker engine keeps the promises of every container host, in process and through the real driver."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from drivers.contract import ContractSuite
from drivers.probe_contract import ProberPromises
from drivers.world import World
from spinney.clock import SystemClock
from spinney.domain.container import ContainerRequest, ImageRequest
from spinney.drivers.base import ContainerHost, HostAddress
from spinney.drivers.docker import DockerConnector
from spinney.drivers.helper.image import helper_image
from spinney.drivers.simulated import EngineSettings, SimulatedEngine, SimulatedHost
from spinney.drivers.simulated.server import EngineServer


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

    async def using_memory(self, size: int, **changes: Any) -> str:
        container = await self.started(self.request(**changes))
        self.engine.core.set_load(container, 0.1, size)
        return container

    async def server(self, port: int, *, hangs: bool = False) -> ContainerRequest:
        image = ImageRequest(f"sim/web_port-{port}{'_hangs' if hangs else ''}")
        await self.host.ensure_image(image)
        return self.request(image=image)

    def greeting(self, port: int) -> bytes:
        return b"sim/web_port-%d" % port

    async def make_helper_without_rights(self, name: str, labels: Mapping[str, str]) -> None:
        request = ContainerRequest(name, labels, ImageRequest(helper_image("amd64").reference), init=False)
        self.engine.core.create(request, self.engine.clock.now(), extra={"OpenStdin": True})

    async def read_file(self, container_id: str, path: str) -> bytes | None:
        return self.engine.core.read_file(container_id, path)

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


class WireWorld(SimulatedWorld):
    """The host under test goes through the Docker Engine API."""

    def __init__(self, socket: Path, runner: asyncio.Runner, engine: SimulatedEngine) -> None:
        self.socket = socket
        super().__init__(self.another(), runner, engine)

    def another(self) -> ContainerHost:
        return DockerConnector(allowed_unix_sockets=[str(self.socket)]).connect(HostAddress(f"unix://{self.socket}"))


class TestRealDriverOnSimulatedEngine(ContractSuite, ProberPromises):
    """Oldest and newest API that the driver speaks: engines differ in what they refuse."""

    @pytest.fixture(params=["1.41", "1.47"])
    def world(self, request: pytest.FixtureRequest) -> Iterator[World]:
        with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
            socket = Path(folder) / "engine.sock"
            engine = SimulatedEngine(EngineSettings("contract", api_version=request.param), SystemClock())
            server = EngineServer(engine)
            runner.run(server.listen_unix(socket))
            world = WireWorld(socket, runner, engine)
            yield world
            runner.run(world.host.close())
            runner.run(server.close())
            assert not socket.exists()
