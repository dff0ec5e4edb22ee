"""How much one tenant slows another: answers of the API and time to ACTIVE, alone and beside a tenant that asks for all it can.

The service is one process (API, engine, SQLite) over simulated hosts whose every call takes a moment, with the limits as
delivered. The tenant ``quiet`` asks now and then; ``loud``, in a process of its own, does one of:

* api: sends reads and creations as fast as it gets answers, over many connections, whatever they say;
* queue: has thousands of containers made and deleted by its clusters on the same hosts;
* both.

Alone and beside are measured in turns of one run, and compared by their medians.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import itertools
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import bcrypt
import uvloop
import yaml
from common import READY, Aim, Connection, Table, options, progress, report, scratch, server
from simulated_service import CPU, MEMORY, add_hosts, container_spec

from spinney import standalone, wiring
from spinney.clock import Clock, Ids, SystemClock
from spinney.config import ApiSettings, AuthSettings, NetworkSettings, QuotaSettings, Settings
from spinney.drivers.simulated.engine import SimulatedEngine
from spinney.drivers.simulated.faults import FaultPlan, parse_faults
from spinney.drivers.simulated.host import SimulatedConnector
from spinney.drivers.simulated.values import EngineSettings
from spinney.store import shares

TENANTS = ("quiet", "loud")
VERSIONS = "clustering 1.14, spinney 1.0"
#: Seconds.
_PAUSE, _LOOK, _PATIENCE = 0.02, 0.01, 60.0
#: Addresses for all containers of a tenant on a few hosts.
_WIDE = NetworkSettings(pool="10.128.0.0/9", prefix=19)
#: What a Docker engine takes that makes six containers at a time.
_BUSY = "create:latency=0.2-0.3,start:latency=0.4-0.6,*:latency=0.005-0.015"
#: Members of each of the loud tenant's clusters.
_MEMBERS = 1000


# -- the service -----------------------------------------------------------------------------------------------------


def serve(state_dir: Path, hosts: int, faults: str) -> None:
    standalone.prepare_state_dir(state_dir)
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
    (state_dir / "htpasswd").write_text("".join(f"{name}:{hashed}\n" for name in TENANTS))
    people = {name: {"project": name, "roles": ["member"]} for name in TENANTS}
    (state_dir / "users.yaml").write_text(yaml.safe_dump(people))
    auth = AuthSettings(htpasswd_file=str(state_dir / "htpasswd"), users_file=str(state_dir / "users.yaml"))
    api = replace(ApiSettings(), port=0, max_nodes_per_cluster=_MEMBERS)
    settings = Settings(state_dir=state_dir, api=api, auth=auth, quota=QuotaSettings(clusters=-1), network=_WIDE)
    with wiring.open_store(settings, SystemClock()) as store:
        cluster = add_hosts(store, Ids(), hosts, store.clock.now())
        store.run(shares.add, cluster, "*", store.clock.now())

    def connector(_settings: Settings, _store: object, clock: Clock) -> SimulatedConnector:
        def engine(name: str) -> SimulatedEngine:
            plan = FaultPlan(parse_faults(faults), random.Random(name))
            return SimulatedEngine(EngineSettings(name, cpu=CPU, memory=MEMORY), clock, plan=plan)

        return SimulatedConnector(clock, engine)

    with patch.object(wiring, "make_connector", connector):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(wiring.run_standalone(settings, None, lambda line: print(line, flush=True)))


# -- the tenants -----------------------------------------------------------------------------------------------------


def headers(tenant: str) -> dict[str, str]:
    pair = base64.b64encode(f"{tenant}:secret".encode()).decode()
    return {"Authorization": f"Basic {pair}", "OpenStack-API-Version": VERSIONS}


async def make_profile(connection: Connection, host_cluster: str) -> str:
    body = {"profile": {"name": "web", "spec": container_spec(host_cluster=host_cluster)}}
    return str((await connection.expect(201, "POST", "/v1/profiles", body))["profile"]["id"])


async def host_cluster(connection: Connection) -> str:
    found = await connection.expect(200, "GET", "/v1/shared-clusters")
    return str(next(iter(found.values()))[0]["id"])


async def loud(url: str, kind: str, connections: int) -> None:
    """Until it is killed."""
    first = await Connection.open(url, headers("loud"))
    profile = await make_profile(first, await host_cluster(first))
    work = []
    if kind in ("api", "both"):
        work += [hammer(url, profile, index) for index in range(connections)]
    if kind in ("queue", "both"):
        work += [churn(url, profile, index) for index in range(10)]
    await asyncio.gather(*work)


async def hammer(url: str, profile: str, index: int) -> None:
    connection = await Connection.open(url, headers("loud"))
    body = json.dumps({"cluster": {"name": "flood", "profile_id": profile}}).encode()
    for number in itertools.count():
        if (number + index) % 4:
            await connection.call("GET", "/v1/clusters?limit=50")
        else:
            await connection.call("POST", "/v1/clusters", body)


async def churn(url: str, profile: str, index: int) -> None:
    """A cluster that is filled and emptied for ever; what is refused is asked for again."""
    connection = await Connection.open(url, headers("loud"))
    made = {"cluster": {"name": f"churn-{index}", "profile_id": profile}}
    cluster = (await until(connection, "POST", "/v1/clusters", made))["cluster"]["id"]
    for size in itertools.cycle((_MEMBERS, 0)):
        resize = {"resize": {"adjustment_type": "EXACT_CAPACITY", "number": size, "strict": False}}
        action = (await until(connection, "POST", f"/v1/clusters/{cluster}/actions", resize))["action"]
        path = f"/v1/actions/{action}"
        await until(connection, "GET", path, done=lambda seen: seen["action"]["status"] in ("SUCCEEDED", "FAILED"))


async def until(
    connection: Connection,
    method: str,
    path: str,
    body: Any = None,
    done: Callable[[Any], bool] = lambda _: True,
    pause: float = 0.3,
) -> Any:
    """Ask until it is granted, and what is shown is as wanted."""
    sent = None if body is None else json.dumps(body).encode()
    for number in itertools.count():
        if number:
            await asyncio.sleep(pause)
        answer = await connection.call(method, path, sent)
        if answer.status < 400 and done(answer.json()):
            return answer.json()
    raise AssertionError("unreachable")


class Quiet:
    """The tenant who is measured."""

    def __init__(self, connection: Connection, profile: str) -> None:
        self._connection, self._profile = connection, profile
        self.api: dict[bool, list[float]] = {False: [], True: []}
        self.active: dict[bool, list[float]] = {False: [], True: []}

    async def measure(self, beside: bool, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.active[beside].append(await self._until_active())
            for _ in range(25):
                await asyncio.sleep(_PAUSE)
                self.api[beside].append(await self._timed("GET", "/v1/clusters?limit=50"))

    async def _timed(self, method: str, path: str, body: bytes | None = None) -> float:
        begun = time.perf_counter()
        answer = await self._connection.call(method, path, body)
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
        return (time.perf_counter() - begun) * 1000

    async def _until_active(self) -> float:
        """Milliseconds from asking for a container to its being seen ACTIVE."""
        begun = time.perf_counter()
        asked = {"node": {"name": "quiet", "profile_id": self._profile}}
        node = (await self._connection.expect(202, "POST", "/v1/nodes", asked))["node"]["id"]
        async with asyncio.timeout(_PATIENCE):
            await until(self._connection, "GET", f"/v1/nodes/{node}", done=_is_active, pause=_LOOK)
        took = (time.perf_counter() - begun) * 1000
        await self._connection.expect(202, "DELETE", f"/v1/nodes/{node}")
        return took


def _is_active(seen: Any) -> bool:
    if seen["node"]["status"] == "ERROR":
        raise RuntimeError(f"the node came to nothing: {seen['node']['status_reason']}")
    return bool(seen["node"]["status"] == "ACTIVE")


@contextmanager
def noise(url: str, kind: str, connections: int) -> Iterator[None]:
    command = [sys.executable, __file__, "--as-loud", url, "--kind", kind, "--connections", str(connections)]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        yield
    finally:
        process.kill()
        process.wait()


async def compare(url: str, kind: str, given: argparse.Namespace) -> Quiet:
    connection = await Connection.open(url, headers("quiet"))
    quiet = Quiet(connection, await make_profile(connection, await host_cluster(connection)))
    await quiet.measure(False, given.seconds / 4)
    quiet.api[False].clear()
    quiet.active[False].clear()
    for number in range(given.rounds):
        await quiet.measure(False, given.seconds)
        with noise(url, kind, given.connections):
            await asyncio.sleep(given.settle)
            await quiet.measure(True, given.seconds)
        progress(f"{kind}: round {number + 1} of {given.rounds}")
        await asyncio.sleep(given.settle)
    connection.close()
    return quiet


def summary(kind: str, what: str, seen: dict[bool, list[float]]) -> tuple[Any, ...]:
    alone, beside = (statistics.median(seen[beside]) for beside in (False, True))
    tails = (statistics.quantiles(seen[beside], n=20)[-1] for beside in (False, True))
    return (kind, what, alone, beside, beside / alone, *tails, len(seen[True]))


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--kinds", default="api,queue,both", help="what the loud tenant does")
    parser.add_argument("--hosts", type=int, default=8)
    parser.add_argument("--faults", default=_BUSY, help="what befalls calls to simulated hosts")
    parser.add_argument("--connections", type=int, default=100, help="of the loud tenant to the API")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8, help="of measuring in each half of a round")
    parser.add_argument("--settle", type=float, default=4, help="seconds before measuring beside, and after")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--as-loud", help=argparse.SUPPRESS)
    parser.add_argument("--kind", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve(given.serve, given.hosts, given.faults)
        return
    if given.as_loud:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            uvloop.run(loud(given.as_loud, given.kind, given.connections))
        return
    rows, aims = [], []
    for kind in given.kinds.split(","):
        with scratch() as folder:
            more = ["--hosts", str(given.hosts), "--faults", given.faults]
            with server([sys.executable, __file__, "--serve", str(folder), *more], READY) as running:
                quiet = uvloop.run(compare(running.url, kind, given))
        for what, seen in (("GET", quiet.api), ("ACTIVE", quiet.active)):
            row = summary(kind, what, seen)
            rows.append(row)
            aims.append(Aim(f"{what} beside '{kind}', times as long as alone", row[4], 1.2))
    columns = ("loud tenant", "quiet tenant", "alone ms", "beside ms", "ratio", "alone p95", "beside p95", "samples")
    report(given.json, [Table("A quiet tenant beside a loud one", columns, rows)], aims)


if __name__ == "__main__":
    main()
