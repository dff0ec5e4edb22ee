"""The engine over simulated hosts in this process: one cluster made and removed, its cost as one line of JSON.

Run by ``control_plane.py``, a fresh process for each size, so that peak memory belongs to that size alone. The store works as
in production: a SQLite file, a writer thread, readers, every commit synced. Small sizes are repeated and averaged.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import uvloop
from common import peak_memory, scratch
from simulated_service import OWNER, add_hosts, connector, container_spec, settings

from spinney import standalone, wiring
from spinney.clock import Ids, SystemClock
from spinney.domain.action import Action, ActionKind, ActionStatus, Cause, action_name
from spinney.domain.cluster import Cluster
from spinney.domain.profile import Profile
from spinney.engine.doorbell import LocalDoorbell
from spinney.engine.supervisor import Engine
from spinney.store import actions, tables
from spinney.store.database import Store
from spinney.store.rows import CLUSTERS, PROFILES

_LOOK = 0.01
_LEAST = 2000
_PATIENCE = 60.0


class Statements:
    """Counts statement executions; one with many parameter sets counts once."""

    def __init__(self, store: Store) -> None:
        self.count = 0
        self.texts: Counter[str] = Counter()
        sa.event.listen(store.engine, "before_cursor_execute", self._seen)

    def _seen(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        self.count += 1
        self.texts[" ".join(statement.split())[:160]] += 1


class Inside:
    def __init__(self, folder: Path, hosts: int, max_nodes: int) -> None:
        self.clock, self.ids = SystemClock(), Ids()
        chosen = settings(folder, max_nodes)
        self.store = wiring.open_store(chosen, self.clock)
        host_cluster = add_hosts(self.store, self.ids, hosts, self.clock.now())
        self.profile = self._profile(host_cluster)
        self.bell = LocalDoorbell()
        self.statements = Statements(self.store)
        self.context = wiring.engine_context(chosen, self.store, connector(self.clock), self.bell, self.clock, self.ids)
        # Beside the store, so that looking is in none of its counts.
        self._eyes = sqlite3.connect(folder / "spinney.db", isolation_level=None)

    def _profile(self, host_cluster: str) -> str:
        made = Profile(
            id=self.ids.new(), name="web", type="container.dockerinc.docker-1.0", spec=container_spec(), metadata={},
            created_at=self.clock.now(), **OWNER,
        )  # fmt: skip
        pin = {"profile_id": made.id, "kind": "host_cluster", "target_id": host_cluster}
        self.store.run(PROFILES.insert, [made])
        self.store.run(lambda c: c.execute(tables.pin.insert(), pin))
        return made.id

    async def create(self, size: int) -> str:
        """A cluster, waited for until it is ACTIVE."""
        cluster = Cluster(
            id=self.ids.new(), name="web", profile_id=self.profile, desired_capacity=size, next_index=1,
            init_at=self.clock.now(), **OWNER,
        )  # fmt: skip
        await self.store.transact(lambda c: CLUSTERS.insert(c, [cluster]))
        await self._submit(ActionKind.CLUSTER_CREATE, cluster.id)
        await self._until(lambda: self._status(cluster.id) == "ACTIVE", cluster.id)
        return cluster.id

    async def remove(self, cluster_id: str) -> None:
        await self._submit(ActionKind.CLUSTER_DELETE, cluster_id)
        await self._until(lambda: self._status(cluster_id) is None, cluster_id)

    async def _submit(self, kind: ActionKind, target: str) -> None:
        now = self.clock.now()
        action = Action(
            id=self.ids.new(), name=action_name(kind, target), target=target, action=kind, cause=Cause.REQUEST,
            status=ActionStatus.READY, status_reason="", cluster_id=target, ready_at=now, created_at=now, **OWNER,
        )  # fmt: skip
        await self.store.transact(actions.submit, action)
        self.bell.ring()

    def _status(self, cluster_id: str) -> str | None:
        found = self._eyes.execute("SELECT status FROM cluster WHERE id = ?", (cluster_id,)).fetchone()
        return None if found is None else str(found[0])

    async def _until(self, done: Callable[[], bool], cluster_id: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError(f"cluster {cluster_id} is {self._status(cluster_id)} after {_PATIENCE:g} s")
            await asyncio.sleep(_LOOK)

    def close(self) -> None:
        self._eyes.close()
        self.store.close()


class Stretch:
    """What a stretch of work took of this process."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements
        self.seconds = self.cpu = 0.0
        self.count = 0

    def __enter__(self) -> None:
        self._began = time.perf_counter(), time.process_time(), self._statements.count

    def __exit__(self, *_: object) -> None:
        began, cpu, count = self._began
        self.seconds += time.perf_counter() - began
        self.cpu += time.process_time() - cpu
        self.count += self._statements.count - count

    def per_node(self, nodes: int) -> dict[str, float]:
        return {
            "seconds": self.seconds,
            "nodes_per_second": nodes / self.seconds,
            "cpu_ms": self.cpu / nodes * 1000,
            "statements": self.count / nodes,
        }


async def run(size: int, hosts: int, profile: Path | None, tell: bool) -> dict[str, Any]:
    with scratch() as folder:
        standalone.prepare_state_dir(folder)
        inside = Inside(folder, hosts, max(size, 100))
        wiring.settle_memory()  # as every server process does
        task = asyncio.create_task(Engine(inside.context).run())
        try:
            # Every host is known, watched, and has its network and image, before anything is measured.
            await inside.create(max(hosts, 20))
            inside.statements.texts.clear()
            before = peak_memory()
            repeats = max(_LEAST // size, 1)
            memory = 0.0
            making, ending = Stretch(inside.statements), Stretch(inside.statements)
            profiler = cProfile.Profile(time.thread_time) if profile else None
            if profiler:
                profiler.enable()
            for _ in range(repeats):
                with making:
                    made = await inside.create(size)
                memory = peak_memory()
                with ending:
                    await inside.remove(made)
            if profiler and profile:
                profiler.disable()
                profiler.dump_stats(profile)
            nodes = size * repeats
            figures = {
                "nodes": size,
                "repeats": repeats,
                "create": making.per_node(nodes),
                "remove": ending.per_node(nodes),
                "memory_before": before,
                "memory": memory,
                "memory_after": peak_memory(),
            }
            if tell:
                figures["statements"] = dict(inside.statements.texts.most_common(40))
            return figures
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            inside.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--profile", type=Path, help="write a cProfile of the event loop's thread (CPU time) there")
    parser.add_argument("--statements", action="store_true", help="tell which statements were executed how often")
    given = parser.parse_args()
    print(json.dumps(uvloop.run(run(given.size, given.hosts, given.profile, given.statements))))


if __name__ == "__main__":
    main()
