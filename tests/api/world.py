"""A database, an API on it without an engine, and ways to put things into it that an engine would have made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import orjson
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from api.client import PASSWORD, Client, basic
from spinney.api.app import Api, build_app
from spinney.api.auth import Request
from spinney.api.routes import ROUTES
from spinney.api.wire import Deps, Route
from spinney.clock import Ids
from spinney.config import ApiSettings, WebhookSettings
from spinney.domain.action import Action
from spinney.domain.cluster import Cluster, ClusterStatus
from spinney.domain.container import Address, Container, ContainerState, ContainerStats, HostFacts, LogChunk, LogQuery
from spinney.domain.host import Host, HostState
from spinney.domain.identity import Caller, Owner
from spinney.domain.node import Node, NodeStatus
from spinney.domain.policy import Policy
from spinney.domain.profile import Profile
from spinney.domain.receiver import Receiver
from spinney.domain.runs import Run, RunRules, first_data
from spinney.domain.secret import Secret, SecretType
from spinney.domain.terminal import ExecRequest
from spinney.drivers.base import CommandRunner, ExecSession, HostAddress
from spinney.engine.intent.clusters import ClusterRules
from spinney.engine.intent.planning import Planner
from spinney.errors import HostError, HostUnreachable, Unauthorized
from spinney.keyring import read_ring
from spinney.policies.attaching import Attached
from spinney.policies.registry import validate_spec
from spinney.profiles.allowances import Allowances
from spinney.profiles.container_request import ContainerDefaults
from spinney.sealing import SecretKey, SecretKeys
from spinney.store import bindings, credentials, hosts, migrate, profiles, secrets, tables
from spinney.store.database import Store
from spinney.store.receivers import RECEIVERS
from spinney.store.rows import ACTIONS, CLUSTERS, NODES, POLICIES, RUNS

T = TypeVar("T")

CONTAINER_TYPE = "container.dockerinc.docker-1.0"
HOST_TYPE = "host.docker-1.0"
PLACEMENT_TYPE = "spinney.policy.placement-1.0"
OURS = "clustering 1.14, spinney 1.0"
DATABASE = "test.db"
START = 1_790_000_000.0


class StoppedClock:
    """Moves only when told to."""

    def __init__(self) -> None:
        self.moment = START

    def now(self) -> float:
        return self.moment

    def monotonic(self) -> float:
        return self.moment

    async def sleep(self, seconds: float) -> None:
        self.moment += seconds


class Personas:
    """HTTP basic authentication of several people in two projects, all with one password."""

    challenge = 'Basic realm="test"'
    people: Mapping[str, tuple[str, str]] = {
        "admin": ("ours", "admin manager member reader"),
        "manager": ("ours", "manager"),
        "member": ("ours", "member reader"),
        "reader": ("ours", "reader"),
        "service": ("ours", "service"),
        "nobody": ("ours", ""),
        "stranger": ("theirs", "manager member reader"),
        "other-admin": ("theirs", "admin member reader"),
    }

    async def authenticate(self, request: Request) -> Caller:
        for name, (project, roles) in self.people.items():
            if request.headers.get(b"authorization") == basic(name, PASSWORD).encode():
                return Caller(Owner(name, project), frozenset(roles.split()))
        raise Unauthorized("who are you?")


@dataclass
class Access:
    """Docker engines as the API sees them: what each answers is set by the test."""

    facts: HostFacts | HostError = field(
        default_factory=lambda: HostFacts("ENGINE:1", "27.0", "1.46", "linux", "amd64", "6.1", 8.0, 16 * 2**30, "metal")
    )
    #: By host id; hosts without an entry do not answer.
    containers: dict[str, dict[str, Container]] = field(default_factory=dict)
    written: dict[str, list[LogChunk | HostError]] = field(default_factory=dict)
    probed: list[HostAddress] = field(default_factory=list)
    queries: list[LogQuery] = field(default_factory=list)
    open_logs: int = 0
    #: What runs commands, and what it calls the containers.
    runner: CommandRunner | None = None
    names: dict[str, str] = field(default_factory=dict)

    async def probe(self, address: HostAddress) -> HostFacts:
        self.probed.append(address)
        if isinstance(self.facts, HostError):
            raise self.facts
        return self.facts

    async def inspect(self, host_id: str, container_id: str) -> Container | None:
        return self._host(host_id).get(container_id)

    async def stats(self, host_id: str, container_id: str) -> ContainerStats:
        self._host(host_id)
        return ContainerStats(cpu=0.5, memory=1024, sampled_at=START)

    async def logs(self, host_id: str, container_id: str, query: LogQuery) -> AsyncIterator[LogChunk]:
        self._host(host_id)
        self.queries.append(query)
        self.open_logs += 1
        try:
            for item in self.written.get(container_id, []):
                if isinstance(item, HostError):
                    raise item
                yield item
                await asyncio.sleep(0)
            if query.follow:
                await asyncio.Event().wait()
        finally:
            self.open_logs -= 1

    async def exec(self, host_id: str, container_id: str, request: ExecRequest) -> ExecSession:
        self._host(host_id)
        assert self.runner is not None
        return await self.runner.exec(self.names[container_id], request)

    def _host(self, host_id: str) -> dict[str, Container]:
        if host_id not in self.containers:
            raise HostUnreachable(f"the host {host_id} does not answer")
        return self.containers[host_id]


class World:
    def __init__(
        self,
        folder: Path,
        settings: ApiSettings | None = None,
        webhook: WebhookSettings | None = None,
        allowed: Allowances | None = None,
    ) -> None:
        self.clock = StoppedClock()
        self.ids = Ids(7)
        self.access = Access()
        self.rung = 0
        fresh = not (folder / DATABASE).exists()
        self.store = Store(f"sqlite:///{folder / DATABASE}", self.clock)
        if fresh:
            migrate.upgrade(self.store)
        deps = Deps(
            keys=read_ring("9rkKQYyQ7y0ZUrJdHvUYl9mVhCkR3sN4u2o8mWzqS1E=", "the tests' keys"),
            store=self.store,
            clock=self.clock,
            ids=self.ids,
            settings=settings or ApiSettings(),
            allowed=allowed or Allowances(),
            webhook=webhook or WebhookSettings(),
            authenticator=Personas(),
            access=self.access,
            planner=Planner(ContainerDefaults(), ClusterRules(1000), 256, self.ids),
            ring=self._ring,
        )
        self.deps = deps
        self.client = Client(build_app(deps))

    def app(self, routes: Sequence[Route] | None = None, **changes: Any) -> Api:
        """Another one on the same database, with other routes or other things to work with."""
        return Api(replace(self.deps, **changes), routes or ROUTES)

    def _ring(self) -> None:
        self.rung += 1

    def insert(self, mapper: Any, value: Any) -> None:
        self.store.run(mapper.insert, [value])

    def new(self, **values: Any) -> dict[str, Any]:
        """The fields that every object has; each object is a second younger than the one before."""
        self.clock.moment += 1
        return {"id": self.ids.new(), "user": "admin", "project": "ours", **values}

    def profile(self, name: str = "web", type: str = CONTAINER_TYPE, **values: Any) -> Profile:
        spec = {"type": type.rpartition("-")[0], "version": "1.0", "properties": {}}
        pins = values.pop("pins", {})
        base = {"domain": None, "created_at": self.clock.moment + 1, "metadata": {}, "spec": spec}
        profile = Profile(name=name, type=type, **self.new(**base | values))
        self.store.run(profiles.insert, profile, pins)
        return profile

    def cluster(self, profile: Profile, name: str = "c1", members: int = 0, **values: Any) -> Cluster:
        cluster = Cluster(
            name=name,
            profile_id=profile.id,
            init_at=self.clock.moment + 1,
            **self.new(
                **{"status": ClusterStatus.ACTIVE, "desired_capacity": members, "next_index": members + 1} | values
            ),
        )
        self.insert(CLUSTERS, cluster)
        for index in range(members):
            self.node(profile, f"{name}-{index + 1}", cluster_id=cluster.id, index=index + 1, project=cluster.project)
        return cluster

    def policy(
        self, name: str = "spread", on: Cluster | None = None, type: str = PLACEMENT_TYPE, **properties: Any
    ) -> Policy:
        """A policy, attached to a cluster if one is given."""
        spec = {"type": type.rpartition("-")[0], "version": "1.0", "properties": properties}
        base = {"name": name, "type": type, "spec": spec, "domain": None}
        policy = Policy(**base, created_at=self.clock.moment + 1, **self.new())
        self.insert(POLICIES, policy)
        if on is not None:
            new = Attached(policy.id, name, validate_spec(spec))
            self.store.run(bindings.attach, on.id, new, self.ids.new())
        return policy

    def node(self, profile: Profile, name: str = "n1", **values: Any) -> Node:
        node = Node(
            name=name,
            profile_id=profile.id,
            init_at=self.clock.moment + 1,
            **self.new(**{"status": NodeStatus.ACTIVE} | values),
        )
        self.insert(NODES, node)
        return node

    def host(self, name: str = "metal", answers: bool = True, **values: Any) -> Host:
        """A registered host; its node has a profile of its own."""
        project = values.pop("project", "ours")
        node = self.node(
            self.profile(f"prof-{name}", HOST_TYPE, project=project),
            name,
            cluster_id=values.pop("cluster_id", ""),
            project=project,
        )
        host = Host(
            node_id=node.id,
            endpoint=f"unix:///{node.id}",
            name=name,
            cluster_id=node.cluster_id,
            project=project,
            **{"state": HostState.READY, "cpu": 4.0, "memory": 8 * 2**30} | values,
        )
        self.store.run(hosts.register, host)
        if answers:
            self.access.containers[node.id] = {}
        return host

    def container(self, profile: Profile, host: Host, name: str = "box", **values: Any) -> Node:
        """A node placed on the host, with a container that runs there."""
        physical = "c" * 56 + name.ljust(8, "0")[:8]
        if host.node_id in self.access.containers:
            self.access.containers[host.node_id][physical] = running(physical, name)
        placed = {"host_id": host.node_id, "generation": 1, "placed_at": START, "physical_id": physical}
        return self.node(profile, name, **placed | values)

    def secret(self, name: str = "login", **data: str) -> Secret:
        """Of our project, sealed for a key that an engine has."""
        key = self.store.run(credentials.sealing_key)
        if key is None:
            keys = SecretKeys("the tests' key", [SecretKey("the tests' key", X25519PrivateKey.generate())])
            self.store.run(credentials.register_key, keys)
            key = keys.public
        held = data or {"key": "value"}
        base = {"domain": None, "created_at": self.clock.moment + 1, "version": 1, "reference": None}
        given = self.new(name=name, type=SecretType.OPAQUE, facts={"keys": sorted(held)}, **base)
        made = Secret(sealed=key.seal(orjson.dumps(held), given["id"]), **given)
        self.store.run(secrets.insert, made)
        return made

    def run_of(self, cluster: Cluster, number: int = 1, **fields: Any) -> Run:
        data = first_data(RunRules(), cluster.profile_id)
        values = {"policy_id": self.ids.new(), "created_at": self.clock.now(), "data": data, **fields}
        made = Run(id=self.ids.new(), cluster_id=cluster.id, number=number, **values)
        self.insert(RUNS, made)
        return made

    def receiver(self, cluster: Cluster, action: str = "CLUSTER_SCALE_OUT", **values: Any) -> Receiver:
        """Without a secret: only an open one can be started."""
        base = {
            "name": "grow",
            "type": "webhook",
            "domain": None,
            "rate_limit": 60,
            "created_at": self.clock.moment + 1,
        }
        channel = {"alarm_url": "http://api.example:8777/v1/webhooks/x/trigger?V=2"}
        made = Receiver(cluster_id=cluster.id, action=action, **self.new(**{"channel": channel, **base, **values}))
        self.insert(RECEIVERS, made)
        return made

    def change(self, table: sa.Table, id: str, **values: Any) -> None:
        self.store.run(lambda connection: connection.execute(table.update().where(table.c.id == id).values(**values)))

    def action(self, id: str) -> Action:
        found = self.store.run(ACTIONS.one, tables.action.c.id == id)
        assert found is not None
        return found

    def end(self, id: str, status: str = "SUCCEEDED") -> None:
        self.change(tables.action, id, status=status, end_time=self.clock.now(), running_target=None)


def running(physical: str, name: str) -> Container:
    return Container(
        physical,
        name,
        {},
        ContainerState.RUNNING,
        "busybox",
        started_at=START,
        addresses=(Address("blue", "10.0.0.2"),),
    )


@contextmanager
def world(folder: Path, *, allowed: Allowances | None = None, **settings: Any) -> Iterator[World]:
    made = World(folder, replace(ApiSettings(), **settings), allowed=allowed)
    try:
        yield made
    finally:
        made.store.close()


def run(body: Callable[[], Awaitable[T]]) -> T:
    async def main() -> T:
        return await body()

    return asyncio.run(main())
