"""Clusters on several real Docker engines, against the raw use of the same Docker API and against Docker Swarm, in one run.

Ours: a ``spinney standalone`` process driven over HTTP, POST of a cluster until it is ACTIVE, with the hosts of a test bed
behind mutual TLS. Raw: a bare asyncio client that sends create and start over the same TLS, as many at a time on each host as
Spinney does, each host an equal share, with exactly the bodies and the network that Spinney sends. Swarm: a service of so many
replicas, until all of its tasks run, with the same image, command and limits on a bridge of each host. The three take turns, so
that all meet the same machine; all three are removed by force again, which is not measured.

Needs root: it makes the hosts, and nothing of them is left.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import statistics
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from common import (
    READY,
    Aim,
    Connection,
    Server,
    Table,
    basic,
    cpu_seconds,
    numbers,
    options,
    peak_memory,
    progress,
    report,
    scratch,
    server,
    spinney,
)
from one_engine import container_spec

from spinney.config import EngineSettings
from spinney.domain.container import LABEL_DEPLOYMENT, NetworkRequest
from spinney.drivers.docker.request import create_body, network_body
from spinney.profiles.container import ContainerProperties
from spinney.profiles.container_request import ContainerDefaults, NodeIdentity, container_request
from spinney.profiles.registry import validate_spec
from testbed.bed import Bed
from testbed.host import Host, HostSpec

_POLL = 0.1
_PATIENCE = 300.0
_FLEET = "fleet"
_SUBNET = "10.212.0.0/16"
_SETTLE = 2.0
_AIM = 1.10


class Contender(Protocol):
    name: str

    async def prepare(self) -> None: ...

    async def create(self, size: int) -> float:
        """Seconds until so many containers run."""

    async def remove(self) -> None:
        """All of them."""


@dataclass(slots=True)
class Runs:
    """Seconds of each turn, by contender."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    cpu: list[float] = field(default_factory=list)
    spread: list[list[int]] = field(default_factory=list)

    def best(self, name: str) -> float:
        return min(self.seconds[name])

    def middle(self, name: str) -> float:
        return statistics.median(self.seconds[name])


async def polled(what: str, holds: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not await holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true within {_PATIENCE:g} s")
        await asyncio.sleep(_POLL)


# -- raw -------------------------------------------------------------------------------------------------------------


class Raw:
    """The Docker API with nothing round it."""

    name = "raw"

    def __init__(self, bed: Bed, at_once: int) -> None:
        self._bed = bed
        self._at_once = at_once
        self._deployment = str(uuid.uuid4())
        self._network = NetworkRequest("bench-raw", _SUBNET, {LABEL_DEPLOYMENT: self._deployment})
        folder = bed.credentials / bed.TLS
        self._tls = ssl.create_default_context(cafile=folder / "ca.pem")
        self._tls.load_cert_chain(folder / "cert.pem", folder / "key.pem")
        self._made: list[tuple[Host, str]] = []

    async def prepare(self) -> None:
        for host in self._bed.hosts:
            host.call("POST", "/networks/create", network_body(self._network))

    def _body(self, number: int) -> bytes:
        properties = validate_spec(container_spec(_FLEET)).properties
        assert isinstance(properties, ContainerProperties)
        request = container_request(
            properties,
            node=NodeIdentity(str(uuid.uuid4()), f"raw-{number}", str(uuid.uuid4()), "default", 1),
            deployment=self._deployment,
            network=self._network,
            defaults=ContainerDefaults(),
        )
        return json.dumps(create_body(request)).encode()

    async def create(self, size: int) -> float:
        hosts = self._bed.hosts
        shares = [[self._body(i) for i in range(size) if i % len(hosts) == n] for n in range(len(hosts))]
        opened = [[await self._open(host) for _ in range(self._at_once)] for host in hosts]

        async def work(host: Host, connection: Connection, left: list[bytes]) -> None:
            while left:
                body = left.pop()
                answer = await connection.call("POST", f"/containers/create?name=raw-{uuid.uuid4()}", body)
                if answer.status != 201:
                    raise RuntimeError(f"create on {host.name}: {answer.status}: {answer.body!r}")
                self._made.append((host, answer.json()["Id"]))
                await connection.expect(204, "POST", f"/containers/{self._made[-1][1]}/start")

        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for host, connections, left in zip(hosts, opened, shares, strict=True):
                for connection in connections:
                    group.create_task(work(host, connection, left))
        seconds = time.perf_counter() - began
        for connections in opened:
            for connection in connections:
                connection.close()
        return seconds

    async def _open(self, host: Host) -> Connection:
        return await Connection.open(host.endpoint, tls=self._tls)

    async def remove(self) -> None:
        left = list(self._made)
        self._made.clear()

        async def work() -> None:
            while left:
                host, container = left.pop()
                await asyncio.to_thread(host.call, "DELETE", f"/containers/{container}", force="1", v="1")

        await asyncio.gather(*(work() for _ in range(8)))


# -- ours ------------------------------------------------------------------------------------------------------------


class Ours:
    name = "spinney"

    def __init__(self, bed: Bed, target: Server, headers: dict[str, str], runs: Callable[[], Runs]) -> None:
        self._bed = bed
        self._target = target
        self._headers = headers
        self._runs = runs
        self._profile = ""
        self._cluster = ""

    async def prepare(self) -> None:
        """A profile, and a container on each host that stays, so that the project's network does too (the raw one's does)."""
        connection = await Connection.open(self._target.url, self._headers)
        spec = {"profile": {"name": "bench", "spec": container_spec(_FLEET)}}
        self._profile = (await connection.expect(201, "POST", "/v1/profiles", spec))["profile"]["id"]
        connection.close()
        await self.create(len(self._bed.hosts))

    async def create(self, size: int) -> float:
        # Anew for each turn: the service closes connections that are idle for as long as the turns of others take.
        connection = await Connection.open(self._target.url, self._headers)
        self._cluster = f"bench-{uuid.uuid4().hex[:8]}"
        body = {"cluster": {"name": self._cluster, "profile_id": self._profile, "desired_capacity": size}}
        began, cpu = time.perf_counter(), cpu_seconds(self._target.pid)
        await connection.expect(202, "POST", "/v1/clusters", body)
        await polled(f"cluster {self._cluster} is ACTIVE", lambda: self._is(connection, "ACTIVE"))
        seconds = time.perf_counter() - began
        self._runs().cpu.append((cpu_seconds(self._target.pid) - cpu) / size)
        nodes = await connection.expect(200, "GET", f"/v1/nodes?cluster_id={self._cluster}&limit=1000")
        placed = Counter(node["data"]["placement"]["host_name"] for node in nodes["nodes"])
        self._runs().spread.append(sorted(placed.values(), reverse=True))
        connection.close()
        return seconds

    async def _is(self, connection: Connection, wanted: str | None) -> bool:
        """``wanted`` None: is it gone?"""
        answer = await connection.call("GET", f"/v1/clusters/{self._cluster}")
        cluster = answer.json()["cluster"] if answer.status == 200 else {"status": None}
        if cluster["status"] in ("ERROR", "WARNING"):
            raise RuntimeError(f"cluster {self._cluster} is {cluster['status']}: {cluster['status_reason']}")
        return bool(cluster["status"] == wanted)

    async def remove(self) -> None:
        connection = await Connection.open(self._target.url, self._headers)
        await connection.expect(202, "DELETE", f"/v1/clusters/{self._cluster}")
        await polled(f"cluster {self._cluster} is gone", lambda: self._is(connection, None))
        connection.close()


# -- Swarm -----------------------------------------------------------------------------------------------------------


class Swarm:
    name = "swarm"

    def __init__(self, bed: Bed) -> None:
        self._bed = bed
        self._manager = bed.hosts[0]

    async def prepare(self) -> None:
        listening = {"ListenAddr": "0.0.0.0:2377", "DataPathAddr": ""}
        self._manager.call("POST", "/swarm/init", {**listening, "AdvertiseAddr": self._manager.address})
        token = self._manager.call("GET", "/swarm")["JoinTokens"]["Worker"]
        for number, host in enumerate(self._bed.hosts):
            if host is not self._manager:
                joining = {"AdvertiseAddr": host.address, "RemoteAddrs": [f"{self._manager.address}:2377"]}
                host.call("POST", "/swarm/join", {**listening, **joining, "JoinToken": token})
            subnet = f"10.213.{number}.0/24"
            config = {"Name": "bench-config", "ConfigOnly": True, "IPAM": {"Config": [{"Subnet": subnet}]}}
            host.call("POST", "/networks/create", config)
        network = {
            "Name": "bench-swarm",
            "Driver": "bridge",
            "Scope": "swarm",
            "ConfigFrom": {"Network": "bench-config"},
        }
        self._manager.call("POST", "/networks/create", network)

    async def create(self, size: int) -> float:
        limits = container_spec(_FLEET)["properties"]
        service = {
            "Name": "bench",
            "TaskTemplate": {
                "ContainerSpec": {"Image": limits["image"], "Command": limits["command"], "Init": True},
                "Resources": {
                    "Limits": {"MemoryBytes": 32 << 20, "Pids": 512},
                    "Reservations": {"MemoryBytes": 6 << 20},
                },
                "RestartPolicy": {"Condition": "none"},
                "Networks": [{"Target": "bench-swarm"}],
            },
            "Mode": {"Replicated": {"Replicas": size}},
            "EndpointSpec": {"Mode": "dnsrr"},
        }
        connection = await Connection.open(f"unix://{self._manager.socket}")
        began = time.perf_counter()
        await connection.expect(201, "POST", "/services/create", service)
        await polled("every task of the service runs", lambda: self._run(connection, size))
        seconds = time.perf_counter() - began
        connection.close()
        return seconds

    async def _run(self, connection: Connection, size: int) -> bool:
        tasks = await connection.expect(200, "GET", '/tasks?filters={"service":["bench"]}')
        states = Counter(task["Status"]["State"] for task in tasks)
        if broken := {state for state in states if state in ("failed", "rejected", "orphaned")}:
            raise RuntimeError(f"tasks of the service are {', '.join(broken)}")
        return states["running"] == size

    async def remove(self) -> None:
        self._manager.call("DELETE", "/services/bench")

        async def gone() -> bool:
            # Tasks are gone before their containers are.
            listed = [h.call("GET", "/containers/json", all="1") for h in self._bed.hosts]
            return not any("com.docker.swarm.task" in one["Labels"] for found in listed for one in found)

        await polled("the service's containers are gone", gone)


# -- in turn ---------------------------------------------------------------------------------------------------------


async def take_turns(
    bed: Bed, target: Server, headers: dict[str, str], given_sizes: Sequence[int], rounds: int, with_swarm: bool
) -> dict[int, Runs]:
    found: dict[int, Runs] = {}
    current = Runs()
    contenders: list[Contender] = [
        Raw(bed, EngineSettings().host_concurrency),
        Ours(bed, target, headers, lambda: current),
    ]
    if with_swarm:
        contenders.append(Swarm(bed))
    for one in contenders:
        await one.prepare()
    for size in given_sizes:
        current = found[size] = Runs()
        for turn in range(rounds):
            # Each begins as often as the others.
            for one in contenders[turn % len(contenders) :] + contenders[: turn % len(contenders)]:
                current.seconds.setdefault(one.name, []).append(await one.create(size))
                await asyncio.sleep(_SETTLE)
                await one.remove()
                await asyncio.sleep(_SETTLE)
            progress(
                f"{size}: " + ", ".join(f"{name} {seconds[-1]:.2f} s" for name, seconds in current.seconds.items())
            )
    return found


def tables(found: dict[int, Runs], hosts: int) -> list[Table]:
    columns = (
        "containers",
        "raw s",
        "ours s",
        "ratio",
        "of medians",
        "containers/s",
        "our CPU ms each",
        "most on a host",
    )
    rows, swarm = [], []
    for size, runs in found.items():
        ours, raw = runs.best("spinney"), runs.best("raw")
        medians = runs.middle("spinney") / runs.middle("raw")
        most = max(spread[0] for spread in runs.spread)
        rows.append((size, raw, ours, ours / raw, medians, size / ours, min(runs.cpu) * 1000, most))
        if "swarm" in runs.seconds:
            theirs = runs.best("swarm")
            swarm.append((size, theirs, theirs / raw, runs.middle("swarm") / runs.middle("raw"), theirs / ours))
    made = Table(f"Create on {hosts} Docker engines: POST to ACTIVE, against raw create + start", columns, rows)
    if not swarm:
        return [made]
    return [made, Table("Docker Swarm", ("containers", "swarm s", "of raw", "of medians", "of ours"), swarm)]


def inventory(bed: Bed) -> str:
    return "\n".join(f"- {{name: {h.name}, endpoint: '{h.endpoint}', credential: {bed.TLS}}}" for h in bed.hosts)


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--sizes", type=numbers, default=[60, 120])
    parser.add_argument("--hosts", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3, help="turns of each (default: 3)")
    parser.add_argument("--without-swarm", action="store_true")
    given = parser.parse_args()
    with ExitStack() as stack:
        bed = stack.enter_context(Bed.up("bench", [HostSpec()] * given.hosts))
        version = bed.hosts[0].call("GET", "/version")["Version"]
        folder = stack.enter_context(scratch())
        configuration = folder / "spinney.conf"
        configuration.write_text(f"[driver]\ncredentials_dir = {bed.credentials}\n")
        fixed = ("--state-dir", str(folder), "--port", "0", "--no-local-host", "--config-file", str(configuration))
        with server(spinney("standalone", *fixed), READY) as target:
            (folder / "hosts.yaml").write_text(inventory(bed))
            importing = spinney("host", "import", str(folder / "hosts.yaml"), "--cluster", _FLEET, "--wait")
            environment = {**os.environ, "SPINNEY_STATE_DIR": str(folder)}
            subprocess.run(importing, env=environment, check=True, stdout=subprocess.DEVNULL)
            work = take_turns(bed, target, basic(folder), given.sizes, given.rounds, not given.without_swarm)
            found = uvloop.run(work)
            about = Table("Service", ("Docker engines", "peak MiB"), [(version, peak_memory(target.pid))])
    shown = [*tables(found, given.hosts), about]
    report(given.json, shown, [Aim(f"create {row[0]}: ratio", row[3], _AIM) for row in shown[0].rows])


if __name__ == "__main__":
    main()
