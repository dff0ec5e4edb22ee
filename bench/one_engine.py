"""Clusters on one real Docker engine, against the fastest raw use of the same Docker API in the same run.

Ours: a ``spinney standalone`` process driven over HTTP, POST of a cluster until it is ACTIVE, DELETE until it is 404. Raw:
a bare asyncio client on the engine's socket that sends create and start (and, to remove, stop and delete, or a forced delete
alone) at several concurrencies, of which the best counts; bodies and network are exactly those that Spinney sends. The two take
turns, so that both meet the same machine. Containers, networks and state are removed again; other containers are not touched.

Uses the Docker engine that DOCKER_HOST or the usual sockets lead to, else starts a private one (needs root).
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import statistics
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

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

import docker_engine
from spinney.domain.container import LABEL_DEPLOYMENT, LABEL_HELPER, NetworkRequest
from spinney.drivers.docker.request import create_body, network_body
from spinney.profiles.container import ContainerProperties
from spinney.profiles.container_request import ContainerDefaults, NodeIdentity, container_request
from spinney.profiles.registry import validate_spec

_POLL = 0.1
_PATIENCE = 300.0
_STOP_TIMEOUT = 10
_SUBNET = "10.211.0.0/16"
_SETTLE = 1.0


def container_spec(host_cluster: str) -> dict[str, Any]:
    """Small enough for 120 on two cores."""
    properties = {
        "image": docker_engine.IMAGE,
        "command": ["sleep", "100000"],
        "host_cluster": host_cluster,
        "cpu": {"reservation": 0.01},
        "memory": {"reservation": "6m", "limit": "32m"},
        "stop_timeout": _STOP_TIMEOUT,
    }
    return {"type": "container.dockerinc.docker", "version": "1.0", "properties": properties}


@dataclass(slots=True)
class Runs:
    """Seconds of each run of one size."""

    raw_create: dict[int, list[float]] = field(default_factory=dict)  # by concurrency
    raw_graceful: dict[int, list[float]] = field(default_factory=dict)
    raw_forced: dict[int, list[float]] = field(default_factory=dict)
    create: list[float] = field(default_factory=list)
    remove: list[float] = field(default_factory=list)
    create_cpu: list[float] = field(default_factory=list)
    remove_cpu: list[float] = field(default_factory=list)


# -- raw -------------------------------------------------------------------------------------------------------------


class Raw:
    """The Docker API with nothing round it."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._deployment = str(uuid.uuid4())
        self._network = NetworkRequest(
            f"spinney-bench-{self._deployment[:8]}", _SUBNET, {LABEL_DEPLOYMENT: self._deployment}
        )

    async def open(self) -> None:
        connection = await Connection.open(self._target)
        await connection.expect(201, "POST", "/networks/create", network_body(self._network))
        connection.close()

    async def close(self) -> None:
        """Remove whatever is left."""
        connection = await Connection.open(self._target)
        ours = json.dumps({"label": [f"{LABEL_DEPLOYMENT}={self._deployment}"]})
        for container in await connection.expect(200, "GET", f"/containers/json?all=1&filters={quote(ours)}"):
            await connection.call("DELETE", f"/containers/{container['Id']}?force=1&v=1")
        await connection.call("DELETE", f"/networks/{self._network.name}")
        connection.close()

    def body(self, number: int) -> bytes:
        properties = validate_spec(container_spec("bench")).properties
        assert isinstance(properties, ContainerProperties)
        request = container_request(
            properties,
            node=NodeIdentity(str(uuid.uuid4()), f"raw-{number}", str(uuid.uuid4()), "default", 1),
            deployment=self._deployment,
            network=self._network,
            defaults=ContainerDefaults(),
        )
        return json.dumps(create_body(request)).encode()

    async def create(self, size: int, concurrency: int) -> tuple[float, list[str]]:
        bodies = [self.body(i) for i in range(size)]
        made: list[str] = []

        async def one(connection: Connection, body: bytes) -> None:
            answer = await connection.call("POST", f"/containers/create?name=raw-{uuid.uuid4()}", body)
            if answer.status != 201:
                raise RuntimeError(f"create: {answer.status}: {answer.body!r}")
            made.append(answer.json()["Id"])
            await connection.expect(204, "POST", f"/containers/{made[-1]}/start")

        return await self._each(one, bodies, concurrency), made

    async def remove(self, containers: Sequence[str], concurrency: int, *, gracefully: bool) -> float:
        async def one(connection: Connection, container: str) -> None:
            if gracefully:
                await connection.expect(204, "POST", f"/containers/{container}/stop?t={_STOP_TIMEOUT}")
            await connection.expect(204, "DELETE", f"/containers/{container}?force=1&v=1")

        return await self._each(one, containers, concurrency)

    async def _each(
        self, do: Callable[[Connection, Any], Awaitable[None]], items: Sequence[Any], concurrency: int
    ) -> float:
        """Seconds until ``do`` was done with every item, on so many connections."""
        left = list(reversed(items))
        # Anew for each turn: the Docker engine closes connections that were idle for some minutes.
        connections = [await Connection.open(self._target) for _ in range(concurrency)]

        async def work(connection: Connection) -> None:
            while left:
                await do(connection, left.pop())

        began = time.perf_counter()
        try:
            async with asyncio.TaskGroup() as group:
                for connection in connections:
                    group.create_task(work(connection))
            return time.perf_counter() - began
        finally:
            for connection in connections:
                connection.close()


# -- ours ------------------------------------------------------------------------------------------------------------


class Ours:
    def __init__(self, target: Server, headers: dict[str, str]) -> None:
        self._target = target
        self._headers = headers
        self._connection: Connection
        self._profile = ""

    async def connect(self) -> None:
        """Anew for each turn: the service closes connections that are idle for as long as a raw turn takes."""
        self._connection = await Connection.open(self._target.url, self._headers)

    async def prepare(self) -> None:
        """A profile, and one container that stays, so that the project's network does too (the raw one's does)."""
        await self.connect()
        await self._until("/v1/clusters/local", "ACTIVE")
        spec = {"profile": {"name": "bench", "spec": container_spec("local")}}
        self._profile = (await self._connection.expect(201, "POST", "/v1/profiles", spec))["profile"]["id"]
        await self._create("keeper", 1)
        self._connection.close()

    async def run(self, size: int, runs: Runs) -> None:
        await self.connect()
        name = f"bench-{uuid.uuid4().hex[:8]}"
        began, cpu = time.perf_counter(), cpu_seconds(self._target.pid)
        await self._create(name, size)
        runs.create.append(time.perf_counter() - began)
        runs.create_cpu.append(cpu_seconds(self._target.pid) - cpu)
        await asyncio.sleep(_SETTLE)
        began, cpu = time.perf_counter(), cpu_seconds(self._target.pid)
        await self._delete(name)
        runs.remove.append(time.perf_counter() - began)
        runs.remove_cpu.append(cpu_seconds(self._target.pid) - cpu)
        self._connection.close()

    async def finish(self) -> None:
        await self.connect()
        await self._delete("keeper")
        self._connection.close()

    async def _create(self, name: str, size: int) -> None:
        body = {"cluster": {"name": name, "profile_id": self._profile, "desired_capacity": size}}
        await self._connection.expect(202, "POST", "/v1/clusters", body)
        await self._until(f"/v1/clusters/{name}", "ACTIVE")

    async def _delete(self, name: str) -> None:
        await self._connection.expect(202, "DELETE", f"/v1/clusters/{name}")
        await self._until(f"/v1/clusters/{name}", None)

    async def _until(self, path: str, wanted: str | None) -> None:
        """``wanted`` None: until it is gone."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            answer = await self._connection.call("GET", path)
            cluster = answer.json()["cluster"] if answer.status == 200 else {"status": None, "status_reason": ""}
            if cluster["status"] == wanted:
                return
            if cluster["status"] in ("ERROR", "WARNING"):
                raise RuntimeError(f"{path} is {cluster['status']}: {cluster['status_reason']}")
            await asyncio.sleep(_POLL)
        raise TimeoutError(f"{path} was not {wanted or 'gone'} within {_PATIENCE:g} s")


# -- in turn ---------------------------------------------------------------------------------------------------------


async def take_turns(
    socket: str,
    target: Server,
    headers: dict[str, str],
    sizes: Sequence[int],
    concurrencies: Sequence[int],
    rounds: int,
) -> dict[int, Runs]:
    raw, ours = Raw(f"unix://{socket}"), Ours(target, headers)
    await raw.open()
    found: dict[int, Runs] = {}
    try:
        await ours.prepare()
        for size in sizes:
            runs = found[size] = Runs()
            for turn in range(rounds * len(concurrencies)):
                concurrency = concurrencies[turn % len(concurrencies)]
                for gracefully in (True, False):
                    await _raw_turn(raw, runs, size, concurrency, gracefully)
                    if gracefully:
                        await ours.run(size, runs)
                    await asyncio.sleep(_SETTLE)
                progress(
                    f"{size}: raw at {concurrency} made in {runs.raw_create[concurrency][-1]:.2f} s, ours in "
                    f"{runs.create[-1]:.2f} s; removed in {runs.raw_graceful[concurrency][-1]:.2f} s, ours in "
                    f"{runs.remove[-1]:.2f} s"
                )
        await ours.finish()
    finally:
        await raw.close()
    return found


async def _raw_turn(raw: Raw, runs: Runs, size: int, concurrency: int, gracefully: bool) -> None:
    seconds, made = await raw.create(size, concurrency)
    runs.raw_create.setdefault(concurrency, []).append(seconds)
    await asyncio.sleep(_SETTLE)
    ended = runs.raw_graceful if gracefully else runs.raw_forced
    ended.setdefault(concurrency, []).append(await raw.remove(made, concurrency, gracefully=gracefully))


def clean_up(socket: str, folder: Path) -> None:
    """What a service that ended too early left on the Docker engine, by its deployment's label."""
    if not (folder / "spinney.db").exists():
        return
    with sqlite3.connect(folder / "spinney.db") as connection:
        found = connection.execute("SELECT value FROM meta WHERE key = 'deployment'").fetchone()
    connection.close()
    if found is None:
        return
    query = {"filters": json.dumps({"label": [f"{LABEL_DEPLOYMENT}={found[0]}"]})}
    for container in docker_engine.call(socket, "GET", "/containers/json", query={**query, "all": "1"})[1]:
        docker_engine.call(socket, "DELETE", f"/containers/{container['Id']}", query={"force": "1", "v": "1"})
    for network in docker_engine.call(socket, "GET", "/networks", query=query)[1]:
        docker_engine.call(socket, "DELETE", f"/networks/{network['Id']}")
    helpers = {"filters": json.dumps({"label": [LABEL_HELPER]})}
    for image in docker_engine.call(socket, "GET", "/images/json", query=helpers)[1]:
        docker_engine.call(socket, "DELETE", f"/images/{image['Id']}")  # refused while another service uses it


# -- results ---------------------------------------------------------------------------------------------------------


def fastest(runs: dict[int, list[float]]) -> tuple[int, float]:
    """The concurrency with the best run, and that run."""
    return min(((c, min(seconds)) for c, seconds in runs.items()), key=lambda pair: pair[1])


def middle(runs: dict[int, list[float]]) -> float:
    """The median at the concurrency whose median is best."""
    return min(statistics.median(seconds) for seconds in runs.values())


def tables(found: dict[int, Runs]) -> list[Table]:
    columns = ("containers", "raw s", "at", "ours s", "ratio", "of medians", "containers/s", "our CPU ms each")
    create, remove, forced, curve = [], [], [], []
    for size, runs in found.items():
        create.append(_row(size, runs.raw_create, runs.create, runs.create_cpu))
        remove.append(_row(size, runs.raw_graceful, runs.remove, runs.remove_cpu))
        forced.append(_row(size, runs.raw_forced, runs.remove, runs.remove_cpu))
        curve += [
            (size, c, min(runs.raw_create[c]), min(runs.raw_graceful[c]), min(runs.raw_forced[c]))
            for c in runs.raw_create
        ]
    return [
        Table("Create: POST to ACTIVE, against raw create + start", columns, create),
        Table("Remove: DELETE to 404, against raw stop + delete", columns, remove),
        Table("Remove: the same, against raw forced delete without a stop", columns, forced),
        Table("Raw by concurrency, best seconds", ("containers", "at", "create", "stop + delete", "forced"), curve),
    ]


def _row(size: int, raw: dict[int, list[float]], ours: list[float], cpu: list[float]) -> tuple[Any, ...]:
    concurrency, best = fastest(raw)
    medians = statistics.median(ours) / middle(raw)
    return size, best, concurrency, min(ours), min(ours) / best, medians, size / min(ours), min(cpu) / size * 1000


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--sizes", type=numbers, default=[20, 60, 120])
    parser.add_argument("--concurrencies", type=numbers, default=[2, 4, 6, 8, 12], help="of the raw client")
    parser.add_argument("--rounds", type=int, default=1, help="over all concurrencies, for each size (default: 1)")
    given = parser.parse_args()
    with ExitStack() as stack:
        socket = stack.enter_context(docker_engine.engine_socket())
        docker_engine.demo_image(socket)
        version = docker_engine.call(socket, "GET", "/version")[1]["Version"]
        folder = stack.enter_context(scratch())
        stack.callback(clean_up, socket, folder)
        environment = {"DOCKER_HOST": f"unix://{socket}"}
        command = spinney("standalone", "--state-dir", str(folder), "--port", "0")
        with server(command, READY, environment) as target:
            work = take_turns(socket, target, basic(folder), given.sizes, given.concurrencies, given.rounds)
            found = uvloop.run(work)
            about = Table("Service", ("Docker engine", "peak MiB"), [(version, peak_memory(target.pid))])
    shown = [*tables(found), about]
    aims = [Aim(f"create {row[0]}: ratio", row[4], 1.05) for row in shown[0].rows]
    aims += [Aim(f"remove {row[0]}: ratio", row[4], 1.2) for row in shown[1].rows]
    report(given.json, shown, aims)


if __name__ == "__main__":
    main()
