"""Placement as the engine does it: hosts read from the database, a batch placed, its reasons stored, in one transaction.

``scheduler.py`` measures the decision alone, on a fleet that lives on; here every host is judged anew for each batch, as each
claim does. *Decide* is the share of the time that the decision takes; the rest is the database's.
"""

from __future__ import annotations

import time

from common import Table, numbers, options, progress, report, scratch
from sqlalchemy import Connection

from spinney.clock import Ids, SystemClock
from spinney.domain.host import Host, HostState
from spinney.domain.node import Node
from spinney.domain.placement.model import PlacementRequest
from spinney.engine.placing.asking import load_fleet, store_decisions
from spinney.store import hosts, migrate
from spinney.store.database import Store
from spinney.store.rows import NODES

GIB = 2**30
BATCH = 300
CLUSTER = "c" * 36


def fill(connection: Connection, count: int, ids: Ids) -> None:
    made = [
        Node(id=ids.new(), name=f"h{number:05}", profile_id="-", cluster_id=CLUSTER, user="u", project="p")
        for number in range(count)
    ]
    NODES.insert(connection, made)
    for number, node in enumerate(made):
        host = Host(
            node_id=node.id,
            endpoint=f"tcp://host-{number}:2376",
            name=node.name,
            cluster_id=CLUSTER,
            project="p",
            state=HostState.READY,
            zone="abc"[number % 3],
            labels={"rack": str(number % 40)},
            facts={"version": "20.10.24", "api_version": "1.41", "runtimes": ["runc"], "volume_plugins": ["local"]},
            cpu=32.0,
            memory=64 * GIB,
        )
        hosts.register(connection, host)


def batch(kinds: int, ids: Ids) -> list[PlacementRequest]:
    return [
        PlacementRequest(
            ids.new(),
            0.1 * (1 + number % kinds),
            GIB // 16,
            host_cluster=CLUSTER,
            workload=f"w{number % kinds}",
            profile_id=f"p{number % kinds}",
            project="p",
            networked=True,
        )
        for number in range(BATCH)
    ]


def place(connection: Connection, requests: list[PlacementRequest], ids: Ids) -> tuple[float, float]:
    """Seconds in all, and of them for the decision."""
    begun = time.perf_counter()
    fleet = load_fleet(connection, requests, 255, 1.0)
    loaded = time.perf_counter()
    answers = fleet.place(requests)
    decided = time.perf_counter()
    store_decisions(connection, answers, ids, 1.0)
    return time.perf_counter() - begun, decided - loaded


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--hosts", type=numbers, default=[4, 100, 1000, 5000], help="numbers of hosts")
    parser.add_argument("--kinds", type=numbers, default=[1, 3, 15], help="numbers of kinds of container in a batch")
    parser.add_argument("--rounds", type=int, default=6, help="batches each, of which the best counts")
    given = parser.parse_args()
    ids = Ids(1)
    rows: list[tuple[object, ...]] = []
    for count in given.hosts:
        progress(f"{count} hosts")
        with scratch() as folder, Store(f"sqlite:///{folder}/bench.db", SystemClock()) as store:
            migrate.upgrade(store)
            store.run(fill, count, ids)
            for kinds in given.kinds:
                best, deciding = min(store.run(place, batch(kinds, ids), ids) for _ in range(given.rounds))
                rows.append((count, kinds, best * 1000, f"{deciding / best:.0%}", round(BATCH / best)))
    header = ("hosts", "kinds", "ms a batch", "decide", "placements/s")
    report(given.json, [Table(f"batches of {BATCH} through SQLite, best of {given.rounds}", header, rows)], [])


if __name__ == "__main__":
    main()
