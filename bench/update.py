"""Rolling updates of containers in tens on real Docker engines, against the raw use of the same Docker API and Docker Swarm.

Each contender has 60 containers that run, and replaces all of them by others (one environment variable differs), ten at a
time: a batch begins when the one before it has ended. Ours: a PATCH of the cluster until its action has SUCCEEDED, with a batch
and an update policy. Raw: a bare asyncio client that sends stop, delete, create and start (start-first: create, start, stop,
delete) over the same TLS, as many at a time on each host as Spinney does, with exactly the bodies and the network that Spinney
sends. Swarm: an update of a service with parallelism 10, until it says that it is completed. A new container is good when it
runs: looking into sixty costs a Docker engine more than making them, so that health checks would drown the difference. The
three take turns, so that all meet the same machine; what is measured is the update alone.

Needs root: it makes the hosts, and nothing of them is left.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import uvloop

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import many_engines
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
from many_engines import inventory, polled
from one_engine import container_spec

from spinney.config import EngineSettings
from spinney.drivers.docker.request import create_body
from spinney.profiles.container import ContainerProperties
from spinney.profiles.container_request import ContainerDefaults, NodeIdentity, container_request
from spinney.profiles.registry import validate_spec
from testbed.bed import Bed
from testbed.host import Host, HostSpec

ORDERS = ("stop-first", "start-first")
_POLL = 0.05
_SETTLE = 2.0
_FLEET = "fleet"
_AIM = 1.3
_VERSIONS = {"OpenStack-API-Version": "clustering 1.14, spinney 1.0"}


def spec(version: int) -> dict[str, Any]:
    found = container_spec(_FLEET)
    found["properties"]["environment"] = {"VERSION": str(version)}
    return found


class Contender(Protocol):
    name: str

    async def prepare(self) -> None: ...

    async def create(self, size: int) -> float: ...

    async def update(self, batch: int, order: str) -> float:
        """Seconds until all of the containers have been replaced."""

    async def remove(self) -> None: ...


@dataclass(slots=True)
class Runs:
    """Seconds of each turn, by contender; CPU seconds of ours for each container."""

    seconds: dict[str, list[float]] = field(default_factory=dict)
    cpu: list[float] = field(default_factory=list)

    def best(self, name: str) -> float:
        return min(self.seconds[name])

    def middle(self, name: str) -> float:
        return statistics.median(self.seconds[name])


# -- raw -------------------------------------------------------------------------------------------------------------


class Raw(many_engines.Raw):
    def __init__(self, bed: Bed, at_once: int) -> None:
        super().__init__(bed, at_once)
        self._version = 0

    def _body(self, number: int) -> bytes:
        properties = validate_spec(spec(self._version)).properties
        assert isinstance(properties, ContainerProperties)
        request = container_request(
            properties,
            node=NodeIdentity(str(uuid.uuid4()), f"raw-{number}", str(uuid.uuid4()), "default", 1),
            deployment=self._deployment,
            network=self._network,
            defaults=ContainerDefaults(),
        )
        return json.dumps(create_body(request)).encode()

    async def update(self, batch: int, order: str) -> float:
        self._version += 1
        # Each batch takes from all hosts alike.
        by_host = [[one for one in self._made if one[0] is host] for host in self._bed.hosts]
        turns = [one for row in zip(*by_host, strict=True) for one in row]
        work = [(host, container, self._body(number)) for number, (host, container) in enumerate(turns)]
        opened = {h.name: [await self._open(h) for _ in range(self._at_once)] for h in self._bed.hosts}
        self._made = []
        began = time.perf_counter()
        for start in range(0, len(work), batch):
            await self._batch(work[start : start + batch], opened, order)
        seconds = time.perf_counter() - began
        for connections in opened.values():
            for connection in connections:
                connection.close()
        return seconds

    async def _batch(
        self, work: Sequence[tuple[Host, str, bytes]], opened: dict[str, list[Connection]], order: str
    ) -> None:
        left = {host.name: [one for one in work if one[0] is host] for host in self._bed.hosts}

        async def go(connection: Connection, mine: list[tuple[Host, str, bytes]]) -> None:
            while mine:
                host, container, body = mine.pop()
                if order == "stop-first":
                    await self._end(connection, container)
                await self._start(connection, host, body)
                if order != "stop-first":
                    await self._end(connection, container)

        async with asyncio.TaskGroup() as group:
            for name, connections in opened.items():
                for connection in connections:
                    group.create_task(go(connection, left[name]))

    async def _end(self, connection: Connection, container: str) -> None:
        await connection.expect(204, "POST", f"/containers/{container}/stop?t=10")
        await connection.expect(204, "DELETE", f"/containers/{container}?v=1")

    async def _start(self, connection: Connection, host: Host, body: bytes) -> None:
        answer = await connection.call("POST", f"/containers/create?name=raw-{uuid.uuid4()}", body)
        if answer.status != 201:
            raise RuntimeError(f"create on {host.name}: {answer.status}: {answer.body!r}")
        made = answer.json()["Id"]
        self._made.append((host, made))
        await connection.expect(204, "POST", f"/containers/{made}/start")


# -- ours ------------------------------------------------------------------------------------------------------------


class Ours(many_engines.Ours):
    def __init__(self, bed: Bed, target: Server, headers: dict[str, str], runs: Runs) -> None:
        super().__init__(bed, target, {**headers, **_VERSIONS}, lambda: many_engines.Runs())
        self.runs = runs
        self.order = ORDERS[0]
        self.batch = 10
        self._profiles: list[str] = []
        self._turn = 0

    async def prepare(self) -> None:
        connection = await Connection.open(self._target.url, self._headers)
        for version in range(2):
            body = {"profile": {"name": f"bench-{version}", "spec": spec(version)}}
            made = await connection.expect(201, "POST", "/v1/profiles", body)
            self._profiles.append(made["profile"]["id"])
        connection.close()
        self._profile = self._profiles[0]
        # A container on each host that stays, so that the project's network does too (the raw one's does).
        await super().create(len(self._bed.hosts))

    async def create(self, size: int) -> float:
        self._profile = self._profiles[0]
        seconds = await super().create(size)
        connection = await Connection.open(self._target.url, self._headers)
        properties = {
            "senlin.policy.batch": {"max_batch_size": self.batch, "pause_time": 0},
            "spinney.policy.update": {"order": self.order, "monitor": 0},
        }
        for kind, given in properties.items():
            body = {"policy": {"name": kind, "spec": {"type": kind, "version": "1.0", "properties": given}}}
            policy = (await connection.expect(201, "POST", "/v1/policies", body))["policy"]["id"]
            await self._done(connection, "POST", "/actions", {"policy_attach": {"policy_id": policy}})
        connection.close()
        return seconds

    async def update(self, batch: int, order: str) -> float:
        connection = await Connection.open(self._target.url, self._headers)
        began, cpu = time.perf_counter(), cpu_seconds(self._target.pid)
        self._profile = next(one for one in self._profiles if one != self._profile)
        action = await self._done(connection, "PATCH", "", {"cluster": {"profile_id": self._profile}})
        seconds = time.perf_counter() - began
        self.runs.cpu.append((cpu_seconds(self._target.pid) - cpu) / action["outputs"]["total"])
        connection.close()
        return seconds

    async def _done(self, connection: Connection, method: str, path: str, body: Any) -> dict[str, Any]:
        answer = await connection.call(method, f"/v1/clusters/{self._cluster}{path}", json.dumps(body).encode())
        if answer.status != 202:
            raise RuntimeError(f"{method} {path}: {answer.status}: {answer.body!r}")
        where = answer.headers[b"location"].decode()
        while True:
            action: dict[str, Any] = (await connection.expect(200, "GET", where))["action"]
            if action["status"] == "SUCCEEDED":
                return action
            if action["status"] in ("FAILED", "CANCELLED"):
                raise RuntimeError(f"{action['action']}: {action['status_reason']}")
            await asyncio.sleep(_POLL)


# -- Swarm -----------------------------------------------------------------------------------------------------------


class Swarm(many_engines.Swarm):
    async def update(self, batch: int, order: str) -> float:
        connection = await Connection.open(f"unix://{self._manager.socket}")
        service = await connection.expect(200, "GET", "/services/bench")
        changed = service["Spec"]
        container = changed["TaskTemplate"]["ContainerSpec"]
        container["Env"] = ["VERSION=1"]
        changed["UpdateConfig"] = {"Parallelism": batch, "Order": order, "Delay": 0}
        began = time.perf_counter()
        path = f"/services/{service['ID']}/update?version={service['Version']['Index']}"
        await connection.expect(200, "POST", path, changed)
        await polled("the update is completed", lambda: self._completed(connection))
        seconds = time.perf_counter() - began
        connection.close()
        return seconds

    async def _completed(self, connection: Connection) -> bool:
        service = await connection.expect(200, "GET", "/services/bench")
        state = (service.get("UpdateStatus") or {}).get("State")
        if state in ("paused", "rollback_started"):
            raise RuntimeError(f"the update of the service is {state}: {service['UpdateStatus'].get('Message')}")
        return bool(state == "completed")


# -- in turn ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shape:
    size: int
    batch: int
    rounds: int
    swarm: bool


async def take_turns(bed: Bed, target: Server, headers: dict[str, str], shape: Shape) -> dict[str, Runs]:
    ours = Ours(bed, target, headers, Runs())
    contenders: list[Contender] = [Raw(bed, EngineSettings().host_concurrency), ours]
    contenders += [Swarm(bed)] * shape.swarm
    for one in contenders:
        await one.prepare()
    found = {order: Runs() for order in ORDERS}
    ours.batch = shape.batch
    for turn in range(shape.rounds):
        for order in ORDERS:
            runs = ours.runs = found[order]
            ours.order = order
            # Each begins as often as the others.
            for one in contenders[turn % len(contenders) :] + contenders[: turn % len(contenders)]:
                await one.create(shape.size)
                await asyncio.sleep(_SETTLE)
                runs.seconds.setdefault(one.name, []).append(await one.update(shape.batch, order))
                await one.remove()
                await asyncio.sleep(_SETTLE)
            said = ", ".join(f"{name} {seconds[-1]:.2f} s" for name, seconds in runs.seconds.items())
            progress(f"{len(bed.hosts)} hosts, {order}: {said}")
    return found


def measure(hosts: int, shape: Shape) -> tuple[dict[str, Runs], tuple[Any, ...]]:
    with ExitStack() as stack:
        bed = stack.enter_context(Bed.up("bench", [HostSpec()] * hosts))
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
            found = uvloop.run(take_turns(bed, target, basic(folder), shape))
            return found, (hosts, version, peak_memory(target.pid))


def rows(hosts: int, found: dict[str, Runs]) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    ours, swarm = [], []
    for order, runs in found.items():
        raw, own = runs.best("raw"), runs.best("spinney")
        medians = runs.middle("spinney") / runs.middle("raw")
        ours.append((hosts, order, raw, own, own / raw, medians, min(runs.cpu) * 1000))
        if "swarm" in runs.seconds:
            theirs = runs.best("swarm")
            swarm.append((hosts, order, theirs, theirs / raw, theirs / own))
    return ours, swarm


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--size", type=int, default=60)
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--hosts", type=numbers, default=[1, 4])
    parser.add_argument("--rounds", type=int, default=2, help="turns of each (default: 2)")
    parser.add_argument("--without-swarm", action="store_true")
    given = parser.parse_args()
    shape = Shape(given.size, given.batch, given.rounds, not given.without_swarm)
    ours: list[tuple[Any, ...]] = []
    swarm: list[tuple[Any, ...]] = []
    about: list[tuple[Any, ...]] = []
    for hosts in given.hosts:
        found, told = measure(hosts, shape)
        more, theirs = rows(hosts, found)
        ours += more
        swarm += theirs
        about.append(told)
    columns = ("engines", "order", "raw s", "ours s", "ratio", "of medians", "our CPU ms each")
    shown = [Table(f"{given.size} containers replaced in batches of {given.batch}", columns, ours)]
    if swarm:
        shown.append(Table("Docker Swarm", ("engines", "order", "swarm s", "of raw", "of ours"), swarm))
    shown.append(Table("Service", ("engines", "Docker engines", "peak MiB"), about))
    report(given.json, shown, [Aim(f"{row[1]} on {row[0]}: ratio", row[4], _AIM) for row in ours])


if __name__ == "__main__":
    main()
