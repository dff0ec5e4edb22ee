"""What a probe costs: by the full host helper, by a prober, by a command in the container, and as Docker's own health check.

All ask the same page of the same small web server in each of several containers, in turn, on one real Docker engine in one
run. Of each way the cheapest round counts. How often health checks have run is counted in the Docker engine's events; what
the Docker engine uses when nobody asks is taken off.

Host CPU is that of the Docker engine, its containerd and shims, the helper and the probers, with all that they started and
have seen end; what the web servers use is not in it. Client CPU is that of this process.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import common
from common import Aim, Table
from helper import Cost, Processes, cheapest, cost

import docker_engine
from spinney.domain.container import (
    LABEL_DEPLOYMENT,
    LABEL_PROBER,
    ContainerRequest,
    Healthcheck,
    ImageRequest,
    PullPolicy,
)
from spinney.domain.host import HelperMode
from spinney.domain.probe import ProbeKind, ProbeRequest
from spinney.domain.terminal import ExecRequest
from spinney.drivers.base import HostAddress
from spinney.drivers.docker import DockerConnector
from spinney.drivers.docker.host import DockerHost

_TICK = os.sysconf("SC_CLK_TCK")
_PORT = 8080
_SERVE = f"mkdir /tmp/www && echo fine >/tmp/www/index.html && exec httpd -f -p {_PORT} -h /tmp/www"
_FETCH = ("wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{_PORT}/")
_HTTP = ProbeRequest(ProbeKind.HTTP, _PORT, path="/", timeout=5.0)
_TCP = ProbeRequest(ProbeKind.TCP, _PORT, timeout=5.0)
#: Seconds between health checks of a container, and how long they are watched.
_INTERVAL = 2.0
_WATCHED = 12.0


class Families(Processes):
    """With the children that have ended: each probe and each command is one."""

    def cpu(self) -> float:
        total = 0
        for process in self._found():
            try:
                total += sum(int(one) for one in (process / "stat").read_text().rpartition(")")[2].split()[11:15])
            except OSError:
                continue
        return total / _TICK


class Bench:
    def __init__(self, socket: str, containers: int, samples: int) -> None:
        self.deployment = str(uuid.uuid4())
        self.processes = Families(socket)
        self.samples = samples
        self._socket = socket
        self._count = containers
        self.helped, self.plain = self._connect(), self._connect()
        self.ids: list[str] = []

    def _connect(self) -> DockerHost:
        return DockerConnector(allowed_unix_sockets=[self._socket]).connect(HostAddress(f"unix://{self._socket}"))

    async def start(self, *, check: Healthcheck | None = None) -> list[str]:
        """So many web servers."""
        made = []
        for _ in range(self._count):
            request = ContainerRequest(
                f"spinney-bench-{uuid.uuid4().hex[:12]}",
                {LABEL_DEPLOYMENT: self.deployment},
                ImageRequest(docker_engine.IMAGE, PullPolicy.NEVER),
                command=("sh", "-c", _SERVE),
                tmpfs={"/tmp": "size=1m"},
                healthcheck=check,
            )
            made.append((await self.plain.create(request)).id)
            await self.plain.start(made[-1])
        return made

    async def remove(self, ids: list[str]) -> None:
        for one in ids:
            await self.plain.remove(one)

    async def clean(self) -> None:
        await self.helped.remove_helper(self.deployment)
        await self.remove([one.id for one in await self.plain.containers({LABEL_DEPLOYMENT: self.deployment})])
        await self.helped.close()
        await self.plain.close()

    async def making_probers(self) -> Cost:
        """Of the first probe of each container."""
        host, client, wall = self.processes.cpu(), time.process_time(), time.monotonic()
        for one in self.ids:
            await self.plain.probe(one, _HTTP)
        spent = (time.monotonic() - wall, self.processes.cpu() - host, time.process_time() - client)
        found = await self.plain.containers({LABEL_DEPLOYMENT: self.deployment})
        assert sum(LABEL_PROBER in one.labels for one in found) == self._count, "not every container has its prober"
        return Cost(*(one * 1000 / self._count for one in spent))

    async def idle(self) -> float:
        """Host CPU in milliseconds per second while nobody asks."""
        before = self.processes.cpu()
        await asyncio.sleep(_WATCHED / 2)
        return (self.processes.cpu() - before) * 1000 / (_WATCHED / 2)

    async def health_checks(self) -> Cost:
        """Of one run, in host CPU."""
        idle = await self.idle()
        made = await self.start(check=Healthcheck(("CMD", *_FETCH), _INTERVAL, 5.0, 3))
        await asyncio.sleep(2 * _INTERVAL)
        wanted = quote(json.dumps({"event": ["exec_die"]}))
        since, before = time.time(), self.processes.cpu()
        path = f"/events?since={since:.6f}&until={since + _WATCHED:.6f}&filters={wanted}"
        events = await asyncio.to_thread(_lines, self._socket, path)
        used = self.processes.cpu() - before
        await self.remove(made)
        return Cost(0.0, (used * 1000 - idle * _WATCHED) / events, 0.0)


def _lines(socket: str, path: str) -> int:
    """How many there are, once there will be no more."""
    connection = docker_engine._UnixConnection(socket, 30.0)
    try:
        connection.request("GET", path)
        return sum(1 for line in connection.getresponse().read().splitlines() if line)
    finally:
        connection.close()


async def measured(bench: Bench, rounds: int) -> dict[str, Cost]:
    async def command(container: str) -> None:
        session = await bench.plain.exec(container, ExecRequest(_FETCH))
        try:
            assert await session.wait() == 0
        finally:
            await session.close()

    ways: dict[str, tuple[int, Callable[[str], Awaitable[Any]]]] = {
        "helper, HTTP": (bench.samples, lambda one: bench.helped.probe(one, _HTTP)),
        "helper, TCP": (bench.samples, lambda one: bench.helped.probe(one, _TCP)),
        "prober, HTTP": (bench.samples, lambda one: bench.plain.probe(one, _HTTP)),
        "prober, TCP": (bench.samples, lambda one: bench.plain.probe(one, _TCP)),
        "exec": (max(20, bench.samples // 10), command),
    }
    found: dict[str, list[Cost]] = {name: [] for name in (*ways, "first probe by a prober", "health check")}
    try:
        bench.ids = await bench.start()
        await bench.helped.ensure_helper(bench.deployment, HelperMode.FULL)
        found["first probe by a prober"].append(await bench.making_probers())
        for number in range(rounds):
            common.progress(f"round {number + 1} of {rounds}")
            for name, (times, ask) in ways.items():
                turn = cycle(bench.ids)
                found[name].append(await cost(bench.processes, times, lambda ask=ask, turn=turn: ask(next(turn))))
            found["health check"].append(await bench.health_checks())
    finally:
        await bench.clean()
    return {name: cheapest(costs) for name, costs in found.items()}


def report(arguments: Any, found: dict[str, Cost], version: str) -> None:
    least = found["helper, HTTP"]
    table = Table(
        f"A probe, ms (Docker {version}, {arguments.containers} containers)",
        ("by", "wall", "host CPU", "client CPU", "host ratio"),
        [(name, one.wall or None, one.host, one.client or None, one.host / least.host) for name, one in found.items()],
    )
    often = Table(
        "100 containers, each probed every 10 s",
        ("by", "ms of host CPU per s", "ms of client CPU per s"),
        [(name, one.host * 10, one.client * 10 or None) for name, one in found.items() if "first" not in name],
    )
    aims = [
        Aim("a health check's host CPU, times the helper's", found["health check"].host / least.host, 10, least=True),
        Aim(
            "a health check's host CPU, times a prober's",
            found["health check"].host / found["prober, HTTP"].host,
            10,
            least=True,
        ),
    ]
    common.report(arguments.json, [table, often], aims)


def main() -> None:
    parser = common.options(__doc__)
    parser.add_argument("--containers", type=int, default=20, help="containers that are probed")
    parser.add_argument("--samples", type=int, default=500, help="probes of a way in a round")
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        socket = stack.enter_context(docker_engine.engine_socket())
        docker_engine.demo_image(socket)
        version = docker_engine.call(socket, "GET", "/version")[1]["Version"]

        async def run() -> dict[str, Cost]:
            return await measured(Bench(socket, arguments.containers, arguments.samples), arguments.rounds)

        found = asyncio.run(run())
    report(arguments, found, version)


if __name__ == "__main__":
    main()
