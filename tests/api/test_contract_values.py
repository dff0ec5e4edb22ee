"""How values are read: names, sizes, booleans, maps and lists, for every key of every request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from api.client import Answer
from api.contract import ask, contents
from api.world import World

SPEC = {"type": "container.dockerinc.docker", "version": "1.0", "properties": {"image": "a", "host_cluster": "farm"}}
DELETION = {"type": "senlin.policy.deletion", "version": "1.0", "properties": {}}
WEBHOOK = {"name": "r", "type": "webhook", "cluster_id": "c1", "action": "CLUSTER_CHECK"}

#: By request: method, path, envelope, and what it takes at least; what it takes is replaced key by key.
REQUESTS: Mapping[str, tuple[str, str, str, Mapping[str, Any]]] = {
    "profile": ("POST", "/profiles", "profile", {"name": "p", "spec": SPEC}),
    "profile to change": ("PATCH", "/profiles/web", "profile", {"name": "p"}),
    "policy": ("POST", "/policies", "policy", {"name": "p", "spec": DELETION}),
    "policy to change": ("PATCH", "/policies/loose", "policy", {"name": "p"}),
    "cluster": ("POST", "/clusters", "cluster", {"name": "c", "profile_id": "web"}),
    "cluster to change": ("PATCH", "/clusters/c1", "cluster", {"name": "c"}),
    "node": ("POST", "/nodes", "node", {"name": "n", "profile_id": "web"}),
    "node to change": ("PATCH", "/nodes/orphan", "node", {"name": "n"}),
    "receiver": ("POST", "/receivers", "receiver", WEBHOOK),
    "receiver to change": ("PATCH", "/receivers/grow", "receiver", {"name": "r"}),
    "recovering": ("POST", "/clusters/c1/actions", "recover", {}),
    "recovering a node": ("POST", "/nodes/orphan/actions", "recover", {}),
    "scaling": ("POST", "/clusters/c1/actions", "scale_out", {}),
    "resizing": ("POST", "/clusters/c1/actions", "resize", {"max_size": 9}),
    "adding": ("POST", "/clusters/c1/actions", "add_nodes", {"nodes": ["orphan"]}),
    "removing": ("POST", "/clusters/c1/actions", "del_nodes", {"nodes": ["c1-1"]}),
    "attaching": ("POST", "/clusters/c1/actions", "policy_attach", {"policy_id": "loose"}),
    "changing a binding": ("POST", "/clusters/c1/actions", "policy_update", {"policy_id": "bound"}),
}

NAMES = (
    ["a", "A-z.0_9~", "~", "-", ".", "_", "7", "x" * 255, "一", "龥", "服务-1"],
    ["", "x" * 256, " ", "a b", "a/b", "é", "a\n", "a\x00", "あ", "龦", "😀", "$", 7, True, [], {}, ["a"]],
)
BOOLEANS = (
    [True, False, "1", "0", "t", "F", "true", "FALSE", "on", "Off", "y", "n", "YES", "no", 0, 1],
    ["", "maybe", "2", 2, -1, 0.5, [], {}],
)
WHOLE = ([0, 7, "0", "7"], [-1, "-1", "1.5", 1.5, "", "x", True, [], {}, 10**30])
SIZES = ([0, 7, "0", "7"], [-1, "-1", 1001, "1001", "1.5", 0.5, "", "x", False, [], {}])
LARGEST_SIZES = ([-1, "-1", 7, "7", 1000], [-2, "-2", 1001, "1001", "1.5", "", "x", True, [], {}])
MAPS = ([{}, {"a": {"b": [1, None]}}], ["", "x", "{}", 1, True, [], [["a", "b"]]])
TEXTS = ([], [7, True, [], {}, ["web"]])
NUMBERS = ([0, 7, 2.5], ["7", "", True, [], {}])

KEYS: Mapping[tuple[str, str], tuple[list[Any], list[Any]]] = {
    **{(request, "name"): NAMES for request, row in REQUESTS.items() if "name" in row[3]},
    ("profile", "spec"): ([], [None, "x", [], 1]),
    ("profile", "metadata"): MAPS,
    ("profile to change", "metadata"): MAPS,
    ("policy", "spec"): ([], [None, "x", [], 1]),
    ("cluster", "profile_id"): TEXTS,
    ("cluster", "min_size"): SIZES,
    ("cluster", "max_size"): LARGEST_SIZES,
    ("cluster", "desired_capacity"): SIZES,
    ("cluster", "timeout"): WHOLE,
    ("cluster", "metadata"): MAPS,
    ("cluster", "config"): MAPS,
    ("cluster to change", "profile_id"): TEXTS,
    ("cluster to change", "timeout"): WHOLE,
    ("cluster to change", "metadata"): MAPS,
    ("cluster to change", "config"): MAPS,
    ("cluster to change", "profile_only"): BOOLEANS,
    ("node", "profile_id"): TEXTS,
    ("node", "cluster_id"): ([""], [7, True, [], {}]),
    ("node", "role"): (["", "master"], [7, True, [], {}]),
    ("node", "metadata"): MAPS,
    ("node to change", "profile_id"): TEXTS,
    ("node to change", "role"): (["", "master"], [7, True, [], {}]),
    ("node to change", "metadata"): MAPS,
    ("node to change", "tainted"): BOOLEANS,
    ("receiver", "type"): (["webhook"], ["pigeon", "WEBHOOK", "", 1, []]),
    ("receiver", "action"): (
        ["CLUSTER_SCALE_OUT", "CLUSTER_RESIZE", "CLUSTER_DELETE"],
        ["CLUSTER_CREATE", "NODE_CHECK", "cluster_check", "", 1, []],
    ),
    ("receiver", "params"): MAPS,
    ("receiver", "actor"): MAPS,
    ("receiver to change", "action"): (["CLUSTER_SCALE_IN"], ["CLUSTER_CREATE", "NODE_CHECK", "", 1, []]),
    ("receiver to change", "params"): MAPS,
    ("recovering", "operation"): (["REBOOT", "rebuild", "ReCreate"], ["PRAY", "", 1, [], {}]),
    ("recovering", "check"): BOOLEANS,
    ("recovering", "check_capacity"): BOOLEANS,
    ("recovering", "force_recreate"): ([], [True]),
    ("recovering", "delete_timeout"): ([], [1]),
    ("recovering a node", "operation"): (["REBOOT", "rebuild", "ReCreate"], ["PRAY", "", 1, [], {}]),
    ("recovering a node", "check"): BOOLEANS,
    ("recovering a node", "delete_timeout"): ([0, 7, "7"], [-1, "x", [], {}]),
    ("recovering a node", "force_recreate"): BOOLEANS,
    ("recovering a node", "check_capacity"): ([], [True]),
    ("scaling", "count"): ([1, 7, "7"], [0, "0", -1, "-1", 1.5, "x", "", True, [], {}]),
    ("resizing", "min_size"): ([0, 1, "1"], [-1, "x", [], {}]),
    ("resizing", "max_size"): ([-1, "-1", 5, "5"], [-2, "x", [], {}, 1001]),
    ("resizing", "strict"): BOOLEANS,
    ("resizing", "min_step"): ([], [1]),
    ("resizing", "number"): ([], [1]),
    ("adding", "nodes"): ([], ["orphan", "oo", [], {}, [1], [None], ["orphan", "orphan"], [""]]),
    ("removing", "nodes"): ([], ["c1-1", [], {}, [1], [None], ["c1-1", "c1-1"]]),
    ("removing", "destroy_after_deletion"): BOOLEANS,
    ("attaching", "policy_id"): TEXTS,
    ("attaching", "enabled"): BOOLEANS,
    ("changing a binding", "enabled"): BOOLEANS,
}
#: Keys that have to be there; null says as little as leaving them out.
REQUIRED = {
    "profile": ("name", "spec"),
    "policy": ("name", "spec"),
    "policy to change": ("name",),
    "cluster": ("name", "profile_id"),
    "node": ("name", "profile_id"),
    "receiver": ("name", "type", "cluster_id", "action"),
    "adding": ("nodes",),
    "removing": ("nodes",),
    "attaching": ("policy_id",),
    "changing a binding": ("policy_id",),
}


@pytest.fixture
def furnished(world: World) -> World:
    farm = world.cluster(world.profile("machine", "host.docker-1.0"), "farm")
    world.host("metal", cluster_id=farm.id)
    profile = world.profile("web")
    cluster = world.cluster(profile, members=3)
    world.node(profile, "orphan")
    world.policy("loose")
    world.policy("bound", on=cluster)
    world.receiver(cluster)
    return world


def send(world: World, request: str, **changed: Any) -> Answer:
    method, path, envelope, least = REQUESTS[request]
    return ask(world, method, path, {envelope: {**least, **changed}})


def accepted(world: World, request: str, **changed: Any) -> bool:
    """Whether it was; then all is as it was before, as far as that decides about another request."""
    answer = send(world, request, **changed)
    if answer.status >= 400:
        assert answer.error[0] == 400, (changed, answer.body)
        return False
    if answer.status == 202:
        world.end(answer.action)
    _, path, envelope, least = REQUESTS[request]
    if request.endswith("to change") and answer.status == 200:
        found = contents(answer)
        back = {"name": path.rpartition("/")[2]} if "name" in changed or "name" in least else {}
        assert ask(world, "PATCH", f"{path.rpartition('/')[0]}/{found['id']}", {envelope: back}).status == 200
    return True


@pytest.mark.parametrize(("request_", "key"), KEYS)
def test_each_key_takes_its_values_and_no_others(furnished: World, request_: str, key: str) -> None:
    good, bad = KEYS[request_, key]
    for value in good:
        assert accepted(furnished, request_, **{key: value}), f"{value!r} was refused"
    for value in bad:
        assert not accepted(furnished, request_, **{key: value}), f"{value!r} was taken"


@pytest.mark.parametrize(
    ("request_", "key"),
    [
        (request, key)
        for (request, key), (good, _) in KEYS.items()
        if good and key not in REQUESTS[request][3]  # without these there would be nothing to do
    ],
)
def test_null_is_nothing_said(furnished: World, request_: str, key: str) -> None:
    assert accepted(furnished, request_, **{key: None})


@pytest.mark.parametrize(("request_", "key"), [(request, key) for request, keys in REQUIRED.items() for key in keys])
def test_null_is_not_enough_for_what_is_required(furnished: World, request_: str, key: str) -> None:
    answer = send(furnished, request_, **{key: None})
    assert answer.error[0] == 400 and key in answer.error[2]


@pytest.mark.parametrize("request_", REQUESTS)
def test_unknown_and_missing_keys(furnished: World, request_: str) -> None:
    method, path, envelope, least = REQUESTS[request_]
    answer = send(furnished, request_, bogus=1)
    assert answer.error[:2] == (400, "HTTPBadRequest") and "bogus" in answer.error[2]
    for key in REQUIRED.get(request_, ()):
        fewer = {envelope: {other: value for other, value in least.items() if other != key}}
        missing = ask(furnished, method, path, fewer)
        assert missing.error[0] == 400 and key in missing.error[2]
    for body in ({envelope: None}, {envelope: []}, {envelope: "x"}, {}, {"bogus": least}):
        assert ask(furnished, method, path, body).error[0] == 400


@pytest.mark.parametrize("noun", ["profile", "policy", "cluster", "node", "receiver"])
def test_making_and_changing_miss_their_envelope_in_words_of_their_own(furnished: World, noun: str) -> None:
    method, path, _, least = REQUESTS[noun]
    changing, where, _, _ = REQUESTS[f"{noun} to change"]
    made, changed = ask(furnished, method, path, least).error, ask(furnished, changing, where, least).error
    assert made[:2] == changed[:2] == (400, "HTTPBadRequest") and made[2] != changed[2]
    assert f"'{noun}'" in made[2] and f"'{noun}'" in changed[2]


@pytest.mark.parametrize(
    ("given", "sizes"),
    [
        ({}, (0, -1, 0)),
        ({"min_size": 2}, (2, -1, 2)),
        ({"min_size": "2", "max_size": "5"}, (2, 5, 2)),
        ({"desired_capacity": 3}, (0, -1, 3)),
        ({"min_size": None, "max_size": None, "desired_capacity": None}, (0, -1, 0)),
        ({"min_size": 1, "desired_capacity": None}, (1, -1, 1)),
        ({"max_size": "-1", "desired_capacity": "4"}, (0, -1, 4)),
        ({"max_size": 0}, (0, 0, 0)),
        ({"min_size": 1000, "max_size": 1000}, (1000, 1000, 1000)),
    ],
)
def test_sizes_of_a_new_cluster(furnished: World, given: dict[str, Any], sizes: tuple[int, int, int]) -> None:
    made = contents(send(furnished, "cluster", **given))
    assert (made["min_size"], made["max_size"], made["desired_capacity"]) == sizes


@pytest.mark.parametrize("timeout", [None, 0, "0"])
def test_no_timeout_means_the_usual_one(furnished: World, timeout: Any) -> None:
    assert contents(send(furnished, "cluster", timeout=timeout))["timeout"] == 3600
    assert contents(send(furnished, "cluster", timeout="77"))["timeout"] == 77


@pytest.mark.parametrize("version", ["1.0", 1.0])
def test_the_version_of_a_spec_may_be_a_number(furnished: World, version: Any) -> None:
    for noun, spec in (("profile", SPEC), ("policy", DELETION)):
        made = contents(send(furnished, noun, spec={**spec, "version": version}))
        assert made["type"] == f"{spec['type']}-1.0"
        assert made["spec"] == {**spec, "version": version}  # as it was posted


@pytest.mark.parametrize(
    ("operation", "given", "words"),
    [
        ("REBOOT", "SOFT", "operation_params"),
        ("REBOOT", ["SOFT"], "operation_params"),
        ("REBOOT", {"type": "GENTLE"}, "GENTLE"),
        (None, {}, "operation_params"),
        (None, {"type": "SOFT"}, "operation_params"),
    ],
)
def test_parameters_of_a_reboot(furnished: World, operation: str | None, given: Any, words: str) -> None:
    for request in ("recovering", "recovering a node"):
        answer = send(furnished, request, operation=operation, operation_params=given)
        assert answer.error[:2] == (400, "HTTPBadRequest") and words in answer.error[2]
        for kind in ("soft", "HARD", None):
            assert accepted(furnished, request, operation="reboot", operation_params={"type": kind})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'"x"',
        b"null",
        b'{"cluster"',
        b'{"cluster": {"name": "x", "profile_id": "web"}',
        b"{'cluster': {}}",
        b'{"cluster": NaN}',
    ],
)
def test_bodies_that_are_no_json_objects(furnished: World, body: bytes) -> None:
    assert ask(furnished, "POST", "/clusters", body).error[:2] == (400, "HTTPBadRequest")
