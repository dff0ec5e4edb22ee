"""Nodes: making, showing, changing, deleting and operating them."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from api.world import HOST_TYPE, World, run
from spinney.domain.action import ActionKind
from spinney.domain.container import ContainerState
from spinney.domain.host import HostState
from spinney.domain.node import NodeStatus
from spinney.store import tables


def test_an_orphan(world: World) -> None:
    async def body() -> None:
        profile = world.profile()
        given = {"name": "box", "profile_id": "web", "role": "master", "metadata": {"a": 1}, "cluster_id": None}
        answer = await world.client.post("/v1/nodes", {"node": given})
        action = world.action(answer.action)
        node = answer.json["node"]
        assert node == {
            "id": action.target,
            "name": "box",
            "cluster_id": "",
            "physical_id": None,
            "profile_id": profile.id,
            "profile_name": "web",
            "user": "admin",
            "project": "ours",
            "domain": None,
            "index": -1,
            "role": "master",
            "init_at": node["init_at"],
            "created_at": None,
            "updated_at": None,
            "status": "INIT",
            "status_reason": "Initializing",
            "data": {},
            "metadata": {"a": 1},
            "dependents": {},
            "tainted": False,
        }
        assert (action.action, action.cluster_id, action.timeout) == (ActionKind.NODE_CREATE, "", 3600)
        assert world.rung == 1

    run(body)


def test_a_member_takes_the_next_index_and_the_name_its_cluster_gives(world: World) -> None:
    async def body() -> None:
        profile = world.profile()
        cluster = world.cluster(profile, members=2, config={"node.name.format": "w-$3I"}, timeout=55)
        world.cluster(profile, "plain")
        names = []
        for _ in range(2):
            given = {"node": {"name": "ignored", "profile_id": "web", "cluster_id": "c1"}}
            answer = await world.client.post("/v1/nodes", given)
            node = answer.json["node"]
            names.append((node["name"], node["index"], node["cluster_id"]))
            assert world.action(answer.action).timeout == 55
        assert names == [("w-003", 3, cluster.id), ("w-004", 4, cluster.id)]
        plain = await world.client.post(
            "/v1/nodes", {"node": {"name": "x", "profile_id": "web", "cluster_id": "plain"}}
        )
        assert re.fullmatch("node-[A-Za-z][A-Za-z0-9]{7}", plain.json["node"]["name"])

    run(body)


def test_a_cluster_that_is_being_deleted_takes_no_new_nodes(world: World) -> None:
    async def body() -> None:
        world.cluster(world.profile())
        assert (await world.client.delete("/v1/clusters/c1")).status == 202
        given = {"node": {"name": "x", "profile_id": "web", "cluster_id": "c1"}}
        assert (await world.client.post("/v1/nodes", given)).error[:2] == (409, "ResourceIsLocked")
        assert (await world.client.get("/v1/nodes")).json == {"nodes": []}

    run(body)


@pytest.mark.parametrize(
    ("given", "kind", "words"),
    [
        ({}, "HTTPBadRequest", "node.name"),
        ({"name": "a b", "profile_id": "web"}, "HTTPBadRequest", "node.name"),
        ({"name": "a"}, "HTTPBadRequest", "node.profile_id"),
        ({"name": "a", "profile_id": "nope"}, "BadRequest", "profile 'nope'"),
        ({"name": "a", "profile_id": "web", "cluster_id": "nope"}, "BadRequest", "cluster 'nope'"),
        ({"name": "a", "profile_id": "machine", "cluster_id": "c1"}, "BadRequest", "type host.docker-1.0"),
        ({"name": "a", "profile_id": "web", "role": "x" * 256}, "HTTPBadRequest", "node.role"),
        ({"name": "a", "profile_id": "web", "tainted": True}, "HTTPBadRequest", "node.tainted"),
    ],
)
def test_nodes_that_are_refused(world: World, given: Any, kind: str, words: str) -> None:
    world.cluster(world.profile())
    world.profile("machine", HOST_TYPE)
    answer = run(lambda: world.client.post("/v1/nodes", {"node": given}))
    assert answer.error[:2] == (400, kind)
    assert words in answer.error[2]


def test_what_older_versions_do_not_show(world: World) -> None:
    async def body() -> None:
        world.node(world.profile(), tainted=True)
        assert (await world.client.get("/v1/nodes/n1")).json["node"]["tainted"] is True
        old = world.client.at("clustering 1.12")
        assert "tainted" not in (await old.get("/v1/nodes/n1")).json["node"]
        assert "tainted" not in (await old.get("/v1/nodes")).json["nodes"][0]

    run(body)


def test_a_node_whose_profile_is_gone(world: World) -> None:
    profile = world.profile()
    world.node(profile)
    world.store.run(lambda connection: connection.execute(tables.profile.delete()))
    assert run(lambda: world.client.get("/v1/nodes/n1")).json["node"]["profile_name"] == "Unknown"


class TestDetails:
    def test_only_when_asked_for(self, world: World) -> None:
        world.container(world.profile(), world.host())
        assert "details" not in run(lambda: world.client.get("/v1/nodes/box")).json["node"]

    def test_in_the_words_of_nodes(self, world: World) -> None:
        node = world.container(world.profile(), world.host())
        shown = run(lambda: world.client.get("/v1/nodes/box", show_details="True")).json["node"]
        details = shown["details"]
        assert details["status"] == "ACTIVE"
        assert details["container"]["state"] == "running" and details["container"]["id"] == node.physical_id
        assert details["addresses"] == {"blue": [{"addr": "10.0.0.2", "version": 4, "OS-EXT-IPS:type": "fixed"}]}
        assert details["host"] == "metal"
        placement = shown["data"]["placement"]
        assert placement == {
            "host_id": node.host_id,
            "host_name": "metal",
            "generation": 1,
            "decided_at": "2026-09-21T14:13:20Z",
        }
        assert shown["data"]["readiness"] == {"ready": False, "since": None, "reason": "It has no container yet."}

    @pytest.mark.parametrize(
        ("ready", "state", "reason"),
        [
            (True, HostState.READY, ""),
            (True, HostState.SUSPECT, "Its host does not answer: this is what was known last."),
            (False, HostState.SUSPECT, "its ready probe failed: no"),
        ],
    )
    def test_whether_it_is_ready_and_since_when(self, world: World, ready: bool, state: HostState, reason: str) -> None:
        node = world.container(world.profile(), world.host())
        told = {"ready": ready, "ready_at": 1790000000.0, "ready_reason": "" if ready else reason}
        world.store.run(lambda c: (
            c.execute(tables.node.update().where(tables.node.c.id == node.id).values(told)),
            c.execute(tables.host.update().values(state=state)),
        ))  # fmt: skip
        shown = run(lambda: world.client.get("/v1/nodes")).json["nodes"]
        data = next(one["data"] for one in shown if one["id"] == node.id)
        assert data["readiness"] == {"ready": ready, "since": "2026-09-21T14:13:20Z", "reason": reason}

    def test_a_host_that_does_not_answer_costs_details_alone(self, world: World) -> None:
        world.container(world.profile(), world.host(answers=False))
        details = run(lambda: world.client.get("/v1/nodes/box", show_details="true")).json["node"]["details"]
        assert details["status"] == "ACTIVE"
        assert details["container"]["state"] is None
        assert "does not answer" in details["error"]

    def test_a_container_that_is_gone(self, world: World) -> None:
        host = world.host()
        world.container(world.profile(), host)
        world.access.containers[host.node_id].clear()
        details = run(lambda: world.client.get("/v1/nodes/box", show_details="true")).json["node"]["details"]
        assert details["status"] == "ERROR"

    @pytest.mark.parametrize(
        ("power", "state", "status"),
        [
            ("stopped", ContainerState.EXITED, "ACTIVE"),
            ("paused", ContainerState.PAUSED, "ACTIVE"),
            ("stopped", ContainerState.RUNNING, "ERROR"),
            ("running", ContainerState.PAUSED, "ERROR"),
            ("running", ContainerState.RUNNING, "ERROR"),  # only there health counts
        ],
    )
    def test_a_container_is_well_when_it_is_as_its_user_wants(
        self, world: World, power: str, state: ContainerState, status: str
    ) -> None:
        host = world.host()
        node = world.container(world.profile(), host, power=power)
        found = world.access.containers[host.node_id]
        # A Docker engine calls every container with a health check unhealthy once it does not run.
        found[str(node.physical_id)] = replace(found[str(node.physical_id)], state=state, health="unhealthy")
        shown = run(lambda: world.client.get("/v1/nodes/box", show_details="true")).json["node"]
        assert shown["details"]["status"] == status
        assert shown["data"].get("power") == (None if power == "running" else power)

    def test_of_a_host(self, world: World) -> None:
        host = world.host(facts={"version": "27.0"})
        world.change(tables.node, host.node_id, physical_id="ENGINE:1")
        details = run(lambda: world.client.get("/v1/nodes/metal", show_details="true")).json["node"]["details"]
        assert details["status"] == "ACTIVE" and details["engine"]["version"] == "27.0"

    def test_none_without_a_physical_object(self, world: World) -> None:
        world.node(world.profile())
        assert "details" not in run(lambda: world.client.get("/v1/nodes/n1", show_details="true")).json["node"]
        assert run(lambda: world.client.get("/v1/nodes/n1", show_details="perhaps")).error[0] == 400


def test_updating(world: World) -> None:
    async def body() -> None:
        profile = world.profile()
        world.node(profile, metadata={"old": 1})
        new = world.profile("newer")
        given = {"name": "renamed", "profile_id": "newer", "role": "r", "metadata": {}, "tainted": "true"}
        answer = await world.client.patch("/v1/nodes/n1", {"node": given})
        assert answer.json["node"]["name"] == "n1"
        assert world.action(answer.action).inputs == {
            "name": "renamed",
            "new_profile_id": new.id,
            "role": "r",
            "metadata": {},
            "tainted": True,
        }
        world.end(answer.action)
        as_the_cli = {"name": "x", "metadata": None, "role": None, "profile_id": None, "tainted": True}
        old = await world.client.at("clustering 1.12").patch("/v1/nodes/n1", {"node": as_the_cli})
        assert world.action(old.action).inputs == {"name": "x"}
        for changes, status in (({"name": "n1"}, 400), ({}, 400), ({"index": 3}, 400), ({"profile_id": "nope"}, 400)):
            assert (await world.client.patch("/v1/nodes/n1", {"node": changes})).error[0] == status
        assert (await world.client.patch("/v1/nodes/nope", {"node": {"name": "x"}})).error[0] == 404

    run(body)


def test_deleting(world: World) -> None:
    async def body() -> None:
        profile = world.profile()
        cluster = world.cluster(profile, members=1, timeout=9)
        answer = await world.client.delete("/v1/nodes/c1-1")
        action = world.action(answer.action)
        assert answer.body == b"null"
        assert (action.action, action.cluster_id, action.timeout) == (ActionKind.NODE_DELETE, cluster.id, 9)
        world.node(profile, "busy", status=NodeStatus.CREATING)
        assert (await world.client.delete("/v1/nodes/busy")).error[:2] == (409, "ActionInProgress")
        assert (await world.client.delete("/v1/nodes/busy", {"force": True})).status == 202
        assert (await world.client.delete("/v1/nodes/nope")).error[:2] == (404, "ResourceNotFound")

    run(body)


def test_a_host_with_containers_stays(world: World) -> None:
    async def body() -> None:
        host = world.host()
        box = world.container(world.profile(), host)
        answer = await world.client.delete("/v1/nodes/metal", {"force": True})
        assert answer.error[:2] == (409, "ResourceInUse")
        assert "used by node 'box'" in answer.error[2]
        assert (await world.client.get("/v1/nodes/metal")).json["node"]["dependents"] == {"nodes": [box.id]}
        listed = (await world.client.get("/v1/nodes", name="metal")).json["nodes"]
        assert listed[0]["dependents"] == {"nodes": [box.id]}

    run(body)


def test_a_list_tells_some_of_what_a_host_carries_and_how_much_that_is(world: World) -> None:
    async def body() -> None:
        host = world.host()
        boxes = sorted(world.container(world.profile(f"p{n}"), host).id for n in range(12))
        shown = (await world.client.get("/v1/nodes/metal")).json["node"]
        assert shown["dependents"] == {"nodes": boxes}
        (listed,) = (await world.client.get("/v1/nodes", name="metal")).json["nodes"]
        assert listed["dependents"] == {"nodes": boxes[:10], "nodes_total": 12}

    run(body)


class TestActions:
    def post(self, world: World, body: Any, where: str = "actions") -> Any:
        return run(lambda: world.client.post(f"/v1/nodes/n1/{where}", body))

    def test_check_and_recover(self, world: World) -> None:
        world.node(world.profile())
        action = world.action(self.post(world, {"check": {"any": 1}}).action)
        assert (action.action, action.inputs) == (ActionKind.NODE_CHECK, {"any": 1})
        world.end(action.id)
        given = {"operation": "recreate", "check": True, "delete_timeout": "5", "force_recreate": "no"}
        action = world.action(self.post(world, {"recover": given}).action)
        assert action.action is ActionKind.NODE_RECOVER
        assert action.inputs == {"operation": "RECREATE", "check": True, "delete_timeout": 5, "force_recreate": False}

    @pytest.mark.parametrize(
        "body",
        [{}, {"check": {}, "recover": {}}, {"scale_out": {}}, {"check": 1}, {"recover": {"check_capacity": True}}],
    )
    def test_refused(self, world: World, body: Any) -> None:
        world.node(world.profile())
        assert self.post(world, body).error[:2] == (400, "HTTPBadRequest")

    def test_operations_are_not_wrapped_in_params(self, world: World) -> None:
        node = world.node(world.profile())
        action = world.action(self.post(world, {"stop": {"timeout": "3"}}, "ops").action)
        assert (action.action, action.name) == (ActionKind.NODE_OPERATION, f"node_stop_{node.id[:8]}")
        assert action.inputs == {"operation": "stop", "params": {"timeout": 3}}
        queued_behind = self.post(world, {"kill": {}}, "ops")
        assert world.action(queued_behind.action).inputs["params"]["signal"] == "SIGKILL"

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({}, "exactly one"),
            ({"explode": {}}, "container.dockerinc.docker-1.0 has no operation 'explode'"),
            ({"stop": {"timeout": "soon"}}, "timeout"),
            ({"pause": {"bogus": 1}}, "bogus"),
            ({"stop": 3}, "a map"),
        ],
    )
    def test_operations_that_are_refused(self, world: World, body: Any, words: str) -> None:
        world.node(world.profile())
        answer = self.post(world, body, "ops")
        assert answer.error[0] == 400
        assert words in answer.error[2]
