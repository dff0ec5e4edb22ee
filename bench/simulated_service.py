"""``spinney standalone`` over simulated hosts, as a process of its own: everything but the Docker engines is the real thing.

Guaranteed: the process is wired by ``spinney.wiring`` as in production; only the connector to hosts is another. Hosts are
ready when it starts, in a host cluster named ``hosts``.
"""

from __future__ import annotations

import argparse
import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import uvloop

from spinney import standalone, wiring
from spinney.clock import Clock, Ids, SystemClock
from spinney.config import ApiSettings, LimitSettings, Settings
from spinney.domain.cluster import Cluster, ClusterStatus
from spinney.domain.host import Host, HostState
from spinney.domain.node import Node, NodeStatus
from spinney.domain.profile import Profile
from spinney.drivers.simulated.engine import SimulatedEngine
from spinney.drivers.simulated.host import SimulatedConnector
from spinney.drivers.simulated.values import GIB, EngineSettings
from spinney.store import hosts
from spinney.store.database import Store
from spinney.store.rows import CLUSTERS, NODES, PROFILES

OWNER: dict[str, Any] = {"user": standalone.USER, "project": standalone.PROJECT, "domain": None}
HOSTS = "hosts"
CPU, MEMORY = 64.0, 256 * GIB
IMAGE = "busybox"


def container_spec(**properties: Any) -> dict[str, Any]:
    """A container profile that fits often; its image is on every simulated host."""
    given = {"image": IMAGE, "command": "sleep 1000000", "host_cluster": HOSTS, **properties}
    return {"type": "container.dockerinc.docker", "version": "1.0", "properties": given}


def settings(state_dir: Path, max_nodes: int) -> Settings:
    api = replace(ApiSettings(), port=0, max_nodes_per_cluster=max_nodes)
    # One client would soon be told to wait; that is not what is measured.
    return Settings(state_dir=state_dir, api=api, limits=LimitSettings(rate=0, shared_rate=0, concurrent=0))


def connector(clock: Clock) -> SimulatedConnector:
    return SimulatedConnector(clock, lambda name: SimulatedEngine(EngineSettings(name, cpu=CPU, memory=MEMORY), clock))


def add_hosts(store: Store, ids: Ids, count: int, now: float) -> str:
    """A host cluster whose members joined at ``now``; its id."""
    spec = {"type": "host.docker", "version": "1.0", "properties": {"endpoint": "sim://h0"}}
    profile = Profile(id=ids.new(), name=HOSTS, type="host.docker-1.0", spec=spec, metadata={}, created_at=now, **OWNER)
    cluster = Cluster(
        id=ids.new(), name=HOSTS, profile_id=profile.id, desired_capacity=count, status=ClusterStatus.ACTIVE,
        init_at=now, created_at=now, next_index=count + 1, **OWNER,
    )  # fmt: skip
    nodes = [
        Node(
            id=ids.new(), name=f"h{i}", profile_id=profile.id, cluster_id=cluster.id, index=i + 1,
            status=NodeStatus.ACTIVE, init_at=now, created_at=now, physical_id=f"h{i}", **OWNER,
        )
        for i in range(count)
    ]  # fmt: skip
    rows = [
        Host(
            node_id=n.id, endpoint=f"sim://{n.name}", name=n.name, cluster_id=cluster.id, project=standalone.PROJECT,
            state=HostState.READY, cpu=CPU, memory=MEMORY,
        )
        for n in nodes
    ]  # fmt: skip
    store.run(PROFILES.insert, [profile])
    store.run(CLUSTERS.insert, [cluster])
    store.run(NODES.insert, nodes)
    for row in rows:
        store.run(hosts.register, row)
    return cluster.id


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--max-nodes", type=int, default=10000)
    given = parser.parse_args()
    standalone.prepare_state_dir(given.state_dir)
    chosen = settings(given.state_dir, given.max_nodes)
    with wiring.open_store(chosen, SystemClock()) as store:
        add_hosts(store, Ids(), given.hosts, store.clock.now())
    with patch.object(wiring, "make_connector", lambda _settings, _store, clock: connector(clock)):
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(wiring.run_standalone(chosen, None, lambda line: print(line, flush=True)))


if __name__ == "__main__":
    main()
