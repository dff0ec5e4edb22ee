"""Real ways to a real Docker engine on another machine: mutual TLS and SSH, with right and with wrong credentials."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket as sockets
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest

import docker_engine
from permitted import LOOPBACK
from spinney.drivers.base import HostAddress
from spinney.drivers.docker import DockerConnector, DockerHost, TimeLimits, ssh
from spinney.errors import HostError, HostRefused, HostUnreachable
from testbed.authority import Authority

LIMITS = TimeLimits(look=10.0, change=10.0)


@dataclass(frozen=True)
class TlsEngine:
    address: str
    credentials: Path
    authority: Authority
    rogue: Authority


def free_port() -> int:
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def tls_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsEngine]:
    folder = tmp_path_factory.mktemp("tls")
    authority, rogue = Authority("ours"), Authority("rogue")
    server = authority.issue(folder / "server", "server")
    authority.issue(folder / "good", "client")
    rogue.issue(folder / "rogue", "client", trusts=authority)
    authority.issue(folder / "mistrusting", "client", trusts=rogue)
    (folder / "garbage").mkdir()
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (folder / "garbage" / name).write_text("garbage")
    port = free_port()
    options = (
        *("--tlsverify", f"--tlscacert={server}/ca.pem", f"--tlscert={server}/cert.pem", f"--tlskey={server}/key.pem"),
        f"--host=tcp://127.0.0.1:{port}",
    )
    with docker_engine.private_engine(*options):
        yield TlsEngine(f"127.0.0.1:{port}", folder, authority, rogue)


@contextlib.asynccontextmanager
async def connected(credentials: Path, address: HostAddress, limits: TimeLimits = LIMITS) -> AsyncIterator[DockerHost]:
    host = DockerConnector(credentials_dir=credentials, limits=limits, egress=LOOPBACK).connect(address)
    try:
        yield host
    finally:
        await host.close()


def test_mutual_tls_reaches_the_docker_engine(tls_engine: TlsEngine) -> None:
    async def body() -> None:
        async with connected(tls_engine.credentials, HostAddress(f"tcp://{tls_engine.address}", "good")) as host:
            assert (await host.facts()).os == "linux"
            events = host.events({})
            await anext(events)
            assert await host.containers({}) == []

    asyncio.run(body())


@pytest.mark.parametrize(
    ("credential", "kinds", "says"),
    [
        ("rogue", (HostRefused, HostUnreachable), "certificate of our credential|closed the connection|reset"),
        ("mistrusting", (HostRefused,), "not signed by ca.pem"),
        ("garbage", (HostRefused,), "ca.pem, cert.pem and key.pem"),
        ("absent", (HostRefused,), "ca.pem"),
    ],
)
def test_a_wrong_credential_is_told_as_such(
    tls_engine: TlsEngine, credential: str, kinds: tuple[type[HostError], ...], says: str
) -> None:
    async def body() -> None:
        async with connected(tls_engine.credentials, HostAddress(f"tcp://{tls_engine.address}", credential)) as host:
            with pytest.raises(kinds, match=says) as raised:
                await host.facts()
            assert "127.0.0.1" not in raised.value.message

    asyncio.run(body())


def test_the_name_in_the_certificate_is_checked(tls_engine: TlsEngine) -> None:
    async def body() -> None:
        other = tls_engine.address.replace("127.0.0.1", "localhost")
        async with connected(tls_engine.credentials, HostAddress(f"tcp://{other}", "good")) as host:
            with pytest.raises(HostRefused, match="another name"):
                await host.facts()

    asyncio.run(body())


def test_a_replaced_certificate_is_used_without_a_restart(tls_engine: TlsEngine) -> None:
    async def body() -> None:
        rotating = tls_engine.rogue.issue(tls_engine.credentials / "rotating", "client", trusts=tls_engine.authority)
        async with connected(tls_engine.credentials, HostAddress(f"tcp://{tls_engine.address}", "rotating")) as host:
            with pytest.raises(HostError):
                await host.facts()
            tls_engine.authority.issue(rotating, "client")
            assert (await host.facts()).os == "linux"
            tls_engine.rogue.issue(rotating, "client", trusts=tls_engine.authority)
            with pytest.raises(HostError):
                await host.facts()

    asyncio.run(body())


def test_files_that_are_being_replaced_do_not_stop_what_works(
    tls_engine: TlsEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> None:
        folder = tls_engine.authority.issue(tls_engine.credentials / "halfway", "client")
        async with connected(tls_engine.credentials, HostAddress(f"tcp://{tls_engine.address}", "halfway")) as host:
            assert (await host.facts()).os == "linux"
            (folder / "key.pem").write_bytes((tls_engine.credentials / "rogue" / "key.pem").read_bytes())
            assert (await host.facts()).os == "linux"
            (folder / "cert.pem").unlink()
            assert (await host.facts()).os == "linux"
            monkeypatch.setattr("spinney.drivers.docker.connections.REPLACEMENT", -1.0)
            with pytest.raises(HostRefused, match=r"cert\.pem"):
                await host.facts()

    asyncio.run(body())


def test_what_was_connected_with_a_replaced_certificate_is_closed(
    tls_engine: TlsEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spinney.drivers.docker.connections.GRACE", 0.2)

    async def body() -> None:
        folder = tls_engine.authority.issue(tls_engine.credentials / "streaming", "client")
        address, limits = HostAddress(f"tcp://{tls_engine.address}", "streaming"), replace(LIMITS, silence=0.5)
        async with connected(tls_engine.credentials, address, limits) as host:
            events = host.events({"io.spinney.deployment": "none"})
            await anext(events)
            tls_engine.authority.issue(folder, "client")
            assert (await host.facts()).os == "linux"
            async with asyncio.timeout(10):
                with pytest.raises(HostUnreachable):
                    await anext(events)
            await anext(host.events({"io.spinney.deployment": "none"}))

    asyncio.run(body())


class SshServer:
    """An SSH server that lets one user forward to unix sockets, and may drop its connections."""

    def __init__(self, folder: Path, docker_socket: str) -> None:
        self.folder = folder
        self._docker_socket = docker_socket
        self._host_key = asyncssh.generate_private_key("ssh-ed25519")
        self._connections: list[asyncssh.SSHServerConnection] = []
        self.client_key = asyncssh.generate_private_key("ssh-ed25519")
        self.port = 0

    @property
    def accepted(self) -> int:
        return len(self._connections)

    def drop_connections(self) -> None:
        for connection in self._connections:
            connection.abort()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        keys = self.folder / "authorized_keys"
        keys.write_bytes(self.client_key.export_public_key())
        owner = self

        class Server(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                owner._connections.append(conn)

            def unix_connection_requested(self, dest_path: str) -> Any:
                assert dest_path == "/run/docker.sock"
                return owner._connections[-1].forward_unix_connection(owner._docker_socket)

        server = await asyncssh.listen(
            "127.0.0.1", 0, server_factory=Server, server_host_keys=[self._host_key], authorized_client_keys=str(keys)
        )
        self.port = server.get_port()
        try:
            yield
        finally:
            self.drop_connections()
            server.close()
            await server.wait_closed()

    def credential(self, name: str, *, right_key: bool = True, right_host: bool = True) -> str:
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        other = asyncssh.generate_private_key("ssh-ed25519")
        (folder / "id").write_bytes((self.client_key if right_key else other).export_private_key())
        public = (self._host_key if right_host else other).export_public_key().decode()
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {public}")
        return name

    def address(self, credential: str) -> HostAddress:
        return HostAddress(f"ssh://somebody@127.0.0.1:{self.port}", credential)


def left_behind(folder: Path) -> list[Path]:
    return list(folder.glob("spinney-ssh-*"))


def test_ssh_reaches_the_docker_engine_over_one_connection(
    tmp_path: Path, docker_socket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as name:  # sockets need short paths, and those of tests are long
        folder = Path(name)
        monkeypatch.setattr("tempfile.tempdir", name)
        _one_connection(tmp_path, docker_socket, folder)
        assert left_behind(folder) == []


def _one_connection(tmp_path: Path, docker_socket: str, folder: Path) -> None:
    async def body() -> None:
        server = SshServer(tmp_path, docker_socket)
        async with server.running(), connected(tmp_path, server.address(server.credential("good"))) as host:
            assert (await host.facts()).os == "linux"
            await asyncio.gather(*(host.containers({"io.spinney.deployment": "none"}) for _ in range(50)))
            assert server.accepted == 1
            (private,) = left_behind(folder)
            assert private.stat().st_mode & 0o777 == 0o700

    asyncio.run(body())


def test_a_lost_ssh_connection_is_noticed_and_made_again(tmp_path: Path, docker_socket: str) -> None:
    async def body() -> None:
        server = SshServer(tmp_path, docker_socket)
        async with server.running(), connected(tmp_path, server.address(server.credential("good"))) as host:
            events = host.events({"io.spinney.deployment": "none"})
            await anext(events)
            server.drop_connections()
            with pytest.raises(HostUnreachable):
                await anext(events)
            assert (await host.facts()).os == "linux"
            assert server.accepted == 2

    asyncio.run(body())


@pytest.mark.parametrize(
    ("right_key", "right_host", "says"), [(False, True, "authorized_keys"), (True, False, "known_hosts")]
)
def test_a_wrong_ssh_key_on_either_side_is_told_as_such(
    tmp_path: Path, docker_socket: str, right_key: bool, right_host: bool, says: str
) -> None:
    async def body() -> None:
        server = SshServer(tmp_path, docker_socket)
        async with server.running():
            name = server.credential("wrong", right_key=right_key, right_host=right_host)
            async with connected(tmp_path, server.address(name)) as host:
                with pytest.raises(HostRefused, match=says):
                    await host.facts()
                server.credential(name)
                assert (await host.facts()).os == "linux"

    asyncio.run(body())


def test_no_ssh_server_is_unreachable(tmp_path: Path) -> None:
    async def body() -> None:
        server = SshServer(tmp_path, "/nowhere")
        server.port = free_port()
        async with connected(tmp_path, server.address(server.credential("good"))) as host:
            with pytest.raises(HostUnreachable, match="SSH"):
                await host.facts()

    asyncio.run(body())


def test_no_docker_engine_behind_ssh_is_unreachable(tmp_path: Path) -> None:
    async def body() -> None:
        server = SshServer(tmp_path, str(tmp_path / "absent.sock"))
        async with server.running(), connected(tmp_path, server.address(server.credential("good"))) as host:
            with pytest.raises(HostUnreachable):
                await host.facts()

    asyncio.run(body())


@pytest.mark.parametrize("file", ["id", "known_hosts"])
def test_a_broken_ssh_credential_is_told_as_such(tmp_path: Path, file: str) -> None:
    async def body() -> None:
        server = SshServer(tmp_path, "/nowhere")
        name = server.credential("broken")
        (tmp_path / name / file).write_text("garbage")
        async with connected(tmp_path, server.address(name)) as host:
            with pytest.raises(HostRefused, match="credential broken"):
                await host.facts()

    asyncio.run(body())


def test_what_a_killed_process_left_behind_goes_with_the_next_tunnel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen(["true"])
    ended.wait()
    dead, own, foreign = (tmp_path / f"spinney-ssh-{part}" for part in (f"{ended.pid}-a", f"{os.getpid()}-b", "old"))
    for folder in (dead, own, foreign):
        folder.mkdir()
        (folder / "docker.sock").touch()
    ssh._sweep()
    assert sorted(tmp_path.iterdir()) == sorted([own, foreign])
