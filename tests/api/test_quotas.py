"""Quotas through the API: showing and setting them, and what is refused because of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.client import Answer
from api.world import CONTAINER_TYPE, HOST_TYPE, OURS, World, run
from api.world import world as make_world
from spinney.domain.quota import unlimited
from spinney.errors import LimitsUnknown
from spinney.profiles.allowances import Allowances
from spinney.store import quotas, tables
from spinney.store.limits import CopiedLimits

MIB = 2**20


def at_most(world: World, **limits: float) -> None:
    world.store.run(quotas.put, "ours", limits)


def profile(world: World, name: str = "web", cpu: float = 0.5, memory: int = 64 * MIB) -> Any:
    return world.profile(name, cpu=cpu, memory=memory)


async def used(world: World, project: str = "ours") -> dict[str, Any]:
    answer = await world.client.at(OURS).get(f"/v1/quotas/{project}")
    return {name: amount for name, amount in answer.json["quota"]["used"].items() if amount}


def refused(answer: Answer, *words: str) -> bool:
    assert answer.error[:2] == (403, "OverQuota"), answer.body
    assert all(word in answer.error[2] for word in words), answer.error
    return True


def test_showing_and_setting(world: World) -> None:
    async def body() -> None:
        admin = world.client.at(OURS)
        shown = (await admin.get("/v1/quotas/theirs")).json["quota"]
        assert (shown["project"], shown["clusters"], shown["cpu"], shown["used"]["nodes"]) == ("theirs", -1, -1, 0)
        given = {"quota": {"nodes": 3, "cpu": 1.5, "memory": 2**40}}
        answer = await admin.request("PUT", "/v1/quotas/theirs", given)
        assert (answer.status, answer.json["quota"]["cpu"], answer.json["quota"]["memory"]) == (200, 1.5, 2**40)
        await admin.request("PUT", "/v1/quotas/theirs", {"quota": {"cpu": -1}})
        seen = (await admin.as_user("stranger").get("/v1/quotas/theirs")).json["quota"]
        assert (seen["nodes"], seen["cpu"], seen["volumes"]) == (3, -1, -1)
        assert (await admin.delete("/v1/quotas/theirs")).status == 204
        assert (await admin.get("/v1/quotas/theirs")).json["quota"] == shown

    run(body)


def test_other_projects_are_not_there(world: World) -> None:
    async def body() -> None:
        reader = world.client.at(OURS).as_user("reader")
        own = await reader.get("/v1/quotas/ours")
        assert own.status == 200 and (await reader.get("/v1/quotas/-")).json == own.json
        for other in ("theirs", "nobodys"):
            answer = await reader.get(f"/v1/quotas/{other}")
            assert answer.error == (404, "ResourceNotFound", f"The quota '{other}' could not be found.")
        changed = await reader.request("PUT", "/v1/quotas/ours", {"quota": {"nodes": 1}})
        assert changed.error[:2] == (403, "Forbidden")
        assert (await world.client.get("/v1/quotas/ours")).status == 404

    run(body)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "nothing would change"),
        ({"nodes": -2}, "quota.nodes"),
        ({"nodes": 1.5}, "quota.nodes"),
        ({"cpu": -0.5}, "quota.cpu"),
        ({"cpu": "many"}, "quota.cpu"),
        ({"memory": 2**60}, "quota.memory"),
        ({"pods": 1}, "pods"),
    ],
)
def test_what_cannot_be_a_limit(world: World, given: dict[str, Any], words: str) -> None:
    answer = run(lambda: world.client.at(OURS).request("PUT", "/v1/quotas/ours", {"quota": given}))
    assert answer.status == 400 and words in answer.error[2]


def test_a_profile_row_says_what_its_nodes_set_aside(world: World) -> None:
    async def body() -> None:
        world.cluster(world.profile("racks", HOST_TYPE), "racks")
        properties = {"image": "nginx", "host_cluster": "racks", "cpu": 0.25, "memory": "128m"}
        spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": properties}
        await world.client.post("/v1/profiles", {"profile": {"name": "web", "spec": spec}})
        row = world.store.run(lambda c: c.execute(tables.profile.select().where(tables.profile.c.name == "web")).one())
        assert (row.type, row.cpu, row.memory) == (CONTAINER_TYPE, 0.25, 128 * MIB)

    run(body)


def test_a_cluster_counts_from_its_creation(world: World) -> None:
    profile(world)
    at_most(world, nodes=5, cpu=2.0, clusters=2)

    async def body() -> None:
        create = {"cluster": {"name": "a", "profile_id": "web", "desired_capacity": 3}}
        assert (await world.client.post("/v1/clusters", create)).status == 202
        assert await used(world) == {"clusters": 1, "nodes": 3, "cpu": 1.5, "memory": 192 * MIB}
        answer = await world.client.post("/v1/clusters", {"cluster": {**create["cluster"], "name": "b"}})
        refused(answer, "nodes is used up: 5 allowed, 3 in use or promised, 3 more", "operator")
        create["cluster"] |= {"name": "b", "desired_capacity": 2}
        refused(await world.client.post("/v1/clusters", create), "cpu is used up: 2 cores allowed, 1.5 cores in use")
        create["cluster"] |= {"desired_capacity": 1}
        assert (await world.client.post("/v1/clusters", create)).status == 202
        create["cluster"] |= {"name": "c", "desired_capacity": 0}
        refused(await world.client.post("/v1/clusters", create), "clusters is used up: 2 allowed")

    run(body)


def test_growing_is_refused_at_the_request(world: World) -> None:
    web, big = profile(world), profile(world, "big", cpu=2.0)
    at_most(world, cpu=2.0, nodes=3)
    cluster = world.cluster(web, members=2)
    orphan = world.node(web, "orphan")

    async def body() -> None:
        async def act(**given: Any) -> Answer:
            return await world.client.post(f"/v1/clusters/{cluster.id}/actions", given)

        refused(await act(scale_out={"count": 1}), "nodes is used up: 3 allowed, 3 in use")
        refused(await act(resize={"adjustment_type": "CHANGE_IN_CAPACITY", "number": 5}), "5 more asked for")
        refused(await world.client.patch(f"/v1/clusters/{cluster.id}", {"cluster": {"profile_id": big.id}}), "cpu")
        refused(await world.client.patch(f"/v1/nodes/{orphan.id}", {"node": {"profile_id": big.id}}), "1.5 cores more")
        refused(await world.client.post("/v1/nodes", {"node": {"name": "x", "profile_id": web.id}}), "nodes")
        in_cluster = {"node": {"name": "x", "profile_id": web.id, "cluster_id": cluster.id}}
        refused(await world.client.post("/v1/nodes", in_cluster), "nodes")
        assert (await act(add_nodes={"nodes": [orphan.id]})).status == 202
        assert world.rung == 1

    run(body)


def test_a_host_is_a_node(world: World) -> None:
    at_most(world, nodes=0)
    given = {"type": "host.docker-1.0", "identity": "unix:///var/run/docker.sock"}
    refused(run(lambda: world.client.post("/v1/nodes/adopt", given)), "nodes is used up: 0 allowed")
    assert world.store.run(lambda c: c.execute(tables.node.select()).all()) == []


def test_secrets_are_counted(world: World) -> None:
    at_most(world, secrets=1)
    world.secret("one")
    given = {"secret": {"name": "two", "type": "opaque", "data": {"a": "b"}}}
    refused(run(lambda: world.client.at(OURS).post("/v1/secrets", given)), "secrets is used up: 1 allowed, 1 in use")


def test_many_requests_at_once_stay_within_the_limit(world: World) -> None:
    profile(world)
    at_most(world, nodes=10)

    async def body() -> None:
        def one(number: int) -> dict[str, Any]:
            return {"cluster": {"name": f"c{number}", "profile_id": "web", "desired_capacity": 1 + number % 3}}

        answers = await asyncio.gather(*(world.client.post("/v1/clusters", one(n)) for n in range(30)))
        assert {answer.status for answer in answers} == {202, 403}
        assert (await used(world))["nodes"] in (8, 9, 10)

    run(body)


class Keystone:
    """Whoever keeps the limits elsewhere."""

    def __init__(self) -> None:
        self.limits: dict[str, float] | None = None
        self.asked: list[str] = []

    async def fetch(self, project: str) -> dict[str, float]:
        self.asked.append(project)
        if self.limits is None:
            raise LimitsUnknown("Keystone does not answer")
        return self.limits


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[tuple[World, Keystone]]:
    with make_world(tmp_path, allowed=Allowances(limits=dict.fromkeys(unlimited(), 0.0))) as world:
        keystone = Keystone()
        limits = CopiedLimits(world.store, world.clock, keystone.fetch, believed=10.0)
        world.client.app = world.app(limits=limits)
        yield world, keystone


def test_limits_kept_elsewhere_are_copied_and_believed_for_a_while(elsewhere: tuple[World, Keystone]) -> None:
    world, keystone = elsewhere
    profile(world)

    async def body() -> None:
        create = {"cluster": {"name": "a", "profile_id": "web", "desired_capacity": 2}}
        assert (await world.client.post("/v1/clusters", create)).error[:2] == (503, "LimitsUnknown")
        keystone.limits = {**unlimited(), "nodes": 3}
        assert (await world.client.post("/v1/clusters", create)).status == 202
        refused(await world.client.post("/v1/clusters", create), "nodes is used up: 3 allowed")
        assert keystone.asked == ["ours"] * 2
        keystone.limits = {**unlimited(), "nodes": 4}
        world.clock.moment += 11
        assert (await world.client.post("/v1/clusters", create)).status == 202
        keystone.limits = None
        world.clock.moment += 11
        refused(await world.client.post("/v1/clusters", create), "nodes is used up: 4 allowed")

    run(body)


def test_limits_kept_elsewhere_are_not_set_here(elsewhere: tuple[World, Keystone]) -> None:
    world, keystone = elsewhere
    keystone.limits = {**unlimited(), "nodes": 3}

    async def body() -> None:
        admin = world.client.at(OURS)
        assert (await admin.get("/v1/quotas/ours")).json["quota"]["nodes"] == 3
        for method in ("PUT", "DELETE"):
            answer = await admin.request(method, "/v1/quotas/ours", {"quota": {"nodes": 5}})
            assert answer.status == 409 and "Keystone" in answer.error[2]

    run(body)


def test_a_plan_says_that_the_quota_would_refuse(world: World) -> None:
    web = profile(world)
    at_most(world, nodes=2)
    cluster = world.cluster(web, members=2)
    asked = f"/v1/clusters/{cluster.id}/plan"
    refused(run(lambda: world.client.at(OURS).post(asked, {"scale_out": {"count": 1}})), "nodes is used up")
