"""A small world: one database, simulated hosts, and engines that can be killed. All of it on a virtual clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from spinney.clock import Ids
from spinney.config import EngineSettings, HealthSettings, HostSettings, NetworkSettings, RetentionSettings
from spinney.domain import subnets
from spinney.domain.action import FINAL_STATUSES, Action, ActionKind, ActionStatus, Cause, action_name
from spinney.domain.cluster import Cluster
from spinney.domain.container import Container, ContainerState
from spinney.domain.host import Host, HostState
from spinney.domain.node import Node
from spinney.domain.profile import Profile
from spinney.drivers.simulated.engine import Hooks, SimulatedEngine
from spinney.drivers.simulated.host import SimulatedConnector
from spinney.drivers.simulated.values import EngineSettings as HostSize
from spinney.engine.catalog import Catalog
from spinney.engine.context import EngineContext
from spinney.engine.cycle import Rules
from spinney.engine.doorbell import LocalDoorbell
from spinney.engine.intent.clusters import ClusterRules
from spinney.engine.supervisor import Engine
from spinney.profiles.container_request import ContainerDefaults
from spinney.sealing import SecretKey, SecretKeys
from spinney.store import actions, hosts, placements, tables
from spinney.store.database import Store
from spinney.store.placements import Hold
from spinney.store.rows import ACTIONS, CLUSTERS, EVENTS, NODES, PROFILES
from virtual_time import VirtualClock

OWNER: dict[str, Any] = {"user": "u", "project": "p"}
DEPLOYMENT = "d0000000-0000-4000-8000-000000000000"
#: What secrets are sealed for in every such world.
KEYS = SecretKeys("the tests' key", [SecretKey("the tests' key", X25519PrivateKey.from_private_bytes(bytes(32)))])
HOSTS = "c0000000-0000-4000-8000-000000000000"  # the host cluster
FAST = HealthSettings(listing_interval=5.0, reap_after=4.0)
QUICK = EngineSettings(lease=4.0)
#: Asked at every step, so it is not put together anew each time.
_LIES = (
    "SELECT name, status, power, physical_id FROM node WHERE ready "
    "AND (status IN ('INIT', 'CREATING', 'DELETING', 'ERROR') OR power <> 'running' OR physical_id IS NULL)"
)


class World:
    def __init__(
        self,
        host_count: int = 2,
        *,
        cpu: float = 8.0,
        memory: int = 16 * 2**30,
        health: HealthSettings = FAST,
        settings: EngineSettings = QUICK,
        store: type[Store] = Store,
        seed: int = 1,
    ) -> None:
        self.clock = VirtualClock()
        self.ids = Ids(seed)
        self.store = store("sqlite://", self.clock, inline=True)
        self.hooks = Hooks()
        self.connector = SimulatedConnector(
            self.clock,
            lambda name: SimulatedEngine(HostSize(name, cpu=cpu, memory=memory), self.clock),
            hooks=self.hooks,
        )
        self.bell = LocalDoorbell()
        self.health = health
        self.settings = settings
        tables.metadata.create_all(self.store.engine)
        self.host_ids = [self._add_host(i, cpu, memory) for i in range(host_count)]

    def _add_host(self, number: int, cpu: float, memory: int) -> str:
        node = Node(id=self.ids.new(), name=f"h{number}", profile_id="-", cluster_id=HOSTS, init_at=0.0, **OWNER)
        row = Host(
            node_id=node.id,
            endpoint=f"sim://h{number}",
            name=node.name,
            cluster_id=HOSTS,
            project="p",
            state=HostState.READY,
            cpu=cpu,
            memory=memory,
        )
        self.store.run(lambda c: (NODES.insert(c, [node]), hosts.register(c, row)))
        return node.id

    # -- what a user does --------------------------------------------------------------------------------------------

    def profile(self, **properties: Any) -> str:
        spec = {
            "type": "container.dockerinc.docker",
            "version": "1.0",
            "properties": {"image": "busybox", "command": "sleep 1000000", "host_cluster": "hosts", **properties},
        }
        made = Profile(
            id=self.ids.new(), name="web", type="container.dockerinc.docker-1.0", spec=spec, metadata={}, domain=None,
            created_at=self.clock.now(), **OWNER,
        )  # fmt: skip
        pin = {"profile_id": made.id, "kind": "host_cluster", "target_id": HOSTS}
        self.store.run(lambda c: (PROFILES.insert(c, [made]), c.execute(tables.pin.insert(), pin)))
        return made.id

    def create(self, size: int, *, profile_id: str | None = None, **fields: Any) -> str:
        """A new cluster, its CLUSTER_CREATE queued; returns its id."""
        cluster = Cluster(
            id=self.ids.new(), name="web", profile_id=profile_id or self.profile(), desired_capacity=size,
            init_at=self.clock.now(), **{**OWNER, **fields},
        )  # fmt: skip
        self.store.run(lambda c: CLUSTERS.insert(c, [cluster]))
        self.submit(ActionKind.CLUSTER_CREATE, cluster.id)
        return cluster.id

    def submit(self, kind: ActionKind, target: str, inputs: Mapping[str, Any] | None = None, **fields: Any) -> str:
        cluster_id = target
        if not kind.on_cluster:
            node = self.node(target)
            cluster_id = node.cluster_id if node is not None else ""
        now = self.clock.now()
        action = Action(
            id=self.ids.new(), name=action_name(kind, target), target=target, action=kind, cause=Cause.REQUEST,
            status=ActionStatus.READY, status_reason="", cluster_id=cluster_id, ready_at=now, created_at=now,
            inputs=inputs or {}, **{**OWNER, **fields},
        )  # fmt: skip
        self.store.run(actions.submit, action)
        self.bell.ring()
        return action.id

    def cancel(self, action_id: str) -> None:
        self.store.run(actions.cancel, action_id)
        self.bell.ring()

    # -- what can be seen --------------------------------------------------------------------------------------------

    def action(self, action_id: str) -> Action:
        found = self.store.run(ACTIONS.one, tables.action.c.id == action_id)
        assert found is not None
        return found

    def actions(self) -> list[Action]:
        return self.store.run(ACTIONS.all)

    def cluster(self, cluster_id: str) -> Cluster | None:
        return self.store.run(CLUSTERS.one, tables.cluster.c.id == cluster_id)

    def node(self, node_id: str) -> Node | None:
        return self.store.run(NODES.one, tables.node.c.id == node_id)

    def members(self, cluster_id: str) -> list[Node]:
        found = self.store.run(NODES.all, tables.node.c.cluster_id == cluster_id)
        return sorted(found, key=lambda n: n.index)

    def events(self) -> Sequence[Any]:
        return self.store.run(EVENTS.all)

    def hosts(self) -> list[Host]:
        return self.store.run(hosts.find)

    def host_engine(self, number: int) -> SimulatedEngine:
        return self.connector.engine(f"h{number}")

    def containers(self) -> list[Container]:
        """Every container there is, on all hosts."""
        found: list[Container] = []
        for engine in self.connector.engines.values():
            found += engine.core.containers({}, self.clock.now())
        return found

    def running(self) -> list[Container]:
        return [c for c in self.containers() if c.state is ContainerState.RUNNING]

    def idle(self) -> bool:
        return all(a.status in FINAL_STATUSES for a in self.actions())

    def check_invariants(self) -> None:
        """Reservations are the sums of what is placed; every placement is within what is allocatable."""
        nodes = self.store.run(NODES.all)
        held = self.holds()
        for host in self.hosts():
            here = [(n.reserved_cpu, n.reserved_memory) for n in nodes if n.host_id == host.node_id]
            here += [(h.cpu, h.memory) for h in held if h.host_id == host.node_id]
            assert host.containers == len(here)
            assert abs(host.reserved_cpu - sum(cpu for cpu, _ in here)) < 1e-6
            assert host.reserved_memory == sum(memory for _, memory in here)
            assert host.reserved_cpu <= host.cpu + 1e-6

    def check_readiness(self) -> None:
        """Whoever is ready has a container that is meant to run, and nothing is known to be wrong with it."""
        lies = self.store.run(lambda c: c.exec_driver_sql(_LIES).all())
        assert not lies, lies

    def holds(self) -> list[Hold]:
        nodes = self.store.run(NODES.all)
        return list(self.store.run(placements.holds, [n.id for n in nodes]).values())

    # -- engines -----------------------------------------------------------------------------------------------------

    def context(self, **changes: Any) -> EngineContext:
        network = NetworkSettings()
        return replace(
            EngineContext(
                store=self.store,
                clock=self.clock,
                ids=self.ids,
                connector=self.connector,
                doorbell=self.bell,
                rules=Rules(Catalog(ContainerDefaults()), ClusterRules(1000), subnets.count(network)),
                deployment=DEPLOYMENT,
                hostname="here",
                keys=KEYS,
                settings=self.settings,
                health=self.health,
                retention=RetentionSettings(),
                network=network,
                # Most stories are about other containers. Those about it say so.
                hosts=HostSettings(helper="none"),
            ),
            **changes,
        )

    @asynccontextmanager
    async def engine(self, **changes: Any) -> AsyncIterator[Engine]:
        engine = Engine(self.context(**changes))
        task = asyncio.create_task(engine.run())
        try:
            yield engine
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, condition: Callable[[], bool], seconds: float = 120.0) -> None:
        began = self.clock.monotonic()
        while not condition():
            waited = self.clock.monotonic() - began
            assert waited < seconds, f"not within {seconds} virtual seconds: {self.describe()}"
            self.check_readiness()
            await self.clock.sleep(0.05 if waited < 5 else 0.5)

    async def settle(self, seconds: float = 120.0) -> None:
        """Until every action is final."""
        await self.until(self.idle, seconds)

    def describe(self) -> str:
        lines = [f"{a.action} {a.status} {a.status_reason}" for a in self.actions() if not a.final]
        lines += [f"{n.name} {n.status} {n.status_reason}" for n in self.store.run(NODES.all) if n.cluster_id != HOSTS]
        return "\n".join(lines[:40])
