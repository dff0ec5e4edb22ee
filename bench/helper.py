"""What measuring costs: the host helper beside what Docker's own API offers, on one real Docker engine, in one run.

A reading of a host by the helper stands beside GET /info (which tells no load, but is the least that asks the Docker engine for
anything about its host). A reading of all containers by the helper stands beside Docker's statistics: one sample of each
container, all asked at once, with and without ``one-shot``. They are taken in turn; of each the cheapest round counts.

Host CPU is that of the Docker engine, its containerd and shims, and the helper; client CPU that of this process. Both to
the nanosecond, from /proc. The containers measured sleep.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import common
import sqlalchemy as sa
from common import Aim, Table

import docker_engine
from spinney.clock import SystemClock
from spinney.domain.container import LABEL_DEPLOYMENT, ContainerRequest, ImageRequest, PullPolicy
from spinney.domain.host import HelperMode
from spinney.domain.utilization import ContainerCounters, ContainersReading, HostCounters, HostUse
from spinney.drivers.base import HostAddress
from spinney.drivers.docker import DockerConnector
from spinney.drivers.docker.host import DockerHost
from spinney.engine.watching.measurements import Measurements
from spinney.store import measuring, tables
from spinney.store.database import Store

_PROGRAMS = ("dockerd", "containerd", "containerd-shim", "host-helper")


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one reading, in milliseconds."""

    wall: float
    host: float
    client: float


class Processes:
    """Those of one Docker engine: all that name its folder if it is a private one, else all of the machine's."""

    def __init__(self, socket: str) -> None:
        folder = Path(socket).parent
        self._mark = str(folder).encode() if (folder / "daemon.json").exists() else b""

    def _found(self) -> Iterator[Path]:
        shims: set[str] = set()
        others: list[tuple[Path, str]] = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                name = (process / "comm").read_text().strip()
                if not name.startswith(_PROGRAMS):
                    continue
                if name == "host-helper":
                    others.append((process, (process / "stat").read_text().rpartition(")")[2].split()[1]))
                elif self._mark in (process / "cmdline").read_bytes():
                    shims.add(process.name)
                    yield process
            except OSError:
                continue
        yield from (process for process, parent in others if parent in shims)

    def cpu(self) -> float:
        """Seconds so far."""
        total = 0
        for process in self._found():
            for thread in process.glob("task/*/schedstat"):
                try:
                    total += int(thread.read_text().split()[0])
                except OSError:
                    continue
        return total / 1e9


async def cost(processes: Processes, times: int, read: Callable[[], Awaitable[object]]) -> Cost:
    await read()
    host, client, wall = processes.cpu(), time.process_time(), time.monotonic()
    for _ in range(times):
        await read()
    passed, used = time.monotonic() - wall, time.process_time() - client
    return Cost(passed * 1000 / times, (processes.cpu() - host) * 1000 / times, used * 1000 / times)


def cheapest(costs: list[Cost]) -> Cost:
    return Cost(*(min(getattr(one, name) for one in costs) for name in Cost.__slots__))


class Bench:
    def __init__(self, socket: str, containers: int, samples: int) -> None:
        self.deployment = str(uuid.uuid4())
        self.processes = Processes(socket)
        self.containers = containers
        self.samples = samples
        self._socket = socket
        self.host: DockerHost = DockerConnector(allowed_unix_sockets=[socket]).connect(HostAddress(f"unix://{socket}"))
        self.ids: list[str] = []

    async def make(self) -> None:
        for number in range(self.containers):
            request = ContainerRequest(
                f"spinney-bench-{self.deployment[:8]}-{number}",
                {LABEL_DEPLOYMENT: self.deployment},
                ImageRequest(docker_engine.IMAGE, PullPolicy.NEVER),
                command=("sleep", "3600"),
            )
            self.ids.append((await self.host.create(request)).id)
            await self.host.start(self.ids[-1])
        await self.host.ensure_helper(self.deployment, HelperMode.FULL)

    async def clean(self) -> None:
        await self.host.remove_helper(self.deployment)
        for container in await self.host.containers({LABEL_DEPLOYMENT: self.deployment}):
            await self.host.remove(container.id)
        await self.host.close()

    async def stats(self, query: str) -> None:
        """One sample of each container, asked at once."""

        async def one(container: str) -> None:
            connection = await common.Connection.open(f"unix://{self._socket}")
            await connection.expect(200, "GET", f"/containers/{container}/stats?{query}")
            connection.close()

        await asyncio.gather(*(one(container) for container in self.ids))

    async def idle(self, seconds: float) -> float:
        """Host CPU in milliseconds per second while nobody asks."""
        before = self.processes.cpu()
        await asyncio.sleep(seconds)
        return (self.processes.cpu() - before) * 1000 / seconds


async def measured(bench: Bench, rounds: int) -> tuple[dict[str, Cost], float]:
    ways: dict[str, tuple[int, Callable[[], Awaitable[object]]]] = {
        "host: helper": (bench.samples, bench.host.measure),
        "host: GET /info": (max(10, bench.samples // 10), bench.host.facts),
        "containers: helper": (max(10, bench.samples // 5), bench.host.measure_containers),
        "containers: stats": (1, lambda: bench.stats("stream=false")),
        "containers: stats one-shot": (1, lambda: bench.stats("stream=false&one-shot=true")),
    }
    found: dict[str, list[Cost]] = {name: [] for name in ways}
    await bench.make()
    try:
        reading = await bench.host.measure_containers()
        assert set(bench.ids) <= set(reading.containers), "the helper does not see all containers"
        idle = await bench.idle(3.0)
        for number in range(rounds):
            common.progress(f"round {number + 1} of {rounds}")
            for name, (times, read) in ways.items():
                found[name].append(await cost(bench.processes, times, read))
    finally:
        await bench.clean()
    return {name: cheapest(costs) for name, costs in found.items()}, idle


def bookkeeping(hosts: int, containers: int) -> tuple[float, float, float]:
    """Milliseconds for one reading of a host, for one of a container, and for a row in a group of ``hosts``."""
    kept = Measurements()

    def counters(at: float) -> HostCounters:
        return HostCounters(at=at, boot="b", busy=at, cores=4, memory_total=8 << 30, memory_available=4 << 30)

    start = time.process_time()
    for at in range(10_000):
        kept.note_host("h", counters(float(at)), float(at), 60.0)
    per_host = (time.process_time() - start) * 1000 / 10_000
    ids = [f"{number:064x}" for number in range(containers)]
    start = time.process_time()
    for at in range(200):
        reading = ContainersReading(float(at), {one: ContainerCounters(cpu=float(at)) for one in ids})
        kept.note_containers("h", reading, 4.0, float(at), 60.0)
    per_container = (time.process_time() - start) * 1000 / 200 / containers
    return per_host, per_container, _writing(hosts)


def _writing(hosts: int) -> float:
    with common.scratch() as folder:
        store = Store(f"sqlite:///{folder}/bench.db", SystemClock())
        tables.metadata.create_all(store.engine)
        ids = [f"h{number}" for number in range(hosts)]
        row: dict[str, Any] = {c.name: _filling(c) for c in tables.host.c if not c.nullable}
        rows = [{**row, "node_id": one, "endpoint": f"unix:///{one}"} for one in ids]
        store.run(lambda connection: connection.execute(tables.host.insert(), rows))
        use = HostUse(cpu=1.0, memory=1, disk=1, disk_total=2, sampled_at=1.0)
        start = time.process_time()
        for _ in range(10):
            store.run(measuring.write_uses, dict.fromkeys(ids, use))
        used = time.process_time() - start
        store.close()
        return used * 1000 / 10 / hosts


def _filling(column: sa.Column[Any]) -> Any:
    kind = column.type
    return {} if isinstance(kind, sa.JSON) else 0 if isinstance(kind, sa.Integer | sa.Float) else "x"


def report(arguments: Any, found: dict[str, Cost], idle: float, version: str) -> None:
    count = arguments.containers
    host, info = found["host: helper"], found["host: GET /info"]
    all_, stats, shot = (found[f"containers: {way}"] for way in ("helper", "stats", "stats one-shot"))
    note_host, note_container, row = bookkeeping(1000, count)
    first = Table(
        f"A reading of a host, ms (Docker {version})",
        ("by", "wall", "host CPU", "client CPU"),
        [(way, one.wall, one.host, one.client) for way, one in (("helper", host), ("GET /info", info))]
        + [("kept by the engine", None, None, note_host), ("its row, of 1,000 written together", None, None, row)],
    )
    ways = (("helper", all_), ("stats", stats), ("stats one-shot", shot))
    second = Table(
        f"A reading of {count} containers, ms",
        ("by", "wall", "host CPU", "client CPU", "host CPU each", "client CPU each", "host ratio", "client ratio"),
        [
            (
                way,
                one.wall,
                one.host,
                one.client,
                one.host / count,
                one.client / count,
                one.host / all_.host,
                one.client / all_.client,
            )
            for way, one in ways
        ]
        + [("kept by the engine", None, None, note_container * count, None, note_container, None, None)],
    )
    third = Table(
        "A reading every 5 s",
        ("of", "ms of host CPU per s", "ms of client CPU per s"),
        [
            ("one host", host.host / 5, host.client / 5),
            ("1,000 hosts", None, 1000 * (host.client + note_host) / 5),
            (f"{count} containers on one host", all_.host / 5, all_.client / 5),
            ("nothing (the Docker engine with these containers, idle)", idle, None),
        ],
    )
    aims = [
        Aim("host CPU of a host's reading, ms", host.host, 0.3),
        Aim("host CPU of a container's reading, ms", all_.host / count, 0.06),
        Aim(
            "Docker's cheapest statistics, in host CPU, times the helper",
            min(stats.host, shot.host) / all_.host,
            70,
            least=True,
        ),
    ]
    common.report(arguments.json, [first, second, third], aims)


def main() -> None:
    parser = common.options(__doc__)
    parser.add_argument("--containers", type=int, default=50, help="containers on the host")
    parser.add_argument("--samples", type=int, default=500, help="readings of the host in a round")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with ExitStack() as stack:
        socket = stack.enter_context(docker_engine.engine_socket())
        docker_engine.demo_image(socket)
        version = docker_engine.call(socket, "GET", "/version")[1]["Version"]

        async def run() -> tuple[dict[str, Cost], float]:
            return await measured(Bench(socket, arguments.containers, arguments.samples), arguments.rounds)

        found, idle = asyncio.run(run())
    report(arguments, found, idle, version)


if __name__ == "__main__":
    main()
