"""The contract on a real Docker engine, and what only a real one shows: that the hardening is really in force."""

from __future__ import annotations

import asyncio
import contextlib
import socket as sockets
from collections.abc import Iterator
from typing import Any

import pytest

import docker_engine
from drivers.contract import ContractSuite, World
from spinney.drivers.base import ContainerHost, HostAddress
from spinney.drivers.docker import DockerConnector


class DockerWorld(World):
    absent_image = "127.0.0.1:9/spinney-absent:none"

    def __init__(self, host: ContainerHost, runner: asyncio.Runner, socket: str) -> None:
        super().__init__(host, runner, docker_engine.IMAGE)
        self.socket = socket
        self._foreign: set[str] = set()

    async def raw(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        """What the Docker engine says, without the driver between."""
        status, answer = await asyncio.to_thread(docker_engine.call, self.socket, method, path, body, query=query)
        assert status < 300, answer
        return answer

    async def make_foreign(self, name: str) -> str:
        made = await self.raw("POST", "/containers/create", {"Image": self.image}, name=name)
        self._foreign.add(made["Id"])
        return str(made["Id"])

    async def remove_foreign(self, container_id: str) -> None:
        await self.raw("DELETE", f"/containers/{container_id}", force="1")
        self._foreign.discard(container_id)

    async def clean_up(self) -> None:
        for container_id in tuple(self._foreign):
            await self.remove_foreign(container_id)
        await super().clean_up()

    def free_port(self) -> int:
        with sockets.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])


@contextlib.contextmanager
def docker_world(socket: str) -> Iterator[DockerWorld]:
    with asyncio.Runner() as runner:
        host = DockerConnector(allowed_unix_sockets=[socket]).connect(HostAddress(f"unix://{socket}"))
        world = DockerWorld(host, runner, socket)
        try:
            yield world
        finally:
            runner.run(world.clean_up())
            runner.run(host.close())


@pytest.fixture
def world(docker_socket: str) -> Iterator[DockerWorld]:
    with docker_world(docker_socket) as made:
        yield made


class TestDocker(ContractSuite):
    pass
