"""An API and an engine on one world of simulated hosts and one virtual clock: what a person asks, and what comes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from api.client import Answer, Client
from api.world import Access
from engine.world import World
from spinney.api.app import build_app
from spinney.api.auth import Request
from spinney.api.wire import Deps
from spinney.config import ApiSettings
from spinney.domain.action import Action
from spinney.domain.identity import Caller, Owner
from spinney.domain.node import Node
from spinney.engine.intent.clusters import ClusterRules
from spinney.engine.intent.planning import Planner
from spinney.keyring import read_ring
from spinney.profiles.container_request import ContainerDefaults

#: The policy types that are not Senlin's.
_OURS = ("autoscaling", "job", "lifecycle", "placement", "update")
#: Virtual seconds between two looks.
_LOOK = 0.25


class _Owner:
    """Whoever asks owns what is in the world."""

    challenge = 'Basic realm="test"'

    async def authenticate(self, request: Request) -> Caller:
        return Caller(Owner("u", "p"), frozenset({"member", "reader"}))


class Living:
    def __init__(self, world: World) -> None:
        self.world = world
        deps = Deps(
            keys=read_ring("9rkKQYyQ7y0ZUrJdHvUYl9mVhCkR3sN4u2o8mWzqS1E=", "the tests' keys"),
            store=world.store,
            clock=world.clock,
            ids=world.ids,
            settings=ApiSettings(),
            authenticator=_Owner(),
            access=Access(),
            planner=Planner(ContainerDefaults(), ClusterRules(1000), 256, world.ids),
            ring=world.bell.ring,
        )
        self.client = Client(build_app(deps))

    # -- asking ------------------------------------------------------------------------------------------------------

    async def cluster(self, size: int, *policies: str, **fields: Any) -> str:
        """A cluster made with policies, once all is done."""
        named = [{"policy_id": policy} for policy in policies]
        body = {"name": "web", "desired_capacity": size, "policies": named, **fields}
        body.setdefault("profile_id", self.world.profile())
        made = await self.client.post("/v1/clusters", {"cluster": body})
        await self.end(made)
        return str(made.json["cluster"]["id"])

    async def policy(self, type_: str, version: str = "1.0", *, name: str = "", **properties: Any) -> str:
        """Called by its type unless it has a name of its own."""
        whole = f"{'spinney' if type_ in _OURS else 'senlin'}.policy.{type_}"
        spec = {"type": whole, "version": version, "properties": properties}
        made = await self.client.post("/v1/policies", {"policy": {"name": name or type_, "spec": spec}})
        assert made.status == 201, made.body
        return str(made.json["policy"]["id"])

    async def ask(self, cluster_id: str, verb: str, **given: Any) -> Answer:
        return await self.client.post(f"/v1/clusters/{cluster_id}/actions", {verb: given})

    async def end(self, answer: Answer, seconds: float = 120.0) -> Action:
        """The action that the answer leads to, once it is final."""
        action_id = answer.action
        await self.until(lambda: self.world.action(action_id).final, seconds)
        return self.world.action(action_id)

    async def until(self, condition: Callable[[], bool], seconds: float = 120.0) -> None:
        deadline = self.world.clock.monotonic() + seconds
        while not condition():
            assert self.world.clock.monotonic() < deadline, f"not within {seconds} s: {self.world.describe()}"
            await self.world.clock.sleep(_LOOK)

    async def do(self, cluster_id: str, verb: str, **given: Any) -> Action:
        return await self.end(await self.ask(cluster_id, verb, **given))

    async def update(self, cluster_id: str, **properties: Any) -> Answer:
        """To a profile of another image."""
        profile_id = self.world.profile(**{"image": "alpine", **properties})
        return await self.client.patch(f"/v1/clusters/{cluster_id}", {"cluster": {"profile_id": profile_id}})

    # -- seeing ------------------------------------------------------------------------------------------------------

    async def shown(self, cluster_id: str) -> Mapping[str, Any]:
        answer = await self.client.get(f"/v1/clusters/{cluster_id}")
        found: Mapping[str, Any] = answer.json["cluster"]
        return found

    async def bound(self, cluster_id: str) -> dict[str, bool]:
        """Whether each of the policies is enabled, in the order in which they count."""
        answer = await self.client.get(f"/v1/clusters/{cluster_id}/policies")
        rows = sorted(answer.json["cluster_policies"], key=lambda row: row["priority"])
        return {row["policy_name"]: row["enabled"] for row in rows}

    def member(self, cluster_id: str, index: int) -> Node:
        (found,) = [one for one in self.world.members(cluster_id) if one.index == index]
        return found

    def of_zone(self, cluster_id: str, zone: str) -> list[Node]:
        """The members on hosts of a zone, the first one first."""
        hosts = {host.node_id for host in self.world.hosts() if host.zone == zone}
        return [member for member in self.world.members(cluster_id) if member.host_id in hosts]

    def indexes(self, cluster_id: str) -> list[int]:
        return [member.index for member in self.world.members(cluster_id)]


@asynccontextmanager
async def living(hosts: int = 2, **changes: Any) -> AsyncIterator[Living]:
    """``changes``: of what the engine is given."""
    world = World(hosts)
    async with world.engine(**changes):
        yield Living(world)
