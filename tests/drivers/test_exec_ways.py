"""Commands in containers over each way to a Docker engine: input can end, and what is cut or replaced ends what ran over it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import docker_engine
import openssh
from drivers.docker_contract import DockerWorld, docker_world
from drivers.exec_contract import ExecPromises
from drivers.test_remote import LIMITS, free_port
from drivers.world import FOREVER
from permitted import LOOPBACK
from spinney.domain.terminal import ExecRequest
from spinney.drivers.base import HostAddress
from spinney.drivers.docker import DockerConnector
from spinney.errors import HostUnreachable
from testbed.authority import Authority

#: The socket behind it, the way to it, and what signs credentials in a folder.
Reached = tuple[str, HostAddress, DockerConnector, Path, Authority]


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reached]:
    folder = tmp_path_factory.mktemp("tls")
    authority = Authority("ours")
    server = authority.issue(folder / "server", "server")
    authority.issue(folder / "good", "client")
    port = free_port()
    options = (
        *("--tlsverify", f"--tlscacert={server}/ca.pem", f"--tlscert={server}/cert.pem", f"--tlskey={server}/key.pem"),
        f"--host=tcp://127.0.0.1:{port}",
    )
    with docker_engine.private_engine(*options) as socket:
        docker_engine.demo_image(socket)
        connector = DockerConnector(credentials_dir=folder, limits=replace(LIMITS, silence=0.5), egress=LOOPBACK)
        yield socket, HostAddress(f"tcp://127.0.0.1:{port}", "good"), connector, folder, authority


class TestThroughTls(ExecPromises):
    @pytest.fixture
    def world(self, tls: Reached) -> Iterator[DockerWorld]:
        socket, address, connector, *_ = tls
        with docker_world(connector, address, socket) as made:
            yield made

    def test_what_runs_over_a_replaced_certificate_ends(
        self,
        world: DockerWorld,
        tls: Reached,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("spinney.drivers.docker.connections.GRACE", 0.2)
        _, address, connector, folder, authority = tls

        async def body() -> None:
            authority.issue(folder / "changing", "client")
            host = connector.connect(replace(address, credential="changing"))
            session = await host.exec(await world.started(world.request()), ExecRequest(("sleep", "600")))
            authority.issue(folder / "changing", "client")
            assert (await host.facts()).os == "linux"
            async with asyncio.timeout(FOREVER):
                with pytest.raises(HostUnreachable, match="closed the connection"):
                    await session.read()
                await session.close()
            await host.close()

        world.run(body())

    def test_what_runs_over_a_host_that_is_closed_has_no_exit_code(self, world: DockerWorld, tls: Reached) -> None:
        async def body() -> None:
            host = tls[2].connect(tls[1])
            session = await host.exec(await world.started(world.request()), ExecRequest(("sleep", "600")))
            await host.close()
            async with asyncio.timeout(FOREVER):
                with pytest.raises(HostUnreachable):
                    await session.read()
                with pytest.raises(HostUnreachable):
                    await session.wait()

        world.run(body())


@pytest.fixture(scope="module")
def ssh(tmp_path_factory: pytest.TempPathFactory, docker_socket: str) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("ssh")
    with openssh.running(folder, docker_socket) as server:
        (folder / "good").mkdir()
        (folder / "good" / "id").write_bytes(server.user_key.read_bytes())
        (folder / "good" / "known_hosts").write_bytes(server.known_hosts().read_bytes())
        yield server.endpoint, folder


class TestThroughSsh(ExecPromises):
    @pytest.fixture
    def world(self, ssh: tuple[str, Path], docker_socket: str) -> Iterator[DockerWorld]:
        endpoint, folder = ssh
        with docker_world(
            DockerConnector(credentials_dir=folder, egress=LOOPBACK), HostAddress(endpoint, "good"), docker_socket
        ) as made:
            yield made
