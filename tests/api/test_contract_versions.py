"""Microversions 1.0 to 1.14, each at what the contract says came with another: refused, dropped, left out, or not enforced."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from api.client import Answer
from api.world import OURS, PLACEMENT_TYPE, World, run
from spinney.store import tables

ALL = range(15)
CONTAINERS = {"type": "container.dockerinc.docker", "version": "1.0", "properties": {"image": "a", "host_cluster": "h"}}
DELETION = {"type": "senlin.policy.deletion", "version": "1.0", "properties": {}}


def at(world: World, minor: int, method: str, path: str, body: Any = None, **query: Any) -> Answer:
    client = world.client.at(f"clustering 1.{minor}")
    return run(lambda: client.request(method, path, body, query=query))


def furnish(world: World) -> None:
    """A cluster ``c1`` with two members, an orphan, a receiver, policies, and an action that can be cancelled."""
    profile = world.profile()
    cluster = world.cluster(profile, members=2, max_size=9)
    world.node(profile, "orphan")
    world.profile("other")
    world.policy("spread", on=cluster)
    world.policy("loose")
    world.receiver(cluster, name="grow")


# --- refused below the version ----------------------------------------------------------------------------------------

REFUSED: Mapping[str, tuple[int, str, str, Any]] = {
    "collect": (2, "GET", "/v1/clusters/c1/attrs/name", None),
    "profile validate": (2, "POST", "/v1/profiles/validate", {"profile": {"spec": CONTAINERS}}),
    "policy validate": (2, "POST", "/v1/policies/validate", {"policy": {"spec": DELETION}}),
    "replace_nodes": (3, "POST", "/v1/clusters/c1/actions", {"replace_nodes": {"nodes": {"c1-1": "orphan"}}}),
    "type ops": (4, "GET", "/v1/profile-types/container.dockerinc.docker-1.0/ops", None),
    "cluster ops": (4, "POST", "/v1/clusters/c1/ops", {"restart": {}}),
    "node ops": (4, "POST", "/v1/nodes/orphan/ops", {"restart": {}}),
    "adopt": (7, "POST", "/v1/nodes/adopt", {"identity": "unix:///m", "type": "host.docker-1.0"}),
    "adopt-preview": (7, "POST", "/v1/nodes/adopt-preview", {"identity": "unix:///m", "type": "host.docker-1.0"}),
    "complete_lifecycle": (
        9,
        "POST",
        "/v1/clusters/c1/actions",
        {"complete_lifecycle": {"lifecycle_action_token": ""}},
    ),
    "action update": (12, "PATCH", "/v1/actions/00000000-0000-4000-8000-000000000000", {"action": {"status": "X"}}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_below_its_version_and_at_no_other(world: World, what: str) -> None:
    since, method, path, body = REFUSED[what]
    furnish(world)
    world.host("h")
    for minor in ALL:
        answer = at(world, minor, method, path, body)
        refused = answer.status == 400 and answer.error[1] == "MethodVersionNotFound"
        assert refused == (minor < since), (minor, answer.body)
    elsewhere = path.replace("/c1/", "/absent/").replace("/orphan/", "/absent/")
    assert at(world, since - 1, method, elsewhere, body).error[1] == "MethodVersionNotFound"  # before it is looked up


# --- dropped below the version ----------------------------------------------------------------------------------------


def inputs(world: World, answer: Answer) -> Mapping[str, Any]:
    """Of the action that was queued; the target is free for the next."""
    found = world.action(answer.action)
    world.end(found.id)
    return found.inputs


def _destroys(world: World, minor: int) -> bool:
    body = {"del_nodes": {"nodes": ["c1-1"], "destroy_after_deletion": True}}
    return bool(inputs(world, at(world, minor, "POST", "/v1/clusters/c1/actions", body))["destroy_after_deletion"])


def _filters_users(world: World, minor: int) -> bool:
    return at(world, minor, "GET", "/v1/receivers", user="somebody").json == {"receivers": []}


def _profile_only(world: World, minor: int) -> bool:
    body = {"cluster": {"profile_id": "other", "profile_only": True}}
    return "profile_only" in inputs(world, at(world, minor, "PATCH", "/v1/clusters/c1", body))


def _config(world: World, minor: int) -> bool:
    body = {"cluster": {"name": "n", "config": {"k": "v"}}}
    return "config" in inputs(world, at(world, minor, "PATCH", "/v1/clusters/c1", body))


def _forces_cluster(world: World, minor: int) -> bool:
    world.change(tables.cluster, world_id(world, "clusters/c1"), status="UPDATING")
    return at(world, minor, "DELETE", "/v1/clusters/c1", {"force": True}).status == 202


def _forces_cluster_by_query(world: World, minor: int) -> bool:
    world.change(tables.cluster, world_id(world, "clusters/c1"), status="UPDATING")
    return at(world, minor, "DELETE", "/v1/clusters/c1", force="true").status == 202


def _forces_node(world: World, minor: int) -> bool:
    world.change(tables.node, world_id(world, "nodes/orphan"), status="UPDATING")
    return at(world, minor, "DELETE", "/v1/nodes/orphan", {"force": True}).status == 202


def _taints(world: World, minor: int) -> bool:
    body = {"node": {"name": "n", "tainted": True}}
    return "tainted" in inputs(world, at(world, minor, "PATCH", "/v1/nodes/orphan", body))


def _filters_actions(world: World, minor: int) -> bool:
    at(world, minor, "POST", "/v1/nodes/orphan/actions", {"check": {}})
    return at(world, minor, "GET", "/v1/actions", cluster_id="absent").json == {"actions": []}


def world_id(world: World, path: str) -> str:
    (content,) = at(world, 14, "GET", f"/v1/{path}").json.values()
    return str(content["id"])


DROPPED: Mapping[str, tuple[int, Callable[[World, int], bool]]] = {
    "destroy_after_deletion": (4, _destroys),
    "user filter of receivers": (4, _filters_users),
    "profile_only": (6, _profile_only),
    "config in update": (7, _config),
    "force of clusters": (8, _forces_cluster),
    "force of clusters in the query": (8, _forces_cluster_by_query),
    "force of nodes": (8, _forces_node),
    "tainted in update": (13, _taints),
    "cluster_id filter of actions": (14, _filters_actions),
}


@pytest.mark.parametrize("what", DROPPED)
def test_what_is_dropped_silently_below_its_version_and_at_no_other(world: World, what: str) -> None:
    since, heeded = DROPPED[what]
    furnish(world)
    assert [heeded(world, minor) for minor in ALL] == [minor >= since for minor in ALL]


def test_an_update_with_nothing_but_what_is_dropped_changes_nothing(world: World) -> None:
    furnish(world)
    for minor, path, body in (
        (6, "clusters/c1", {"cluster": {"config": {"k": "v"}}}),
        (5, "clusters/c1", {"cluster": {"profile_only": True}}),
        (12, "nodes/orphan", {"node": {"tainted": True}}),
    ):
        answer = at(world, minor, "PATCH", f"/v1/{path}", body)
        assert answer.error[:2] == (400, "BadRequest")
        assert "Nothing would change" in answer.error[2]


# --- left out of answers below the version ----------------------------------------------------------------------------


def _objects(answer: Answer) -> list[dict[str, Any]]:
    (content,) = answer.json.values()
    found = content if isinstance(content, list) else [content]
    assert found
    return found


def _shown(world: World, minor: int, key: str, *paths: str) -> set[bool]:
    return {key in one for path in paths for one in _objects(at(world, minor, "GET", f"/v1/{path}"))}


def test_tainted_is_in_every_answer_about_nodes_from_1_13_on(world: World) -> None:
    furnish(world)
    for minor in ALL:
        expected = minor >= 13
        assert _shown(world, minor, "tainted", "nodes", "nodes/orphan") == {expected}
        made = at(world, minor, "POST", "/v1/nodes", {"node": {"name": f"n{minor}", "profile_id": "web"}})
        changed = at(world, minor, "PATCH", f"/v1/nodes/c1-{1 + minor % 2}", {"node": {"name": f"x{minor}"}})
        assert all(("tainted" in answer.json["node"]) == expected for answer in (made, changed))
        world.end(changed.action)


def test_cluster_id_is_in_every_answer_about_actions_from_1_14_on(world: World) -> None:
    furnish(world)
    token = at(world, 14, "POST", "/v1/clusters/c1/actions", {"check": {}}).action
    for minor in ALL:
        assert _shown(world, minor, "cluster_id", "actions", f"actions/{token}") == {minor >= 14}


@pytest.mark.parametrize("kind", ["profile", "policy"])
def test_types_are_told_apart_by_name_below_1_5(world: World, kind: str) -> None:
    name, version = ("container.dockerinc.docker", "1.0") if kind == "profile" else ("senlin.policy.deletion", "1.1")
    for minor in ALL:
        listed = at(world, minor, "GET", f"/v1/{kind}-types").json[f"{kind}_types"]
        shown = at(world, minor, "GET", f"/v1/{kind}-types/{name}-{version}").json[f"{kind}_type"]
        assert shown["name"] == f"{name}-{version}"
        if minor < 5:
            assert {"name": f"{name}-{version}"} in listed and all(set(one) == {"name"} for one in listed)
            assert set(shown) == {"name", "schema"}
            continue
        assert all(set(one) == {"name", "version", "support_status"} for one in listed)
        (one,) = (one for one in listed if (one["name"], one["version"]) == (name, version))
        assert set(one["support_status"]) == {version}
        assert set(shown) == {"name", "schema", "support_status"}
        assert shown["support_status"].items() >= one["support_status"].items()
        entries = [entry for entries in shown["support_status"].values() for entry in entries]
        assert entries and all(set(entry) == {"status", "since"} for entry in entries)
        assert {entry["status"] for entry in entries} <= {"EXPERIMENTAL", "SUPPORTED", "DEPRECATED", "UNSUPPORTED"}


def test_the_show_of_a_type_tells_of_all_its_versions(world: World) -> None:
    shown = at(world, 5, "GET", "/v1/policy-types/senlin.policy.deletion-1.0").json["policy_type"]
    assert set(shown["support_status"]) == {"1.0", "1.1"}


# --- at every version -------------------------------------------------------------------------------------------------


def test_what_no_version_takes_away(world: World) -> None:
    furnish(world)
    receiver = world_id(world, "receivers/grow")
    for minor in ALL:
        given = {"name": f"n{minor}", "profile_id": "web", "config": {"k": "v"}}
        made = at(world, minor, "POST", "/v1/clusters", {"cluster": given})
        assert made.json["cluster"]["config"] == {"k": "v"}
        assert at(world, minor, "GET", "/v1/services").json == {"services": []}
        changed = at(world, minor, "PATCH", f"/v1/receivers/{receiver}", {"receiver": {"name": f"g{minor}"}})
        assert changed.json["receiver"]["name"] == f"g{minor}"
        recover = {"recover": {"check": True}}
        assert inputs(world, at(world, minor, "POST", "/v1/clusters/c1/actions", recover)) == {"check": True}
        assert inputs(world, at(world, minor, "POST", "/v1/nodes/orphan/actions", recover)) == {"check": True}
        first = at(world, minor, "POST", "/v1/clusters/c1/actions", {"scale_out": {}})
        assert at(world, minor, "POST", "/v1/clusters/c1/actions", {"scale_out": {}}).error[0] == 409
        world.end(first.action)


def test_a_cooldown_is_told_at_every_version(world: World) -> None:
    cluster = world.cluster(world.profile(), members=1)
    policy = world.policy(
        "slowly", cluster, "senlin.policy.scaling-1.0", event="CLUSTER_SCALE_OUT", adjustment={"cooldown": 60}
    )
    world.store.run(
        lambda connection: connection.execute(
            tables.binding.update().where(tables.binding.c.policy_id == policy.id).values(last_op=world.clock.now())
        )
    )
    for minor in ALL:
        answer = at(world, minor, "POST", "/v1/clusters/c1/actions", {"scale_out": {}})
        assert answer.error[:2] == (409, "ActionCooldown")


@pytest.mark.parametrize("minor", ALL)
def test_a_version_is_told_with_every_answer_also_with_errors_and_empty_ones(world: World, minor: int) -> None:
    furnish(world)
    world.profile("unused")
    for method, path, status in (
        ("GET", "/v1/clusters", 200),
        ("GET", "/v1/clusters/absent", 404),
        ("DELETE", "/v1/profiles/unused", 204),
    ):
        answer = at(world, minor, method, path)
        assert answer.status == status
        assert answer.headers["openstack-api-version"] == f"clustering 1.{minor}"
        assert answer.headers["vary"] == "OpenStack-API-Version"


def test_of_a_header_for_several_services_only_one_entry_counts(world: World) -> None:
    async def body() -> None:
        for value, spoken in (
            ("compute 2.90,clustering 1.7 ,identity 3", "1.7"),
            ("clustering LATEST", "1.14"),
            ("identity 3", "1.0"),
        ):
            answer = await world.client.at(value).get("/v1/clusters")
            assert answer.headers["openstack-api-version"] == f"clustering {spoken}"

    run(body)


def test_our_own_types_are_listed_for_who_speaks_our_version(world: World) -> None:
    async def body() -> None:
        for client, expected in ((world.client, False), (world.client.at(OURS), True)):
            names = [one["name"] for one in (await client.get("/v1/policy-types")).json["policy_types"]]
            assert (PLACEMENT_TYPE.rpartition("-")[0] in names) == expected

    run(body)
