"""Hosts, and making them by adopting Docker engines."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from api.world import CONTAINER_TYPE, HOST_TYPE, OURS, World, run
from spinney.domain.node import Node
from spinney.domain.placement.model import PlacementRequest, Surroundings
from spinney.domain.placement.scheduler import Fleet
from spinney.errors import HostUnreachable
from spinney.store import hosts, tables

SOCKET = "unix:///run/docker.sock"


def adopt(world: World, path: str = "adopt", who: str = "admin", **values: Any) -> Any:
    body = {"identity": SOCKET, "type": HOST_TYPE} | values
    return run(lambda: world.client.as_user(who).at(OURS).post(f"/v1/nodes/{path}", body))


def test_adopting_makes_node_profile_and_host(world: World) -> None:
    overrides = {"labels": {"disk": "ssd"}, "zone": "z1", "region": None, "capacity": {"cpu": 2, "memory": "4g"}}
    answer = adopt(world, name="metal", metadata={"a": 1}, overrides=overrides, role="spare", snapshot=False)
    assert answer.status == 200
    node = answer.json["node"]
    assert (node["name"], node["status"], node["physical_id"]) == ("metal", "ACTIVE", "ENGINE:1")
    assert (node["profile_name"], node["metadata"], node["cluster_id"], node["index"]) == (
        "prof-metal",
        {"a": 1},
        "",
        -1,
    )
    profile = run(lambda: world.client.get("/v1/profiles/prof-metal")).json["profile"]
    assert profile["type"] == HOST_TYPE
    assert profile["spec"]["properties"]["endpoint"] == SOCKET

    host = run(lambda: world.client.at(OURS).get("/v1/hosts/metal")).json["host"]
    assert host["id"] == node["id"]
    assert (host["state"], host["zone"], host["region"], host["labels"]) == ("ready", "z1", None, {"disk": "ssd"})
    assert host["capacity"] == {"cpu": 2.0, "memory": 4 * 2**30, "disk": None}
    assert host["reserved"] == {"cpu": 0.0, "memory": 0, "disk": None} and host["containers"] == 0
    assert host["engine"]["version"] == "27.0" and host["engine"]["rootless"] is False
    assert host["endpoint"] == SOCKET
    assert world.rung == 1
    assert "endpoint" not in run(lambda: world.client.as_user("reader").at(OURS).get("/v1/hosts/metal")).json["host"]


def test_what_the_machine_says_and_what_its_profile_gives_are_kept(world: World) -> None:
    facts = replace(world.access.facts, kernel="6.12", cgroup_driver="systemd", labels={"rack": "r1", "disk": "hdd"})
    world.access.facts = facts
    url = "http://metal:9100/metrics"
    adopt(world, name="metal", overrides={"labels": {"disk": "ssd"}, "capacity": {"cpu": 2}, "metrics_url": url})
    (stored,) = world.store.run(hosts.find)
    assert (stored.given, stored.metrics_url, stored.cpu, stored.memory) == ({"cpu": 2.0}, url, 2.0, 16 * 2**30)
    shown = run(lambda: world.client.at(OURS).get("/v1/hosts/metal")).json["host"]
    assert shown["labels"] == {"rack": "r1", "disk": "ssd"}, "where both say something, the operator is right"
    assert (shown["engine"]["kernel"], shown["engine"]["cgroup_driver"]) == ("6.12", "systemd")
    assert "engine_id" not in shown["engine"] and "hostname" not in shown["engine"]


def test_a_host_cluster_bigger_than_its_inventory_is_refused(world: World) -> None:
    machines = [{"endpoint": f"unix:///run/m{number}.sock"} for number in range(2)]
    spec = {"type": "host.docker", "version": "1.0", "properties": {"inventory": machines}}
    fleet = world.profile("fleet", HOST_TYPE, spec=spec)
    body = {"cluster": {"name": "hosts", "profile_id": fleet.id, "desired_capacity": 3}}
    answer = run(lambda: world.client.as_user("admin").post("/v1/clusters", body))
    assert answer.status == 400
    assert "2 machines of the profile are free: ask for 2 at most" in answer.json["error"]["message"]
    body["cluster"]["desired_capacity"] = 2
    assert run(lambda: world.client.as_user("admin").post("/v1/clusters", body)).status == 202


def test_a_host_tells_what_of_the_callers_own_is_on_it_and_names_it(world: World) -> None:
    host = world.host()
    box = world.container(world.profile(), host)
    world.container(world.profile("foreign", project="theirs"), host, "secret", project="theirs")
    pinning = world.profile("pinning", pins={"host_node": host.node_id})
    world.profile("theirs", project="theirs", pins={"host_node": host.node_id})
    shown = run(lambda: world.client.at(OURS).get("/v1/hosts/metal")).json["host"]
    assert shown["nodes"] == [{"id": box.id, "name": "box", "status": "ACTIVE"}]
    assert shown["profiles"] == [{"id": pinning.id, "name": "pinning"}]
    (listed,) = run(lambda: world.client.at(OURS).get("/v1/hosts")).json["hosts"]
    assert listed.keys() == shown.keys() - {"nodes", "profiles"}


def test_all_of_the_machine_unless_it_is_said_otherwise(world: World) -> None:
    answer = adopt(world)
    name = answer.json["node"]["name"]
    assert name.startswith("node-") and len(name) == 13
    host = run(lambda: world.client.at(OURS).get(f"/v1/hosts/{name}")).json["host"]
    assert host["capacity"] == {"cpu": 8.0, "memory": 16 * 2**30, "disk": None}


@pytest.mark.parametrize("path", ["adopt", "adopt-preview"])
@pytest.mark.parametrize(
    ("values", "status", "kind", "words"),
    [
        ({"type": "nope-1.0"}, 400, "BadRequest", "'nope-1.0' could not be found"),
        ({"type": CONTAINER_TYPE}, 400, "BadRequest", "can be adopted"),
        ({"identity": "tcp://1.2.3.4:2375"}, 400, "InvalidSpec", "credential"),
        ({"identity": "ssh://me@1.2.3.4"}, 400, "InvalidSpec", "name one of type docker-ssh"),
        ({"identity": "http://x"}, 400, "InvalidSpec", "properties.endpoint"),
        ({"identity": None}, 400, "HTTPBadRequest", "identity"),
        ({"overrides": {"endpoint": "unix:///x"}}, 400, "HTTPBadRequest", "overrides.endpoint"),
        ({"overrides": {"bogus": 1}}, 400, "InvalidSpec", "bogus"),
        ({"overrides": "x"}, 400, "HTTPBadRequest", "overrides"),
        ({"snapshot": True}, 400, "HTTPBadRequest", "snapshot"),
        ({"bogus": 1}, 400, "HTTPBadRequest", "bogus"),
    ],
)
def test_refused(world: World, path: str, values: Any, status: int, kind: str, words: str) -> None:
    answer = adopt(world, path, **values)
    assert answer.error[:2] == (status, kind)
    assert words in answer.error[2]
    assert world.access.probed == []


def test_what_does_not_answer_is_not_stored(world: World) -> None:
    world.access.facts = HostUnreachable("nothing listens at /run/docker.sock")
    answer = adopt(world, name="metal")
    assert answer.error[:2] == (500, "ProfileOperationFailed")
    assert "nothing listens" in answer.error[2]
    assert run(lambda: world.client.get("/v1/nodes")).json == {"nodes": []}
    assert run(lambda: world.client.get("/v1/profiles")).json == {"profiles": []}


def test_one_engine_is_one_host(world: World) -> None:
    adopt(world, name="metal")
    same_endpoint = adopt(world, name="again")
    assert same_endpoint.error[:2] == (409, "ResourceInUse")
    same_engine = adopt(world, name="again", identity="ssh://me@metal", overrides={"credential": "ops"})
    assert same_engine.error[:2] == (409, "ResourceInUse")
    assert SOCKET in same_engine.error[2]
    assert len(run(lambda: world.client.get("/v1/nodes")).json["nodes"]) == 1


def test_only_operators_adopt(world: World) -> None:
    for path in ("adopt", "adopt-preview"):
        assert adopt(world, path, who="member").error[:2] == (403, "Forbidden")
    assert world.access.probed == []


def test_a_preview_stores_nothing(world: World) -> None:
    answer = adopt(world, "adopt-preview", identity="ssh://me@metal", overrides={"zone": "z1", "credential": "ops"})
    preview = answer.json["node_profile"]["node_preview"]
    assert (preview["type"], preview["version"]) == ("host.docker", "1.0")
    assert preview["properties"] == {"endpoint": "ssh://me@metal:22", "zone": "z1", "credential": "ops"}
    assert run(lambda: world.client.get("/v1/nodes")).json == {"nodes": []}


def test_a_host_is_shown_by_its_node_and_nothing_else_is_a_host(world: World) -> None:
    async def body() -> None:
        host = world.host()
        world.node(world.profile(), "box")
        client = world.client.at(OURS)
        for word in ("metal", host.node_id, host.node_id[:7]):
            assert (await client.get(f"/v1/hosts/{word}")).json["host"]["id"] == host.node_id
        for word in ("box", "nope"):
            status, kind, message = (await client.get(f"/v1/hosts/{word}")).error
            assert (status, kind) == (404, "ResourceNotFound") and f"host '{word}'" in message

    run(body)


def test_two_hosts_of_one_project_have_two_names(world: World) -> None:
    assert adopt(world, name="metal").status == 200
    world.access.facts = replace(world.access.facts, engine_id="ENGINE:2")
    again = adopt(world, name="metal", identity="unix:///var/run/docker.sock")
    assert again.status == 409 and b"another name" in again.body
    assert adopt(world, name="steel", identity="unix:///var/run/docker.sock").status == 200


class TestPlacement:
    def show(self, world: World) -> Any:
        return run(lambda: world.client.at(OURS).get("/v1/nodes/box/placement")).json["placement"]

    def decide(self, world: World, node: Node, memory: int) -> None:
        """What the scheduler says of one request to the one host, kept with the node."""
        found = world.store.run(hosts.find)
        request = PlacementRequest(node.id, 0.1, memory, host_cluster="", host_node=found[0].node_id)
        (answer,) = Fleet(found, Surroundings()).place([request])
        row = {"id": "d" * 36, "decided_at": 1.0, "body": answer.decision.body()}
        world.store.run(lambda c: c.execute(tables.decision.insert(), row))
        world.change(tables.node, node.id, decision_id=row["id"], decision_step=answer.step)

    def test_placed(self, world: World) -> None:
        node = world.container(world.profile(), world.host())
        self.decide(world, node, 1)
        shown = self.show(world)
        assert (shown["state"], shown["host"], shown["generation"]) == ("placed", "metal", 1)
        assert shown["strategy"] == "spread" and "metal" in shown["summary"]
        assert [(h["host"], h["fits"], h["reasons"]) for h in shown["hosts"]] == [("metal", True, [])]
        in_the_node = run(lambda: world.client.get("/v1/nodes/box")).json["node"]["data"]["placement"]
        assert set(in_the_node) == {"host_id", "host_name", "generation", "decided_at"}

    def test_waiting(self, world: World) -> None:
        world.host()
        node = world.node(world.profile(), "box", status_reason="no host has room", data={"x": 1})
        assert self.show(world)["summary"] == "no host has room", "nothing was decided yet"
        self.decide(world, node, 2**60)
        shown = self.show(world)
        assert (shown["state"], shown["host"], shown["failed"]) == ("waiting", None, {"memory": 1})
        assert shown["nearest_miss"]["host"] == "metal"
        assert run(lambda: world.client.get("/v1/nodes/box")).json["node"]["data"] == {"x": 1}
