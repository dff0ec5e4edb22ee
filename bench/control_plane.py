"""What the control plane costs by itself: clusters of up to 10,000 nodes over 100 simulated hosts.

In process: engine and store as in production (a SQLite file, threads, uvloop) in one fresh process per size; time from
submitting to ACTIVE, CPU of the whole process (simulated hosts included), statement executions, peak memory; and the same for
removal. Through HTTP: the standalone service as a process of its own over simulated hosts, this process its only client, who
asks for the action every 50 ms. The floor is a bare loop over the same kinds of rows on sqlite3, in the same run.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Sequence
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
)
from simulated_service import container_spec

_HERE = Path(__file__).parent
_POLL = 0.05
_PATIENCE = 300.0
_LIMIT = 400.0
_SMALLEST, _LARGEST, _MEMORY_AT = 100, 5000, 10000


def child(script: str, *arguments: str) -> Any:
    """The JSON that a script of this folder prints."""
    done = subprocess.run(
        [sys.executable, str(_HERE / script), *arguments], check=True, stdout=subprocess.PIPE, timeout=_LIMIT
    )
    return json.loads(done.stdout)


def inside(size: int, hosts: int, rounds: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """Ours and the floor in turn; of each the round that cost least CPU: what else the machine does only adds to it."""
    ours, floors = [], []
    for _ in range(rounds):
        ours.append(child("control_plane_inside.py", "--size", str(size), "--hosts", str(hosts)))
        floors.append(child("control_plane_floor.py", "--size", str(size)))
    return min(ours, key=lambda one: one["create"]["cpu_ms"]), min(floors, key=lambda one: one["cpu_ms"])


# -- through HTTP ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Through:
    size: int
    create: float  # seconds
    create_cpu: float  # seconds of the service
    remove: float
    remove_cpu: float
    memory: float  # MiB


async def through_http(target: Server, headers: dict[str, str], sizes: Sequence[int], hosts: int) -> list[Through]:
    connection = await Connection.open(target.url, headers)
    spec = {"profile": {"name": "web", "spec": container_spec()}}
    profile = (await connection.expect(201, "POST", "/v1/profiles", spec))["profile"]["id"]
    await _create(connection, profile, hosts)  # every host is known and has its network before anything is measured
    found = []
    for size in sizes:
        began, cpu = time.perf_counter(), cpu_seconds(target.pid)
        cluster = await _create(connection, profile, size)
        made, made_cpu = time.perf_counter(), cpu_seconds(target.pid)
        await _follow(connection, await connection.call("DELETE", f"/v1/clusters/{cluster}"))
        gone, gone_cpu = time.perf_counter(), cpu_seconds(target.pid)
        found.append(
            Through(size, made - began, made_cpu - cpu, gone - made, gone_cpu - made_cpu, peak_memory(target.pid))
        )
    connection.close()
    return found


async def _create(connection: Connection, profile: str, size: int) -> str:
    body = {"cluster": {"name": "web", "profile_id": profile, "desired_capacity": size}}
    answer = await connection.call("POST", "/v1/clusters", json.dumps(body).encode())
    await _follow(connection, answer)
    cluster: str = answer.json()["cluster"]["id"]
    shown = (await connection.expect(200, "GET", f"/v1/clusters/{cluster}"))["cluster"]
    if shown["status"] != "ACTIVE" or len(shown["nodes"]) != size:
        raise RuntimeError(
            f"the cluster is {shown['status']} with {len(shown['nodes'])} nodes: {shown['status_reason']}"
        )
    return cluster


async def _follow(connection: Connection, answer: Any) -> None:
    """Ask for the action that an answer names until it is final."""
    if answer.status != 202:
        raise RuntimeError(f"{answer.status}: {answer.body[:500]!r}")
    where = answer.headers[b"location"].decode()
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        action = (await connection.expect(200, "GET", where))["action"]
        if action["status"] == "SUCCEEDED":
            return
        if action["status"] in ("FAILED", "CANCELLED"):
            raise RuntimeError(f"{action['action']} {action['status']}: {action['status_reason']}")
        await asyncio.sleep(_POLL)
    raise TimeoutError(f"{where} was not final after {_PATIENCE:g} s")


def serve(sizes: Sequence[int], hosts: int) -> list[Through]:
    with scratch() as folder:
        most = str(max(*sizes, hosts))
        command = [sys.executable, str(_HERE / "simulated_service.py"), "--state-dir", str(folder)]
        with server([*command, "--hosts", str(hosts), "--max-nodes", most], READY) as target:
            return uvloop.run(through_http(target, basic(folder), sizes, hosts))


# -- results ---------------------------------------------------------------------------------------------------------


def inside_tables(found: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> list[Table]:
    columns = ("nodes", "seconds", "nodes/s", "CPU ms/node", "statements/node", "peak MiB", "floor CPU ms", "ratio")
    create, remove = [], []
    for ours, floor in found:
        made, gone, nodes, repeats = ours["create"], ours["remove"], ours["nodes"], ours["repeats"]
        create.append(
            (
                *(nodes, made["seconds"] / repeats, made["nodes_per_second"], made["cpu_ms"], made["statements"]),
                *(ours["memory"], floor["cpu_ms"], made["cpu_ms"] / floor["cpu_ms"]),
            )
        )
        remove.append((nodes, gone["seconds"] / repeats, gone["nodes_per_second"], gone["cpu_ms"], gone["statements"]))
    return [
        Table("In process: submitted to ACTIVE", columns, create),
        Table("In process: deletion submitted to gone", columns[:5], remove),
    ]


def http_table(found: Sequence[Through]) -> Table:
    columns = ("nodes", "POST to ACTIVE s", "nodes/s", "CPU ms/node", "DELETE to gone s", "CPU ms/node ", "peak MiB")
    rows = [
        (t.size, t.create, t.size / t.create, t.create_cpu / t.size * 1000, t.remove, t.remove_cpu / t.size * 1000, t.memory)
        for t in found
    ]  # fmt: skip
    return Table("Through HTTP: the service's own figures", columns, rows)


def aims(found: Sequence[tuple[dict[str, Any], dict[str, Any]]], http: Sequence[Through]) -> list[Aim]:
    by_size = {ours["nodes"]: ours for ours, _ in found}
    seen: list[Aim] = []
    for size in (s for s in (1000, _LARGEST) if s in by_size):
        made = by_size[size]["create"]
        seen += [
            Aim(f"in process, {size} nodes: nodes/s", made["nodes_per_second"], 2000, least=True),
            Aim(f"in process, {size} nodes: CPU ms per node", made["cpu_ms"], 0.4),
            Aim(f"in process, {size} nodes: statements per node", made["statements"], 1),
        ]
    if _SMALLEST in by_size and _LARGEST in by_size:
        growth = by_size[_LARGEST]["create"]["cpu_ms"] / by_size[_SMALLEST]["create"]["cpu_ms"]
        seen.append(Aim(f"CPU per node at {_LARGEST} over that at {_SMALLEST}", growth, 1.2))
    if _MEMORY_AT in by_size:
        seen.append(Aim(f"peak MiB at {_MEMORY_AT} nodes", by_size[_MEMORY_AT]["memory"], 150))
    seen += [Aim(f"through HTTP, {t.size} nodes: nodes/s", t.size / t.create, 800, least=True) for t in http]
    return seen


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--sizes", type=numbers, default=[100, 1000, 5000, 10000], help="in process")
    parser.add_argument("--http-sizes", type=numbers, default=[1000, 5000])
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=2, help="of each size in process (default: 2)")
    given = parser.parse_args()
    found = []
    for size in given.sizes:
        progress(f"in process, {size} nodes")
        found.append(inside(size, given.hosts, given.rounds))
    progress("through HTTP")
    http = serve(given.http_sizes, given.hosts)
    report(given.json, [*inside_tables(found), http_table(http)], aims(found, http))


if __name__ == "__main__":
    main()
