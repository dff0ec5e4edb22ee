"""Actions, events, and what the service says about itself."""

from __future__ import annotations

from typing import Any

import pytest

from api.world import World, run
from spinney.domain.event import Event, Level
from spinney.store import engines, tables
from spinney.store.rows import EVENTS


def start(world: World, cluster: str = "c1", **parent: Any) -> str:
    answer = run(lambda: world.client.post(f"/v1/clusters/{cluster}/actions", {"check": {}}))
    if parent:
        world.change(tables.action, answer.action, **parent)
    return str(answer.action)


def test_an_action_on_the_wire(world: World) -> None:
    cluster = world.cluster(world.profile(), timeout=5)
    queued = start(world)
    action = run(lambda: world.client.get(f"/v1/actions/{queued}")).json["action"]
    assert action == {
        "id": queued,
        "name": f"cluster_check_{cluster.id[:8]}",
        "action": "CLUSTER_CHECK",
        "target": cluster.id,
        "cluster_id": cluster.id,
        "cause": "RPC Request",
        "owner": None,
        "interval": -1,
        "start_time": None,
        "end_time": None,
        "timeout": 5,
        "status": "READY",
        "status_reason": "Waiting for an engine.",
        "inputs": {},
        "outputs": {},
        "data": {},
        "depends_on": [],
        "depended_by": [],
        "created_at": action["created_at"],
        "updated_at": None,
        "user": "admin",
        "project": "ours",
    }


def test_dependencies_shrink_as_children_end(world: World) -> None:
    profile = world.profile()
    for name in ("c1", "c2", "c3"):
        world.cluster(profile, name)
    parent = start(world, status="WAITING")
    children = sorted([start(world, "c2", parent_id=parent), start(world, "c3", parent_id=parent)])

    def show(action: str) -> Any:
        return run(lambda: world.client.get(f"/v1/actions/{action}")).json["action"]

    assert show(parent)["depends_on"] == children
    assert show(children[0])["depended_by"] == [parent]
    world.end(children[0])
    assert show(parent)["depends_on"] == [children[1]]
    assert show(children[0])["depended_by"] == []
    world.end(children[1])
    world.end(parent)
    assert show(parent)["depends_on"] == []


def test_listing_actions(world: World) -> None:
    async def body() -> None:
        cluster = world.cluster(world.profile())
        get = world.client.get

        async def found(**query: Any) -> int:
            return len((await get("/v1/actions", **query)).json["actions"])

        await world.client.post("/v1/clusters/c1/actions", {"check": {}})
        assert await found(cluster_id="c1") == await found(cluster_id=cluster.id) == 1
        assert await found(cluster_id="nope") == 0
        assert await found(cluster_id=world.ids.new()) == 0
        assert await found(target=cluster.id, status="READY", action="CLUSTER_CHECK") == 1
        assert await found(status=["FAILED", "SUCCEEDED"]) == 0
        old = world.client.at("clustering 1.13")
        (action,) = (await old.get("/v1/actions", cluster_id="nope")).json["actions"]  # dropped silently
        assert "cluster_id" not in action

    run(body)


class TestCancel:
    def patch(self, world: World, action: str, status: str = "CANCELLED", **query: Any) -> Any:
        return run(lambda: world.client.patch(f"/v1/actions/{action}", {"action": {"status": status}}, **query))

    def test_asks_the_action_and_its_children_to_stop(self, world: World) -> None:
        profile = world.profile()
        world.cluster(profile)
        world.cluster(profile, "c2")
        parent = start(world)
        child = start(world, "c2", parent_id=parent)
        answer = self.patch(world, parent)
        assert (answer.status, answer.body) == (202, b"")
        assert "location" not in answer.headers
        assert world.action(parent).cancel_requested and world.action(child).cancel_requested
        assert world.action(parent).status == "READY"

    def test_force_is_final_and_frees_the_target(self, world: World) -> None:
        cluster = world.cluster(world.profile())
        action = start(world, status="RUNNING", running_target=cluster.id, owner=world.ids.new())
        assert self.patch(world, action, force="true").status == 202
        found = world.action(action)
        assert (found.status, found.owner, found.final) == ("CANCELLED", None, True)
        assert start(world)  # nothing stands in its way

    def test_refused(self, world: World) -> None:
        world.cluster(world.profile())
        action = start(world)
        assert self.patch(world, action, "SUCCEEDED").error[:2] == (400, "HTTPBadRequest")
        assert self.patch(world, action[:8]).error[:2] == (404, "ResourceNotFound")
        world.end(action)
        assert self.patch(world, action).error[:2] == (409, "ActionImmutable")

    def test_of_others(self, world: World) -> None:
        world.cluster(world.profile())
        action = start(world)
        body = {"action": {"status": "CANCELLED"}}
        answer = run(lambda: world.client.as_user("stranger").patch(f"/v1/actions/{action}", body))
        assert answer.error[:2] == (404, "ResourceNotFound")
        assert not world.action(action).cancel_requested


def event(world: World, level: Level, **values: Any) -> Event:
    fields: dict[str, Any] = {
        "timestamp": world.clock.now(),
        "oid": world.ids.new(),
        "oname": "box",
        "otype": "NODE",
        "cluster_id": "",
        "action": "NODE_CREATE",
        "status": "start",
        "status_reason": "because",
    }
    made = Event(level=level, **fields | world.new() | values)
    world.insert(EVENTS, made)
    return made


def test_events(world: World) -> None:
    async def body() -> None:
        cluster = world.cluster(world.profile())
        loud = event(world, Level.ERROR, cluster_id=cluster.id)
        quiet = event(world, Level.INFO, oname="other")
        shown = (await world.client.get(f"/v1/events/{loud.id[:8]}")).json["event"]
        assert shown == {
            "id": loud.id,
            "timestamp": shown["timestamp"],
            "oid": loud.oid,
            "oname": "box",
            "otype": "NODE",
            "cluster_id": cluster.id,
            "level": "ERROR",
            "user": "admin",
            "project": "ours",
            "action": "NODE_CREATE",
            "status": "start",
            "status_reason": "because",
            "meta_data": {},
        }

        async def found(**query: Any) -> list[str]:
            return [one["id"] for one in (await world.client.get("/v1/events", **query)).json["events"]]

        assert await found() == [loud.id, quiet.id]
        assert await found(sort="level") == [quiet.id, loud.id]
        assert await found(level="error") == await found(cluster_id="c1") == await found(oid=loud.oid) == [loud.id]
        assert await found(cluster_id="nope") == []
        assert await found(oname="other", otype="NODE") == [quiet.id]
        assert (await world.client.get("/v1/events/box")).error[:2] == (404, "ResourceNotFound")  # no names

    run(body)


def test_build_info(world: World) -> None:
    info = run(lambda: world.client.get("/v1/build-info")).json["build_info"]
    assert info == {"api": {"revision": "1.0"}, "engine": {"revision": "1.0"}}


def test_services(world: World) -> None:
    async def body() -> None:
        engine = world.ids.new()
        world.store.run(engines.begin, engine, "box1", 20.0, None)
        (service,) = (await world.client.get("/v1/services")).json["services"]
        assert (service["id"], service["host"], service["state"], service["status"]) == (
            engine,
            "box1",
            "up",
            "enabled",
        )
        world.clock.moment += 30
        (service,) = (await world.client.get("/v1/services")).json["services"]
        assert service["state"] == "down"

    run(body)


@pytest.mark.parametrize("noun", ["clusters", "nodes", "profiles", "actions"])
def test_a_body_never_has_an_action_key_when_it_is_an_error(world: World, noun: str) -> None:
    answer = run(lambda: world.client.get(f"/v1/{noun}/nope"))
    assert answer.error[0] == 404 and "action" not in answer.json


def test_an_action_names_no_host_by_id(world: World) -> None:
    world.cluster(world.profile())
    action = start(world)
    told = {"generation": 2, "previous_host": "h1", "to": "h2", "moves": [["n", "h1", "h2"]]}
    world.change(tables.action, action, data=told, inputs={"exclude": ["h1"], "to": None, "reason": "it is drained"})
    shown = run(lambda: world.client.get(f"/v1/actions/{action}")).json["action"]
    assert (shown["data"], shown["inputs"]) == ({"generation": 2}, {"reason": "it is drained"})
