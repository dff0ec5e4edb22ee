"""What actions are called and given, and the sizes they are refused for, in the contract's order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from api.contract import ask, contents
from api.world import World
from spinney.store import tables


@pytest.fixture
def furnished(world: World) -> World:
    profile = world.profile()
    cluster = world.cluster(profile, members=3)
    for name in ("new", "second"):
        world.node(profile, name)
    world.profile("other")
    world.policy("bound", on=cluster)
    world.policy("loose")
    return world


def ids(world: World) -> dict[str, str]:
    """Of what has a name."""
    return {
        one["name"]: one["id"]
        for noun in ("clusters", "nodes", "profiles", "policies")
        for one in contents(ask(world, "GET", f"/{noun}"))
    }


ACTIONS = "/clusters/c1/actions"
#: Request; action, the verb in its name, whose id is in it; its inputs. ``@x``: the id of the object called x.
QUEUED: Mapping[str, tuple[tuple[Any, ...], tuple[str, str, str], dict[str, Any]]] = {
    "adding": (
        ("POST", ACTIONS, {"add_nodes": {"nodes": ["new", "second"]}}),
        ("CLUSTER_ADD_NODES", "cluster_add_nodes", "c1"),
        {"nodes": ["@new", "@second"]},
    ),
    "removing": (
        ("POST", ACTIONS, {"del_nodes": {"nodes": ["c1-3"]}}),
        ("CLUSTER_DEL_NODES", "cluster_del_nodes", "c1"),
        {"candidates": ["@c1-3"], "count": 1, "destroy_after_deletion": False},
    ),
    "replacing": (
        ("POST", ACTIONS, {"replace_nodes": {"nodes": {"c1-1": "new"}}}),
        ("CLUSTER_REPLACE_NODES", "cluster_replace_nodes", "c1"),
        {"candidates": {"@c1-1": "@new"}},
    ),
    "scaling out": (
        ("POST", ACTIONS, {"scale_out": {"count": "2"}}),
        ("CLUSTER_SCALE_OUT", "cluster_scale_out", "c1"),
        {"count": 2},
    ),
    "scaling in by nothing said": (
        ("POST", ACTIONS, {"scale_in": {"count": None}}),
        ("CLUSTER_SCALE_IN", "cluster_scale_in", "c1"),
        {},
    ),
    "resizing": (
        (
            "POST",
            ACTIONS,
            {
                "resize": {
                    "adjustment_type": "CHANGE_IN_PERCENTAGE",
                    "number": 50,
                    "min_size": 1,
                    "max_size": 9,
                    "min_step": 2,
                    "strict": False,
                }
            },
        ),
        ("CLUSTER_RESIZE", "cluster_resize", "c1"),
        {
            "adjustment_type": "CHANGE_IN_PERCENTAGE",
            "number": 50,
            "min_size": 1,
            "max_size": 9,
            "min_step": 2,
            "strict": False,
        },
    ),
    "checking": (("POST", ACTIONS, {"check": {"k": 1}}), ("CLUSTER_CHECK", "cluster_check", "c1"), {"k": 1}),
    "recovering": (
        ("POST", ACTIONS, {"recover": {"operation": "reboot", "operation_params": {"type": "hard"}}}),
        ("CLUSTER_RECOVER", "cluster_recover", "c1"),
        {"operation": "REBOOT", "operation_params": {"type": "HARD"}},
    ),
    "attaching": (
        ("POST", ACTIONS, {"policy_attach": {"policy_id": "loose"}}),
        ("CLUSTER_ATTACH_POLICY", "attach_policy", "c1"),
        {"policy_id": "@loose", "enabled": True},
    ),
    "attaching disabled": (
        ("POST", ACTIONS, {"policy_attach": {"policy_id": "loose", "enabled": "no"}}),
        ("CLUSTER_ATTACH_POLICY", "attach_policy", "c1"),
        {"policy_id": "@loose", "enabled": False},
    ),
    "detaching": (
        ("POST", ACTIONS, {"policy_detach": {"policy_id": "bound"}}),
        ("CLUSTER_DETACH_POLICY", "detach_policy", "c1"),
        {"policy_id": "@bound"},
    ),
    "changing a binding": (
        ("POST", ACTIONS, {"policy_update": {"policy_id": "bound", "enabled": False}}),
        ("CLUSTER_UPDATE_POLICY", "update_policy", "c1"),
        {"policy_id": "@bound", "enabled": False},
    ),
    "an operation of some": (
        ("POST", "/clusters/c1/ops", {"restart": {"filters": {"name": "c1-2", "status": "ACTIVE"}}}),
        ("CLUSTER_OPERATION", "cluster_restart", "c1"),
        {"operation": "restart", "params": {}, "nodes": ["@c1-2"]},
    ),
    "an operation with parameters": (
        ("POST", "/clusters/c1/ops", {"restart": {"params": {"timeout": 3}, "filters": {}}}),
        ("CLUSTER_OPERATION", "cluster_restart", "c1"),
        {"operation": "restart", "params": {"timeout": 3}, "nodes": ["@c1-1", "@c1-2", "@c1-3"]},
    ),
    "an operation as clients send it": (
        ("POST", "/clusters/c1/ops", {"restart": {"timeout": "3"}}),
        ("CLUSTER_OPERATION", "cluster_restart", "c1"),
        {"operation": "restart", "params": {"timeout": 3}, "nodes": ["@c1-1", "@c1-2", "@c1-3"]},
    ),
    "an operation of those with a profile": (
        ("POST", "/clusters/c1/ops", {"pause": {"params": None, "filters": {"profile_id": "@web", "role": ""}}}),
        ("CLUSTER_OPERATION", "cluster_pause", "c1"),
        {"operation": "pause", "params": {}, "nodes": ["@c1-1", "@c1-2", "@c1-3"]},
    ),
    "updating": (
        (
            "PATCH",
            "/clusters/c1",
            {
                "cluster": {
                    "name": "n",
                    "profile_id": "other",
                    "metadata": {"k": 1},
                    "timeout": "7",
                    "config": {"x": 1},
                    "profile_only": "true",
                }
            },
        ),
        ("CLUSTER_UPDATE", "cluster_update", "c1"),
        {
            "name": "n",
            "new_profile_id": "@other",
            "metadata": {"k": 1},
            "timeout": 7,
            "config": {"x": 1},
            "profile_only": True,
            "revision": 1,
        },
    ),
    "updating with nulls": (
        (
            "PATCH",
            "/clusters/c1",
            {
                "cluster": {
                    "name": "n",
                    "profile_id": None,
                    "metadata": None,
                    "timeout": None,
                    "config": None,
                    "profile_only": None,
                }
            },
        ),
        ("CLUSTER_UPDATE", "cluster_update", "c1"),
        {"name": "n"},
    ),
    "deleting": (("DELETE", "/clusters/c1"), ("CLUSTER_DELETE", "cluster_delete", "c1"), {}),
    "checking a node": (
        ("POST", "/nodes/new/actions", {"check": {"k": 1}}),
        ("NODE_CHECK", "node_check", "new"),
        {"k": 1},
    ),
    "recovering a node": (
        (
            "POST",
            "/nodes/new/actions",
            {
                "recover": {
                    "operation": "Rebuild",
                    "operation_params": {"k": 1},
                    "check": True,
                    "delete_timeout": "7",
                    "force_recreate": "yes",
                }
            },
        ),
        ("NODE_RECOVER", "node_recover", "new"),
        {
            "operation": "REBUILD",
            "operation_params": {"k": 1},
            "check": True,
            "delete_timeout": 7,
            "force_recreate": True,
        },
    ),
    "an operation of a node": (
        ("POST", "/nodes/new/ops", {"restart": {"timeout": "3"}}),
        ("NODE_OPERATION", "node_restart", "new"),
        {"operation": "restart", "params": {"timeout": 3}},
    ),
    "an operation of a node without parameters": (
        ("POST", "/nodes/new/ops", {"pause": {}}),
        ("NODE_OPERATION", "node_pause", "new"),
        {"operation": "pause", "params": {}},
    ),
    "updating a node as the client does": (
        ("PATCH", "/nodes/new", {"node": {"name": "x", "metadata": {}, "role": None, "profile_id": None}}),
        ("NODE_UPDATE", "node_update", "new"),
        {"name": "x"},
    ),
    "updating a node": (
        (
            "PATCH",
            "/nodes/new",
            {"node": {"name": "x", "metadata": {"k": 1}, "role": "r", "profile_id": "other", "tainted": True}},
        ),
        ("NODE_UPDATE", "node_update", "new"),
        {"name": "x", "metadata": {"k": 1}, "role": "r", "new_profile_id": "@other", "tainted": True},
    ),
    "deleting a node": (("DELETE", "/nodes/new"), ("NODE_DELETE", "node_delete", "new"), {}),
}


def spelled(value: Any, known: Mapping[str, str]) -> Any:
    """With ids in place of ``@name``."""
    if isinstance(value, str):
        return known[value[1:]] if value.startswith("@") else value
    if isinstance(value, dict):
        return {spelled(key, known): spelled(item, known) for key, item in value.items()}
    return [spelled(item, known) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("what", QUEUED)
def test_what_is_queued(furnished: World, what: str) -> None:
    (method, path, *body), (kind, verb, target), inputs = QUEUED[what]
    known = ids(furnished)
    answer = ask(furnished, method, path, *spelled(body, known))
    shown = contents(ask(furnished, "GET", f"/actions/{answer.action}"))
    assert (shown["action"], shown["target"]) == (kind, known[target])
    assert shown["name"] == f"{verb}_{known[target][:8]}"
    assert shown["inputs"] == spelled(inputs, known)
    assert (shown["cause"], shown["status"]) == ("RPC Request", "READY")
    if path.endswith(("actions", "ops")):
        assert answer.json == {"action": shown["id"]}
    assert furnished.rung == 1


def test_role_and_metadata_of_a_node_are_cleared_by_what_is_empty_and_not_by_null(furnished: World) -> None:
    node = ids(furnished)["new"]
    furnished.change(tables.node, node, role="master", metadata={"k": 1})
    for given, inputs in (
        ({"name": "x", "role": None, "metadata": None}, {"name": "x"}),
        ({"role": "", "metadata": {}}, {"role": "", "metadata": {}}),
    ):
        answer = ask(furnished, "PATCH", "/nodes/new", {"node": given})
        assert furnished.action(answer.action).inputs == inputs
        furnished.end(answer.action)
    assert ask(furnished, "PATCH", "/nodes/new", {"node": {"role": None, "metadata": None}}).error[0] == 400


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("/clusters/absent/actions", {}, "exactly one action"),
        ("/clusters/absent/actions", {"check": {}, "recover": {}}, "exactly one action"),
        ("/clusters/absent/actions", {"explode": {}}, "'explode'"),
        ("/clusters/absent/actions", {"check": []}, "a map"),
        ("/clusters/absent/actions", {"check": None}, "a map"),
        ("/clusters/absent/actions", {"scale_out": "2"}, "a map"),
        ("/nodes/absent/actions", {}, "exactly one action"),
        ("/nodes/absent/actions", {"check": {}, "recover": {}}, "exactly one action"),
        ("/nodes/absent/actions", {"scale_out": {}}, "'scale_out'"),
        ("/nodes/absent/actions", {"check": 1}, "a map"),
        ("/nodes/absent/actions", {"recover": {"bogus": 1}}, "bogus"),
        ("/clusters/c1/ops", {}, "exactly one operation"),
        ("/clusters/c1/ops", {"pause": {}, "stop": {}}, "exactly one operation"),
        ("/clusters/c1/ops", {"pause": {"params": "x"}}, "pause"),
        ("/clusters/c1/ops", {"pause": {"filters": {"bogus": 1}}}, "bogus"),
        ("/clusters/c1/ops", {"pause": {"filters": {"name": "nobody"}}}, "No node"),
        ("/clusters/c1/ops", {"explode": {}}, "explode"),
        ("/clusters/c1/ops", {"restart": {"params": {"bogus": 1}}}, "bogus"),
        ("/nodes/new/ops", {}, "exactly one operation"),
        ("/nodes/new/ops", {"explode": {}}, "container.dockerinc.docker-1.0"),
        ("/nodes/new/ops", {"restart": {"params": {"timeout": 1}}}, "params"),
        ("/nodes/new/ops", {"restart": {"timeout": "soon"}}, "timeout"),
    ],
)
def test_what_is_refused_before_anything_is_queued(furnished: World, path: str, body: Any, words: str) -> None:
    answer = ask(furnished, "POST", path, body)
    assert answer.error[0] == 400 and words in answer.error[2]
    assert "action" not in answer.json and contents(ask(furnished, "GET", "/actions")) == []


# --- sizes ------------------------------------------------------------------------------------------------------------

LARGEST = 1000
EXACT, CHANGE, PERCENT = "EXACT_CAPACITY", "CHANGE_IN_CAPACITY", "CHANGE_IN_PERCENTAGE"


def to(kind: str, number: float, **more: Any) -> dict[str, Any]:
    return {"adjustment_type": kind, "number": number, **more}


#: Of a cluster with 4 members, 4 desired, at least 2 and at most 6: what a resize is refused for, in the order of the checks.
#: Most have faults that are looked for later too.
REFUSED = [
    (to(EXACT, 1001, min_size=1002), "any cluster may have (1000)"),
    (to(EXACT, 7, min_size=9, max_size=5), "min_size (9) is greater than the specified max_size (5)"),
    (to(EXACT, 7, min_size=8), "(7) is less than the specified min_size (8)"),
    (to(EXACT, 1, max_size=1), "(1) is less than the cluster's min_size (2)"),
    (to(EXACT, 5, max_size=3), "(5) is greater than the specified max_size (3)"),
    (to(EXACT, 8, min_size=7), "(8) is greater than the cluster's max_size (6)"),
    ({"min_size": 7}, "min_size (7) is greater than the cluster's max_size (6)"),
    ({"min_size": 5}, "min_size (5) is greater than the cluster's desired_capacity (4)"),
    ({"max_size": 1001}, "max_size (1001) is greater than the number of nodes that any cluster may have"),
    ({"max_size": 1}, "max_size (1) is less than the cluster's min_size (2)"),
    ({"max_size": 3}, "max_size (3) is less than the cluster's desired_capacity (4)"),
    ({"min_size": 1, "max_size": 3}, "max_size (3) is less than the cluster's desired_capacity (4)"),
]
TAKEN = [
    to(EXACT, 6),
    to(EXACT, 2),
    to(CHANGE, 2),
    to(CHANGE, -2),
    to(CHANGE, -2.9),  # the fraction goes
    to(PERCENT, 50),
    to(PERCENT, -50),
    to(PERCENT, 1),  # less than one counts as one
    to(PERCENT, 74),  # of 2.96 two
    to(PERCENT, 1, min_step=2),
    to(EXACT, 9, max_size=9),
    to(EXACT, 9, max_size=-1),
    to(EXACT, 0, min_size=0),
    to(EXACT, 9, strict=False),
    to(EXACT, 0, strict=False),
    {"min_size": 5, "strict": False},
    {"max_size": 3, "strict": False},
    {"max_size": -1},
    {"min_size": 4, "max_size": 4},
]


@pytest.mark.parametrize(("resize", "words"), REFUSED)
def test_the_first_fault_of_a_resize_is_told(world: World, resize: dict[str, Any], words: str) -> None:
    world.cluster(world.profile(), members=4, min_size=2, max_size=6)
    answer = ask(world, "POST", ACTIONS, {"resize": resize})
    assert answer.error[0] == 400 and words in answer.error[2]


@pytest.mark.parametrize("resize", TAKEN)
def test_a_resize_within_its_bounds_is_taken(world: World, resize: dict[str, Any]) -> None:
    world.cluster(world.profile(), members=4, min_size=2, max_size=6)
    assert ask(world, "POST", ACTIONS, {"resize": resize}).status == 202


@pytest.mark.parametrize(
    "resize",
    [
        to(PERCENT, 76),  # of 3.04 three
        to(PERCENT, 1, min_step=3),
        to(PERCENT, -1, min_step=3),
        to(PERCENT, 0, min_step=3),  # nothing counts as less
        to(CHANGE, 3),
        to(EXACT, 1, min_size=3, strict=False),
        to(EXACT, 9, max_size=8, strict=False),
    ],
)
def test_a_resize_out_of_its_bounds_is_not(world: World, resize: dict[str, Any]) -> None:
    world.cluster(world.profile(), members=4, min_size=2, max_size=6)
    assert ask(world, "POST", ACTIONS, {"resize": resize}).error[:2] == (400, "BadRequest")


def test_a_resize_looks_at_the_members_that_are_there_and_scaling_at_what_is_desired(world: World) -> None:
    world.cluster(world.profile(), members=4, min_size=2, max_size=6, desired_capacity=6)
    assert ask(world, "POST", ACTIONS, {"resize": to(CHANGE, 2)}).status == 202
    world.cluster(world.profile("p"), "c2", desired_capacity=999)
    assert ask(world, "POST", "/clusters/c2/actions", {"scale_out": {"count": 2}}).error[:2] == (400, "BadRequest")
    assert ask(world, "POST", "/clusters/c2/actions", {"scale_out": {"count": 1}}).status == 202


@pytest.mark.parametrize(
    ("scaling", "status"),
    [
        ({"scale_out": {"count": 3}}, 202),  # beyond the cluster's maximum: its action fails
        ({"scale_in": {"count": 3}}, 202),
        ({"scale_in": {"count": 99}}, 202),
        ({"scale_out": {"count": 996}}, 202),
        ({"scale_out": {"count": 997}}, 400),
    ],
)
def test_scaling_is_compared_with_the_global_maximum_alone(world: World, scaling: Any, status: int) -> None:
    world.cluster(world.profile(), members=4, min_size=2, max_size=6)
    assert ask(world, "POST", ACTIONS, scaling).status == status


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"desired_capacity": 1001, "min_size": 1002, "max_size": 1}, "desired_capacity"),
        ({"desired_capacity": 1, "min_size": 2, "max_size": 0}, "(1) is less than the specified min_size (2)"),
        ({"desired_capacity": 3, "max_size": 2}, "(3) is greater than the specified max_size (2)"),
        ({"min_size": 3, "max_size": 2}, "(3) is greater than the specified max_size (2)"),
        ({"max_size": 1001}, "1001"),
    ],
)
def test_sizes_of_a_new_cluster(world: World, given: dict[str, Any], words: str) -> None:
    world.profile()
    answer = ask(world, "POST", "/clusters", {"cluster": {"name": "c", "profile_id": "web", **given}})
    assert answer.error[0] == 400 and (words in answer.error[2] or "any cluster may have" in answer.error[2])


@pytest.mark.parametrize(
    ("verb", "nodes", "words"),
    [
        ("add_nodes", ["a", "b"], "(5) is greater than the cluster's max_size (4)"),
        ("add_nodes", ["a"], None),
        ("del_nodes", ["c1-1", "c1-2"], "(1) is less than the cluster's min_size (2)"),
        ("del_nodes", ["c1-1"], None),
    ],
)
def test_members_join_and_leave_within_the_bounds(world: World, verb: str, nodes: list[str], words: str | None) -> None:
    profile = world.profile()
    world.cluster(profile, members=3, min_size=2, max_size=4)
    world.node(profile, "a")
    world.node(profile, "b")
    answer = ask(world, "POST", ACTIONS, {verb: {"nodes": nodes}})
    if words is None:
        assert answer.status == 202
    else:
        assert answer.error[:2] == (400, "BadRequest") and words in answer.error[2]


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        ({}, "at least one"),
        ({"c1-1": None}, "'c1-1'"),
        ({"c1-1": ""}, "'c1-1'"),
        ({"c1-1": 7}, "'c1-1'"),
        ({"c1-1": "new", "c1-2": "new"}, "cannot replace two"),
        ({"absent": "new"}, "absent"),
        ({"second": "new"}, "not a member"),
        ({"c1-1": "absent"}, "absent"),
        ({"c1-1": "c1-2"}, "a member of this cluster"),
        ({"c1-1": "elsewhere"}, "a member of another cluster"),
        ({"c1-1": "sick"}, "ERROR"),
        ({"c1-1": "metal"}, "host.docker-1.0"),
    ],
)
def test_replacements_that_are_refused(furnished: World, pairs: dict[str, Any], words: str) -> None:
    profile = furnished.profile("p")
    furnished.node(profile, "elsewhere", cluster_id=furnished.cluster(profile, "c2").id, index=1)
    furnished.node(profile, "sick", status="ERROR")
    furnished.host("metal")
    answer = ask(furnished, "POST", ACTIONS, {"replace_nodes": {"nodes": pairs}})
    assert answer.error[0] == 400 and words in answer.error[2]


# --- cancelling -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "READY", "cancelled", "", "CANCELED"])
def test_an_action_can_only_be_made_cancelled(furnished: World, status: str) -> None:
    token = ask(furnished, "POST", ACTIONS, {"check": {}}).action
    answer = ask(furnished, "PATCH", f"/actions/{token}", {"action": {"status": status}})
    assert answer.error[:2] == (400, "HTTPBadRequest")


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "CANCELLED"])
@pytest.mark.parametrize("force", [None, "true"])
def test_what_is_final_stays(furnished: World, status: str, force: str | None) -> None:
    token = ask(furnished, "POST", ACTIONS, {"check": {}}).action
    furnished.end(token, status)
    query = {} if force is None else {"force": force}
    answer = ask(furnished, "PATCH", f"/actions/{token}", {"action": {"status": "CANCELLED"}}, **query)
    assert answer.error[:2] == (409, "ActionImmutable")


@pytest.mark.parametrize("status", ["INIT", "READY", "RUNNING", "WAITING", "WAITING_LIFECYCLE_COMPLETION", "SUSPENDED"])
def test_force_makes_all_that_is_not_final_cancelled_at_once(furnished: World, status: str) -> None:
    token = ask(furnished, "POST", ACTIONS, {"check": {}}).action
    child = ask(furnished, "POST", "/nodes/c1-1/actions", {"check": {}}).action
    done = ask(furnished, "POST", "/nodes/c1-2/actions", {"check": {}}).action
    for one in (child, done):
        furnished.change(tables.action, one, parent_id=token)
    furnished.end(done)
    furnished.change(tables.action, token, status=status, running_target=ids(furnished)["c1"])
    answer = ask(furnished, "PATCH", f"/actions/{token}", {"action": {"status": "CANCELLED"}}, force="True")
    assert (answer.status, answer.body) == (202, b"") and "location" not in answer.headers
    assert [furnished.action(one).status for one in (token, child, done)] == ["CANCELLED", "CANCELLED", "SUCCEEDED"]
    assert ask(furnished, "POST", ACTIONS, {"check": {}}).status == 202, "nothing is locked any more"
    told = contents(ask(furnished, "GET", "/events"))
    loud = {one["oname"] for one in told if (one["level"], one["status"]) == ("ERROR", "error")}
    # What waits for a hook is part of another action, which tells of it.
    assert loud == ({"c1-1"} if status == "WAITING_LIFECYCLE_COMPLETION" else {"c1", "c1-1"})


def test_what_waits_to_be_completed_is_cancelled_at_once_also_without_force(furnished: World) -> None:
    token = ask(furnished, "POST", ACTIONS, {"check": {}}).action
    furnished.change(tables.action, token, status="WAITING_LIFECYCLE_COMPLETION")
    assert ask(furnished, "PATCH", f"/actions/{token}", {"action": {"status": "CANCELLED"}}).status == 202
    assert furnished.action(token).status == "CANCELLED"
    assert ask(furnished, "PATCH", f"/actions/{token}", {"action": {"status": "CANCELLED"}}).error[0] == 409
