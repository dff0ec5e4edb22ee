"""Every field of every object, wherever it is shown, and which of them may be null, empty or -1."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest

from api.client import Answer
from api.contract import ask, contents
from api.world import World
from spinney.domain.event import Event, Level
from spinney.store import engines, tables
from spinney.store.rows import EVENTS

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

#: What each kind of field looks like.
KINDS: Mapping[str, Any] = {
    "id": lambda value: isinstance(value, str) and ID.fullmatch(value),
    "text": lambda value: isinstance(value, str),
    "int": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "float": lambda value: isinstance(value, float),
    "bool": lambda value: isinstance(value, bool),
    "map": lambda value: isinstance(value, dict),
    "ids": lambda value: isinstance(value, list) and all(ID.fullmatch(one) for one in value),
    "time": lambda value: isinstance(value, str) and TIME.fullmatch(value),
    "null": lambda value: value is None,
    "empty": lambda value: value == "",
}
OWNED = {"user": "text", "project": "text", "domain": "text null"}
PROFILE = {
    "id": "id", "name": "text", "type": "text", **OWNED, "spec": "map", "metadata": "map", "created_at": "time",
    "updated_at": "time null",
}  # fmt: skip
POLICY = {
    "id": "id", "name": "text", "type": "text", **OWNED, "spec": "map", "data": "map", "created_at": "time",
    "updated_at": "time null",
}  # fmt: skip
CLUSTER = {
    "id": "id", "name": "text", "profile_id": "id", "profile_name": "text", **OWNED, "init_at": "time",
    "created_at": "time null", "updated_at": "time null", "min_size": "int", "max_size": "int",
    "desired_capacity": "int", "timeout": "int", "status": "text", "status_reason": "text", "metadata": "map",
    "data": "map", "dependents": "map", "config": "map", "nodes": "ids", "policies": "ids",
}  # fmt: skip
BINDING = {
    "id": "id", "cluster_id": "id", "cluster_name": "text", "policy_id": "id", "policy_name": "text",
    "policy_type": "text", "enabled": "bool", "priority": "int", "data": "map null", "last_op": "time null",
}  # fmt: skip
NODE = {
    "id": "id", "name": "text", "cluster_id": "id empty", "physical_id": "text null", "profile_id": "id",
    "profile_name": "text", **OWNED, "index": "int", "role": "text", "init_at": "time", "created_at": "time null",
    "updated_at": "time null", "status": "text", "status_reason": "text", "data": "map", "metadata": "map",
    "dependents": "map", "tainted": "bool",
}  # fmt: skip
ACTION = {
    "id": "id", "name": "text", "action": "text", "target": "id", "cluster_id": "id empty", "cause": "text",
    "owner": "id null", "interval": "int", "start_time": "float null", "end_time": "float null", "timeout": "int",
    "status": "text", "status_reason": "text", "inputs": "map", "outputs": "map", "data": "map", "depends_on": "ids",
    "depended_by": "ids", "created_at": "time", "updated_at": "time null", "user": "text", "project": "text",
}  # fmt: skip
RECEIVER = {
    "id": "id", "name": "text", "type": "text", **OWNED, "cluster_id": "id null", "action": "text null",
    "actor": "map", "params": "map", "channel": "map", "created_at": "time", "updated_at": "time null",
}  # fmt: skip
EVENT = {
    "id": "id", "timestamp": "time", "oid": "id", "oname": "text", "otype": "text", "cluster_id": "id empty",
    "level": "text", "user": "text", "project": "text", "action": "text", "status": "text", "status_reason": "text",
    "meta_data": "map",
}  # fmt: skip
SERVICE = {
    "id": "id", "host": "text", "binary": "text", "topic": "text", "status": "text", "state": "text",
    "disabled_reason": "text null", "updated_at": "time",
}  # fmt: skip


def check(shown: Mapping[str, Any], fields: Mapping[str, str], **expected: Any) -> None:
    """The object has exactly these fields, each of one of its kinds; some have these values."""
    assert set(shown) == set(fields)
    for name, kinds in fields.items():
        assert any(KINDS[kind](shown[name]) for kind in kinds.split()), f"{name}: {shown[name]!r} is not {kinds}"
    assert {name: shown[name] for name in expected} == expected


def listed(world: World, noun: str, id: str) -> dict[str, Any]:
    (found,) = (one for one in contents(ask(world, "GET", f"/{noun}")) if one["id"] == id)
    return dict(found)


def queued(answer: Answer) -> Any:
    """What a 202 shows, with a place to look for its action."""
    assert answer.status == 202
    assert KINDS["id"](answer.headers["location"].rpartition("/actions/")[2])
    return contents(answer)


SPEC = {"type": "container.dockerinc.docker", "version": "1.0", "properties": {"image": "a", "host_cluster": "farm"}}


def test_profiles(world: World) -> None:
    world.cluster(world.profile("machine", "host.docker-1.0"), "farm")
    made = ask(world, "POST", "/profiles", {"profile": {"name": "p", "spec": SPEC}})
    assert (made.status, list(made.json)) == (201, ["profile"])
    one = contents(made)
    check(one, PROFILE, type="container.dockerinc.docker-1.0", metadata={}, spec=SPEC, updated_at=None)
    assert contents(ask(world, "GET", "/profiles/p")) == listed(world, "profiles", one["id"]) == one
    changed = ask(world, "PATCH", "/profiles/p", {"profile": {"metadata": {"k": [1, None]}, "name": None}})
    assert changed.status == 200
    check(contents(changed), PROFILE, metadata={"k": [1, None]}, name="p")
    assert contents(changed)["updated_at"] is not None
    cleared = contents(ask(world, "PATCH", "/profiles/p", {"profile": {"metadata": {}}}))
    assert cleared["metadata"] == {}
    for nothing in ({}, {"name": "p"}, {"metadata": {}}, {"name": None, "metadata": None}):
        assert ask(world, "PATCH", "/profiles/p", {"profile": nothing}).error[0] == 400
    assert ask(world, "PATCH", "/profiles/p", {"profile": {"name": "q", "spec": SPEC}}).error[:2] == (
        400,
        "HTTPBadRequest",
    )
    gone = ask(world, "DELETE", "/profiles/p")
    assert (gone.status, gone.body) == (204, b"") and "location" not in gone.headers


def test_what_validating_a_profile_shows(world: World) -> None:
    world.cluster(world.profile("machine", "host.docker-1.0"), "farm")
    shown = contents(ask(world, "POST", "/profiles/validate", {"profile": {"spec": SPEC}}))
    check(
        shown,
        {**PROFILE, "id": "null", "created_at": "null"},
        name="validated_profile",
        updated_at=None,
        metadata={},
        spec=SPEC,
    )
    assert ask(world, "POST", "/profiles/validate", {"profile": {"spec": SPEC, "name": "p"}}).error[0] == 400


def test_policies(world: World) -> None:
    spec = {"type": "senlin.policy.deletion", "version": "1.0", "description": "d", "properties": {}}
    made = ask(world, "POST", "/policies", {"policy": {"name": "p", "spec": spec}})
    assert (made.status, list(made.json)) == (201, ["policy"])
    one = contents(made)
    check(one, POLICY, type="senlin.policy.deletion-1.0", data={}, spec=spec, updated_at=None)
    assert contents(ask(world, "GET", "/policies/p")) == listed(world, "policies", one["id"]) == one
    changed = ask(world, "PATCH", "/policies/p", {"policy": {"name": "q"}})
    check(contents(changed), POLICY, name="q")
    assert contents(changed)["updated_at"] is not None
    for nothing in ({}, {"name": "q"}, {"name": None}, {"name": "x", "spec": spec}, {"name": "x", "metadata": {}}):
        assert ask(world, "PATCH", "/policies/q", {"policy": nothing}).error[0] == 400
    shown = contents(ask(world, "POST", "/policies/validate", {"policy": {"spec": spec}}))
    check(shown, {**POLICY, "id": "null", "created_at": "null"}, name="validated_policy", updated_at=None)
    assert ask(world, "DELETE", "/policies/q").status == 204


def test_clusters(world: World) -> None:
    world.profile()
    made = queued(ask(world, "POST", "/clusters", {"cluster": {"name": "c", "profile_id": "web"}}))
    check(
        made, CLUSTER, status="INIT", created_at=None, updated_at=None, max_size=-1, timeout=3600, config={}, nodes=[],
        data={}, dependents={}, metadata={}, policies=[], profile_name="web", user="admin", project="ours",
    )  # fmt: skip
    assert contents(ask(world, "GET", "/clusters/c")) == listed(world, "clusters", made["id"]) == made
    cluster = world.cluster(world.profile("other"), "full", members=2, created_at=3.0)
    policy = world.policy(on=cluster)
    shown = contents(ask(world, "GET", "/clusters/full"))
    check(shown, CLUSTER, created_at="1970-01-01T00:00:03Z")
    assert len(shown["nodes"]) == 2 and len(shown["policies"]) == 1
    assert shown["policies"] != [policy.id], "ids of bindings, not of policies"
    (binding,) = contents(ask(world, "GET", "/clusters/full/policies"))
    assert shown["policies"] == [binding["id"]]
    changed = queued(ask(world, "PATCH", "/clusters/full", {"cluster": {"name": "new", "metadata": {"k": 1}}}))
    assert changed == shown, "the cluster as it still is"


def test_bindings(world: World) -> None:
    cluster = world.cluster(world.profile())
    policy = world.policy("p", on=cluster)
    (one,) = contents(ask(world, "GET", "/clusters/c1/policies"))
    check(one, BINDING, cluster_id=cluster.id, policy_id=policy.id, policy_type=policy.type, enabled=True, last_op=None)
    for word in ("p", policy.id, policy.id[:8]):
        answer = ask(world, "GET", f"/clusters/c1/policies/{word}")
        assert list(answer.json) == ["cluster_policy"] and contents(answer) == one
    table = tables.binding
    world.store.run(lambda connection: connection.execute(table.update().values(last_op=7.9, enabled=False)))
    check(
        contents(ask(world, "GET", "/clusters/c1/policies/p")), BINDING, last_op="1970-01-01T00:00:07Z", enabled=False
    )


def test_nodes(world: World) -> None:
    profile = world.profile()
    cluster = world.cluster(profile, "c1")
    orphan = queued(ask(world, "POST", "/nodes", {"node": {"name": "n", "profile_id": "web"}}))
    check(
        orphan, NODE, cluster_id="", index=-1, physical_id=None, role="", status="INIT", created_at=None,
        updated_at=None, tainted=False, data={}, metadata={}, dependents={}, profile_name="web", name="n",
    )  # fmt: skip
    assert contents(ask(world, "GET", "/nodes/n")) == listed(world, "nodes", orphan["id"]) == orphan
    given = {"name": "ignored", "profile_id": "web", "cluster_id": "c1", "role": "master", "metadata": {"k": 1}}
    for index in (1, 2):
        member = queued(ask(world, "POST", "/nodes", {"node": given}))
        check(member, NODE, cluster_id=cluster.id, index=index, role="master", metadata={"k": 1})
        assert re.fullmatch(r"node-[A-Za-z][A-Za-z0-9]{7}", member["name"])
    assert queued(ask(world, "POST", "/nodes", {"node": {**given, "cluster_id": ""}}))["name"] == "ignored"
    world.change(tables.node, orphan["id"], profile_id=world.ids.new())
    assert contents(ask(world, "GET", "/nodes/n"))["profile_name"] == "Unknown"


@pytest.mark.parametrize("flag", ["true", "True", "1", "yes", "on"])
def test_details_of_a_node_are_there_when_asked_for_and_only_then(world: World, flag: str) -> None:
    world.container(world.profile(), world.host())
    shown = contents(ask(world, "GET", "/nodes/box", show_details=flag))
    check(shown, {**NODE, "details": "map"})
    assert shown["details"]["status"] == "ACTIVE"
    (network,) = shown["details"]["addresses"].values()
    assert all({"addr", "version", "OS-EXT-IPS:type"} <= set(address) for address in network)
    for none in ("false", "False", "0"):
        check(contents(ask(world, "GET", "/nodes/box", show_details=none)), NODE)
    world.node(world.profile("p"), "bare")
    check(contents(ask(world, "GET", "/nodes/bare", show_details=flag)), NODE, physical_id=None)
    check(listed(world, "nodes", shown["id"]), NODE)


def test_actions(world: World) -> None:
    cluster = world.cluster(world.profile(), timeout=77)
    node = world.node(world.profile("p"), "n")
    on_cluster = ask(world, "POST", "/clusters/c1/actions", {"check": {}}).action
    check(
        contents(ask(world, "GET", f"/actions/{on_cluster}")), ACTION, interval=-1, cause="RPC Request", timeout=77,
        cluster_id=cluster.id, target=cluster.id, owner=None, start_time=None, end_time=None, updated_at=None,
        depends_on=[], depended_by=[], status="READY",
    )  # fmt: skip
    on_node = ask(world, "POST", "/nodes/n/actions", {"check": {}}).action
    shown = contents(ask(world, "GET", f"/actions/{on_node}"))
    check(shown, ACTION, cluster_id="", target=node.id, timeout=3600)
    assert listed(world, "actions", on_node) == shown
    times = {"start_time": 1.5, "end_time": 2.25, "updated_at": 2.25}
    world.change(tables.action, on_node, status="SUCCEEDED", owner=world.ids.new(), **times)
    ended = contents(ask(world, "GET", f"/actions/{on_node}"))
    check(ended, ACTION, start_time=1.5, end_time=2.25, updated_at="1970-01-01T00:00:02Z")


def test_receivers(world: World) -> None:
    cluster = world.cluster(world.profile())
    given = {"name": "r", "type": "webhook", "cluster_id": "c1", "action": "CLUSTER_SCALE_OUT", "params": {"count": 2}}
    made = ask(world, "POST", "/receivers", {"receiver": given})
    assert (made.status, list(made.json)) == (201, ["receiver"])
    one = contents(made)
    check(one, RECEIVER, cluster_id=cluster.id, action="CLUSTER_SCALE_OUT", params={"count": 2}, updated_at=None)
    assert set(one["channel"]) == {"alarm_url"}
    where, _, query = one["channel"]["alarm_url"].partition("?")
    assert where == f"http://api.example:8777/v1/webhooks/{one['id']}/trigger"
    assert query.startswith("V=2&count=2")
    shown = contents(ask(world, "GET", "/receivers/r"))
    check(shown, RECEIVER)
    assert listed(world, "receivers", one["id"]) == shown
    changed = contents(ask(world, "PATCH", "/receivers/r", {"receiver": {"params": {"count": 3}}}))
    check(changed, RECEIVER, params={"count": 3}, channel=shown["channel"])  # the URL is not made anew
    for nothing in ({}, {"params": {"count": 3}}, {"name": "r"}, {"action": None}, {"cluster_id": "c1"}):
        assert ask(world, "PATCH", "/receivers/r", {"receiver": nothing}).error[0] == 400
    assert ask(world, "DELETE", "/receivers/r").status == 204


@pytest.mark.parametrize("level", ["CRITICAL", "ERROR", "WARN", "INFO", "DEBUG"])
def test_events(world: World, level: str) -> None:
    common = {"oname": "n", "otype": "NODE", "action": "restart", "status": "end", "status_reason": "r"}
    made = Event(oid=world.ids.new(), timestamp=9.9, cluster_id="", level=Level[level], **common, **world.new())
    world.insert(EVENTS, made)
    shown = contents(ask(world, "GET", f"/events/{made.id}"))
    check(shown, EVENT, level=level, timestamp="1970-01-01T00:00:09Z", meta_data={}, cluster_id="")
    assert listed(world, "events", made.id) == shown
    assert contents(ask(world, "GET", f"/events/{made.id[:8]}")) == shown


def test_what_the_service_says_of_itself(world: World) -> None:
    assert ask(world, "GET", "/build-info").json == {
        "build_info": {"api": {"revision": "1.0"}, "engine": {"revision": "1.0"}}
    }
    world.store.run(engines.begin, world.ids.new(), "somewhere", 60.0, None)
    (one,) = contents(ask(world, "GET", "/services"))
    check(one, SERVICE, host="somewhere", state="up", status="enabled", disabled_reason=None)


def test_adopting(world: World) -> None:
    given = {"identity": "unix:///var/run/docker.sock", "type": "host.docker-1.0", "overrides": None, "snapshot": False}
    shown = ask(world, "POST", "/nodes/adopt-preview", given)
    assert shown.status == 200 and list(shown.json) == ["node_profile"]
    preview = shown.json["node_profile"]["node_preview"]
    assert set(preview) == {"type", "version", "properties"} and preview["type"] == "host.docker"
    assert contents(ask(world, "GET", "/nodes")) == []
    adopted = ask(world, "POST", "/nodes/adopt", {**given, "role": "r", "metadata": {"k": 1}})
    assert adopted.status == 200 and "location" not in adopted.headers
    check(contents(adopted), NODE, status="ACTIVE", metadata={"k": 1}, cluster_id="", index=-1)
    name = contents(adopted)["name"]
    assert re.fullmatch(r"node-[A-Za-z0-9]{8}", name)
    assert contents(adopted)["profile_name"] == f"prof-{name}"
    for bad in (
        {"type": given["type"]},
        {"identity": "x"},
        {**given, "bogus": 1},
        {**given, "snapshot": "maybe"},
        {**given, "overrides": []},
        {"node": given},
    ):
        for path in ("/nodes/adopt", "/nodes/adopt-preview"):
            assert ask(world, "POST", path, bad).error[:2] == (400, "HTTPBadRequest")
    assert ask(world, "POST", "/nodes/adopt-preview", {**given, "name": "n"}).error[0] == 400


def test_attributes(world: World) -> None:
    profile = world.profile()
    cluster = world.cluster(profile, members=2)
    boxed = world.container(profile, world.host(), "box")
    world.change(tables.node, boxed.id, cluster_id=cluster.id, index=3, metadata={"k": {"l": [1, 2]}})
    ids = contents(ask(world, "GET", "/clusters/c1"))["nodes"]

    def collected(path: str) -> dict[str, Any]:
        answer = ask(world, "GET", f"/clusters/c1/attrs/{path}")
        assert list(answer.json) == ["cluster_attributes"]
        found = contents(answer)
        assert all(set(one) == {"id", "value"} for one in found)
        return {one["id"]: one["value"] for one in found}

    assert collected("name") == dict(zip(ids, ["c1-1", "c1-2", "box"], strict=True))
    assert collected("$.status") == dict.fromkeys(ids, "ACTIVE")
    assert collected("metadata.k.l[1]") == {boxed.id: 2}
    assert collected("metadata.k.l[*]") == {boxed.id: 1}, "the first match"
    assert collected("details.status") == {boxed.id: "ACTIVE"}, "those without a physical object have no details"
    assert set(collected("details")) == {boxed.id}
    assert collected("nowhere") == {}
    assert contents(ask(world, "GET", "/clusters/c1/attrs/physical_id"))  # null is a value


def test_deletions_of_what_takes_time_answer_null_and_say_where_to_look(world: World) -> None:
    profile = world.profile()
    for number, body in enumerate((None, {}, {"force": None}, {"force": False}, {"force": True}, {"force": "yes"})):
        world.cluster(profile, f"c{number}")
        world.node(profile, f"n{number}")
        for path in (f"/clusters/c{number}", f"/nodes/n{number}"):
            answer = ask(world, "DELETE", path, body)
            assert (answer.status, answer.json) == (202, None)
            assert KINDS["id"](answer.headers["location"].removeprefix("/v1/actions/"))
    world.cluster(profile, "left")
    world.node(profile, "kept")
    for path in ("/clusters/left", "/nodes/kept"):
        assert ask(world, "DELETE", path, {"force": "perhaps"}).error[:2] == (400, "HTTPBadRequest")


@pytest.mark.parametrize("force", [False, True])
def test_what_others_depend_on_is_not_deleted_even_by_force(world: World, force: bool) -> None:
    farm = world.cluster(world.profile("machine", "host.docker-1.0"), "farm")
    host = world.host("metal", cluster_id=farm.id)
    world.profile("web", pins={"host_cluster": farm.id})
    world.container(world.profile("p"), host)
    for path in ("/clusters/farm", "/nodes/metal"):
        assert ask(world, "DELETE", path, {"force": force}).error[:2] == (409, "ResourceInUse")
