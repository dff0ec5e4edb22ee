"""Simulated Docker engines over HTTP: faults as the real driver sees them, TLS, and the command that runs them."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from permitted import LOOPBACK
from spinney.cli.simulate import fleet
from spinney.clock import SystemClock
from spinney.domain.container import LABEL_DEPLOYMENT, LABEL_NODE, ContainerRequest, ImageRequest, PullPolicy
from spinney.drivers.base import ContainerHost, HostAddress
from spinney.drivers.docker import DockerConnector, TimeLimits
from spinney.drivers.simulated import Catalogue, EngineSettings, FaultPlan, SimulatedEngine, parse_faults
from spinney.drivers.simulated.pki import make_pki
from spinney.drivers.simulated.server import EngineServer
from spinney.errors import DiskFull, HostBroken, HostError, HostRefused, HostUnreachable, ImageNotFound

LABELS = {LABEL_DEPLOYMENT: "d", LABEL_NODE: "n"}
REQUEST = ContainerRequest("web", LABELS, ImageRequest("busybox", PullPolicy.NEVER), command=("sleep", "infinity"))
IMPATIENT = TimeLimits(look=0.3, change=0.3, silence=0.1, heartbeat=0.2)


class Bench:
    """One server, the real driver on it, and a plain client."""

    def __init__(self, folder: Path, faults: str) -> None:
        plan = FaultPlan(parse_faults(faults), random.Random(1)) if faults else None
        images = Catalogue(pull_seconds=0.7)
        self.engine = SimulatedEngine(EngineSettings("bench"), SystemClock(), plan=plan, images=images)
        self.server = EngineServer(self.engine)
        self.socket = folder / "engine.sock"

    async def run(self, test: Callable[[Bench], Awaitable[None]]) -> None:
        await self.server.listen_unix(self.socket)
        connector = DockerConnector(allowed_unix_sockets=[str(self.socket)], limits=IMPATIENT)
        self.host: ContainerHost = connector.connect(HostAddress(f"unix://{self.socket}"))
        self.client = aiohttp.ClientSession("http://engine", connector=aiohttp.UnixConnector(str(self.socket)))
        try:
            await test(self)
        finally:
            await self.client.close()
            await self.host.close()
            await self.server.close()

    async def say(self, method: str, path: str, body: Any = None, raw: bytes | None = None) -> tuple[int, str]:
        data = raw if body is None else json.dumps(body).encode()
        async with self.client.request(method, path, data=data) as response:
            return response.status, await response.text()

    async def ask(self, method: str, path: str, body: Any = None, raw: bytes | None = None) -> tuple[int, Any]:
        status, text = await self.say(method, path, body, raw)
        return status, json.loads(text) if text else None


def under(faults: str, test: Callable[[Bench], Awaitable[None]]) -> Bench:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), faults)
        asyncio.run(bench.run(test))
        return bench


async def fails(call: Awaitable[object], error: type[HostError]) -> None:
    with pytest.raises(error):
        await call


@pytest.mark.parametrize(
    ("fault", "error", "made"),
    [
        ("before", HostBroken, 0),
        ("before=connection", HostUnreachable, 0),
        ("after", HostBroken, 1),
        ("after=connection", HostUnreachable, 1),
        ("hang", HostUnreachable, 0),
        ("cut=1", HostUnreachable, 0),
    ],
)
def test_the_real_driver_sees_a_fault_as_what_it_is(fault: str, error: type[HostError], made: int) -> None:
    bench = under(f"create:{fault}:1:1", lambda bench: fails(bench.host.create(REQUEST), error))
    assert len(bench.engine.core) == made


def test_a_create_of_unknown_outcome_is_found_again() -> None:
    async def test(bench: Bench) -> None:
        await fails(bench.host.create(REQUEST), HostBroken)
        (record,) = bench.engine.core
        assert (await bench.host.create(REQUEST)).id == record.id

    under("create:after:1:1", test)


def test_streams_break_at_a_gap_and_starve_when_cut() -> None:
    async def read(bench: Bench, opened: asyncio.Event) -> None:
        async for _ in bench.host.events({}):
            opened.set()

    async def test(bench: Bench) -> None:
        for harm in (bench.engine.break_streams, bench.engine.reboot, bench.engine.cut):
            opened = asyncio.Event()
            reading = asyncio.ensure_future(read(bench, opened))
            await opened.wait()
            harm()
            await fails(reading, HostUnreachable)

    under("", test)


def test_a_slow_pull_shows_progress_and_a_late_failure_is_told_inside_it() -> None:
    async def test(bench: Bench) -> None:
        bench.engine.core.images.full = True
        status, text = await bench.say("POST", "/images/create?fromImage=web&tag=1")
        assert (status, "Downloading" in text, "no space left" in text) == (200, True, True)
        await fails(bench.host.ensure_image(ImageRequest("web:1")), DiskFull)
        bench.engine.core.images.full = False
        await bench.host.ensure_image(ImageRequest("web:1"))
        await fails(bench.host.ensure_image(ImageRequest("no-such:1")), ImageNotFound)

    under("", test)


@pytest.mark.parametrize(
    ("method", "path", "raw", "status", "says"),
    [
        ("GET", "/v1.99/info", None, 400, "too new"),
        ("GET", "/v1.10/info", None, 400, "too old"),
        ("GET", "/v1.47/swarm", None, 404, "page not found"),
        ("POST", "/containers/create", b"{", 400, "invalid JSON"),
        ("POST", "/containers/create", b"[]", 400, "object"),
        ("POST", "/containers/create?name=web", b'{"Image": "busybox", "HostConfig": 5}', 400, "invalid container"),
        ("POST", "/containers/create?name=web", b'{"Image": "busybox", "Env": [1]}', 400, "invalid container"),
        ("POST", "/containers/create?name=w", b'{"Image": "busybox"}', 400, "Invalid container name"),
        ("POST", "/networks/create", b"{}", 400, "invalid network"),
        ("POST", "/networks/create", b'{"Name": "n", "IPAM": {"Config": [{"Subnet": "x"}]}}', 400, "invalid subnet"),
        ("GET", '/containers/json?filters={"label":5}', None, 400, "invalid filter"),
        ("GET", "/containers/json?limit=x", None, 400, "invalid value of limit"),
        ("GET", "/containers/absent/json", None, 404, "No such container"),
        ("GET", "/networks/absent", None, 404, "not found"),
        ("DELETE", "/networks/bridge", None, 403, "pre-defined"),
    ],
)
def test_bad_requests_are_answered_as_docker_does(
    method: str, path: str, raw: bytes | None, status: int, says: str
) -> None:
    async def test(bench: Bench) -> None:
        found, answer = await bench.ask(method, path, raw=raw)
        assert found == status
        assert says in answer["message"]

    under("", test)


def test_logs_need_a_stream() -> None:
    async def test(bench: Bench) -> None:
        await bench.host.create(REQUEST)
        status, answer = await bench.ask("GET", "/containers/web/logs")
        assert (status, "at least one stream" in answer["message"]) == (400, True)

    under("", test)


def test_inspect_shows_what_was_posted_and_a_port_that_is_not_exposed_is_ignored() -> None:
    async def test(bench: Bench) -> None:
        host_config = {"CapDrop": ["ALL"], "PortBindings": {"80/tcp": [{"HostPort": "8080"}]}}
        body = {"Image": "busybox", "Cmd": ["sleep", "9"], "HostConfig": host_config}
        await bench.ask("POST", "/containers/create?name=plain", body)
        await bench.ask("POST", "/containers/create?name=exposed", body | {"ExposedPorts": {"80/tcp": {}}})
        for name, ports in (("plain", {}), ("exposed", {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8080"}]})):
            assert (await bench.ask("POST", f"/containers/{name}/start"))[0] == 204
            _, shown = await bench.ask("GET", f"/containers/{name}/json")
            assert shown["HostConfig"]["CapDrop"] == ["ALL"]
            assert shown["NetworkSettings"]["Ports"] == ports

    under("", test)


def test_what_is_to_be_removed_at_its_end_is() -> None:
    async def test(bench: Bench) -> None:
        body = {"Image": "busybox", "Cmd": ["sleep", "infinity"], "HostConfig": {"AutoRemove": True}}
        await bench.ask("POST", "/containers/create?name=brief", body)
        await bench.ask("POST", "/containers/brief/start")
        async with bench.client.post("/containers/brief/wait?condition=removed") as waiting:
            assert (await bench.ask("POST", "/containers/brief/stop"))[0] == 204
            assert await waiting.json() == {"StatusCode": 143}
        assert (await bench.ask("DELETE", "/containers/brief?force=1"))[0] == 404

    under("", test)


def test_past_events_are_told_until_a_time() -> None:
    async def test(bench: Bench) -> None:
        await bench.host.create(REQUEST)
        await bench.host.remove("web")
        filters = '{"event":["destroy"]}'
        async with bench.client.get(f"/events?since=1&until={SystemClock().now()}&filters={filters}") as response:
            lines = [json.loads(line) for line in (await response.text()).splitlines()]
        assert [line["Action"] for line in lines] == ["destroy"]

    under("", test)


def test_tls_lets_nobody_in_without_our_certificate() -> None:
    async def test(bench: Bench) -> None:
        folder = bench.socket.parent
        pki = make_pki(folder / "pki", datetime.now(UTC))
        stranger = make_pki(folder / "other", datetime.now(UTC))
        port = await bench.server.listen_tls("127.0.0.1", pki.server_context())
        (stranger.client / "ca.pem").write_bytes((pki.client / "ca.pem").read_bytes())
        for credentials, admitted in ((folder / "pki", True), (folder / "other", False)):
            connector = DockerConnector(credentials_dir=credentials, limits=IMPATIENT, egress=LOOPBACK)
            host = connector.connect(HostAddress(f"tcp://127.0.0.1:{port}", "client"))
            if admitted:
                assert (await host.facts()).hostname == "bench"
            else:
                with pytest.raises((HostRefused, HostUnreachable)):
                    await host.facts()
            await host.close()

    under("", test)


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def simulate(*options: str) -> list[str]:
    return [sys.executable, "-m", "spinney.cli.main", "simulate-hosts", *options]


def test_fleets_of_one_seed_are_not_each_other() -> None:
    def ids(folder: str) -> list[str]:
        return [one.core.engine_id for one in fleet(["host-0000", "host-0001"], (), 7, 1, 1, Path(folder))]

    assert ids("/a") == ids("/a") and len({*ids("/a"), *ids("/b")}) == 4


def test_the_command_serves_until_it_is_ended(folder: Path) -> None:
    with subprocess.Popen(simulate("--count", "2", "--dir", str(folder)), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == f"simulated hosts ready: {folder / 'hosts.yaml'}\n"
            hosts = yaml.safe_load((folder / "hosts.yaml").read_text())
            assert [host["endpoint"] for host in hosts] == [f"unix://{folder}/host-000{n}.sock" for n in (0, 1)]
            assert set(hosts[0]) == {
                "name", "endpoint", "labels", "zone", "region", "credential", "capacity", "metrics_url",
            }  # fmt: skip
            names = asyncio.run(_hostnames([host["endpoint"] for host in hosts]))
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert names == ["host-0000", "host-0001"]
    assert [path.name for path in folder.iterdir()] == ["hosts.yaml"]


async def _hostnames(endpoints: list[str]) -> list[str]:
    connector, names = DockerConnector(allowed_unix_sockets=["*"]), []
    for endpoint in endpoints:
        host = connector.connect(HostAddress(endpoint))
        names.append((await host.facts()).hostname)
        await host.close()
    return names


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--faults", "create:nope"), "unknown kind 'nope'"),
        (("--dir", "/tmp/" + "x" * 110), "longer than a unix socket"),
    ],
)
def test_wrong_use_is_told(folder: Path, options: tuple[str, ...], says: str) -> None:
    ended = subprocess.run(
        simulate("--count", "1", "--dir", str(folder), *options),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
