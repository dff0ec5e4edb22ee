"""What answering costs: reads and one write over HTTP, with authentication, on a database of 20 clusters of 1,000 nodes.

The service is ``spinney api`` as a process of its own; the client is this process, with keep-alive connections. The floor is
measured in the same run: a Starlette application that does a thread hop, one SQLAlchemy Core statement and a JSON response
of the same rows, with neither authentication nor anything else, on the same database.

With ``--keystone``, requests with tokens of a real Keystone that the service remembers are measured beside the same ones
without authentication.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvloop
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
from identity import UNLIMITED, keystone_beside_none
from simulated_service import HOSTS, OWNER, add_hosts, container_spec

from spinney.clock import Ids, SystemClock
from spinney.domain.cluster import Cluster, ClusterStatus
from spinney.domain.node import Node, NodeStatus
from spinney.domain.profile import Profile
from spinney.store import migrate, tables
from spinney.store.database import Store
from spinney.store.rows import CLUSTERS, NODES, PROFILES

_WARM_UP = 0.3


@dataclass(frozen=True, slots=True)
class World:
    """What the requests name."""

    nodes: Sequence[str]
    clusters: Sequence[str]


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    method: str
    paths: Sequence[str]
    status: int
    body: bytes | None = None
    #: Milliseconds of CPU of the service per request.
    aim: float | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    rate: float
    p50: float  # ms
    p99: float  # ms
    cpu: float  # ms of the server per request
    size: int  # bytes


def fill(path: Path, clusters: int, size: int) -> World:
    """Rows as an engine leaves them behind when every cluster is ACTIVE."""
    ids, clock = Ids(), SystemClock()
    with Store(f"sqlite:///{path}", clock) as store:
        migrate.upgrade(store)
        now = clock.now()
        # The youngest of all, so that the first pages of nodes show containers.
        host_cluster = add_hosts(store, ids, 100, now + 1)
        hosts = store.run(lambda c: list(c.execute(tables.host.select()).mappings()))
        profile = Profile(
            id=ids.new(), name="web", type="container.dockerinc.docker-1.0", spec=container_spec(), metadata={},
            created_at=now, **OWNER,
        )  # fmt: skip
        store.run(PROFILES.insert, [profile])
        pin = {"profile_id": profile.id, "kind": "host_cluster", "target_id": host_cluster}
        store.run(lambda c: c.execute(tables.pin.insert(), pin))
        made, nodes = [], []
        for number in range(clusters):
            born = now - clusters + number  # the nodes of one cluster are born together, the clusters are not
            cluster = Cluster(
                id=ids.new(), name=f"c{number}", profile_id=profile.id, desired_capacity=size, next_index=size + 1,
                status=ClusterStatus.ACTIVE, status_reason="Creation succeeded.", init_at=born, created_at=now, **OWNER,
            )  # fmt: skip
            made.append(cluster)
            nodes += [_node(ids, cluster, i, hosts[i % len(hosts)]["node_id"], born) for i in range(1, size + 1)]
        store.run(CLUSTERS.insert, made)
        store.run(NODES.insert, nodes)
    return World([n.id for n in nodes], [c.id for c in made])


def _node(ids: Ids, cluster: Cluster, index: int, host_id: str, now: float) -> Node:
    address = {"network": "spinney-0a1b2c3d", "addr": f"10.201.{index % 250}.{index % 250 + 2}", "version": 4}
    return Node(
        id=ids.new(), name=f"node-{ids.token(8, 'abcdefgh')}", profile_id=cluster.profile_id, cluster_id=cluster.id,
        index=index, status=NodeStatus.ACTIVE, status_reason="Creation succeeded.", physical_id=ids.token(64, "0123abcd"),
        data={"addresses": [address]}, init_at=now, created_at=now, host_id=host_id, generation=1, placed_at=now,
        reserved_cpu=0.1, reserved_memory=2**26, **OWNER,
    )  # fmt: skip


def cases(world: World) -> list[Case]:
    body = json.dumps({"profile": {"name": "bench", "spec": container_spec(host_cluster=HOSTS)}}).encode()
    some = world.nodes[:: max(len(world.nodes) // 500, 1)]
    return [
        Case("get one node", "GET", [f"/v1/nodes/{i}" for i in some], 200, aim=0.5),
        Case("list 100 nodes", "GET", ["/v1/nodes?limit=100"], 200, aim=2.0),
        Case("list 1,000 nodes", "GET", ["/v1/nodes?limit=1000"], 200),
        Case("get a cluster of 1,000", "GET", [f"/v1/clusters/{i}" for i in world.clusters], 200, aim=3.0),
        Case("list 20 such clusters", "GET", ["/v1/clusters?name=" + "&name=".join(f"c{i}" for i in range(20))], 200),
        Case("create a profile", "POST", ["/v1/profiles"], 201, body, aim=1.0),
    ]


async def measure(target: Server, headers: dict[str, str], case: Case, concurrency: int, seconds: float) -> Measured:
    """Closed loop: each connection sends its next request when the last one is answered."""
    connections = [await Connection.open(target.url, headers) for _ in range(concurrency)]
    paths = itertools.cycle(case.paths)
    try:
        await _drive(connections, case, paths, _WARM_UP)
        before, began = cpu_seconds(target.pid), time.perf_counter()
        taken, size = await _drive(connections, case, paths, seconds)
        elapsed, cpu = time.perf_counter() - began, cpu_seconds(target.pid) - before
    finally:
        for connection in connections:
            connection.close()
    taken.sort()
    return Measured(
        len(taken) / elapsed,
        taken[len(taken) // 2] * 1000,
        taken[min(int(len(taken) * 0.99), len(taken) - 1)] * 1000,
        cpu / len(taken) * 1000,
        size,
    )


async def _drive(
    connections: Sequence[Connection], case: Case, paths: Iterator[str], seconds: float
) -> tuple[list[float], int]:
    """The seconds each request took, and how long an answer is."""
    taken: list[float] = []
    size = 0
    until = time.perf_counter() + seconds

    async def one(connection: Connection) -> None:
        nonlocal size
        while (begun := time.perf_counter()) < until:
            answer = await connection.call(case.method, next(paths), case.body)
            taken.append(time.perf_counter() - begun)
            if answer.status != case.status:
                raise RuntimeError(f"{case.name}: {answer.status}: {answer.body[:500]!r}")
            size = len(answer.body)

    await asyncio.gather(*(one(connection) for connection in connections))
    return taken, size


def alternate(
    targets: Sequence[tuple[Server, dict[str, str]]], case: Case, concurrency: int, seconds: float, rounds: int
) -> list[Measured]:
    """All in turn, and of each the round that cost least CPU: what else the machine does only ever adds to it."""
    seen: list[list[Measured]] = [[] for _ in targets]
    for _ in range(rounds):
        for found, (target, headers) in zip(seen, targets, strict=True):
            found.append(uvloop.run(measure(target, headers, case, concurrency, seconds / rounds)))
    return [min(found, key=lambda one: one.cpu) for found in seen]


def with_keystone(world: World, folder: Path, given: argparse.Namespace) -> tuple[Table, list[Aim]]:
    """What knowing callers by Keystone adds to requests, on a database that is there."""
    some = world.nodes[:: max(len(world.nodes) // 500, 1)]
    asked = [
        Case("list no policies", "GET", ["/v1/policies"], 200),
        Case("get one node", "GET", [f"/v1/nodes/{i}" for i in some], 200),
        Case("list 100 nodes", "GET", ["/v1/nodes?limit=100&global_project=true"], 200),
    ]
    rows: list[tuple[Any, ...]] = []
    aims = []
    with keystone_beside_none(folder) as targets:
        for case, concurrency in itertools.product(asked, given.concurrency):
            progress(f"{case.name}, {concurrency} at a time, without authentication and with Keystone")
            none, known = alternate(targets, case, concurrency, given.seconds, given.rounds)
            rows.append((case.name, concurrency, none.rate, known.rate, none.cpu, known.cpu, known.cpu / none.cpu))
            aims.append(Aim(f"{case.name}, {concurrency} at a time: CPU over none", known.cpu / none.cpu, 1.15))
    columns = ("request", "at a time", "none: requests/s", "Keystone", "none: CPU ms", "Keystone: CPU ms", "ratio")
    return Table("Known tokens of Keystone beside no authentication", columns, rows), aims


def floor_command(database: Path) -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("api_floor.py")), str(database)]


def check(database: Path, profiles_before: int) -> None:
    """The measured writes are really there."""
    with sqlite3.connect(database) as connection:
        found = connection.execute("SELECT count(*) FROM profile").fetchone()[0]
    connection.close()
    if found <= profiles_before:
        raise RuntimeError("creating profiles left no rows behind")


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="how long each case is measured (default: 3)")
    parser.add_argument("--rounds", type=int, default=3, help="of each case, in turn with the floor (default: 3)")
    parser.add_argument("--concurrency", type=numbers, default=[1, 8], help="connections at a time (default: 1,8)")
    parser.add_argument("--clusters", type=int, default=20)
    parser.add_argument("--size", type=int, default=1000, help="nodes per cluster (default: 1000)")
    parser.add_argument("--keystone", action="store_true", help="measure only what Keystone adds")
    given = parser.parse_args()
    with scratch() as folder:
        database = folder / "spinney.db"
        progress(f"filling a database with {given.clusters} clusters of {given.size} nodes")
        world = fill(database, given.clusters, given.size)
        if given.keystone:
            table, compared = with_keystone(world, folder, given)
            report(given.json, [table], compared)
            return
        rows: list[tuple[Any, ...]] = []
        aims: list[Aim] = []
        unlimited = folder / "unlimited.conf"
        unlimited.write_text(UNLIMITED)
        command = spinney("api", "--state-dir", str(folder), "--port", "0", "--config-file", str(unlimited))
        with server(command, READY) as ours, server(floor_command(database), r"floor ready: (\S+)") as floor:
            headers = basic(folder)
            for case, concurrency in itertools.product(cases(world), given.concurrency):
                progress(f"{case.name}, {concurrency} at a time")
                targets = [(ours, headers), (floor, headers)]
                seen, least = alternate(targets, case, concurrency, given.seconds, given.rounds)
                latency = (seen.size, seen.rate, seen.p50, seen.p99)
                rows.append((case.name, concurrency, *latency, seen.cpu, least.cpu, seen.cpu / least.cpu))
                if case.aim is not None and concurrency == given.concurrency[0]:
                    aims.append(Aim(f"{case.name}: ms of CPU", seen.cpu, case.aim))
            memory = peak_memory(ours.pid)
        check(database, 2)
    columns = ("request", "at a time", "bytes", "requests/s", "p50 ms", "p99 ms", "CPU ms", "floor CPU ms", "ratio")
    report(
        given.json,
        [
            Table("Requests: CPU is the server's, per request", columns, rows),
            Table("Memory", ("peak MiB of the service",), [(memory,)]),
        ],
        aims,
    )


if __name__ == "__main__":
    main()
