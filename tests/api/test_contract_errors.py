"""Every type of error with its status, and what words in paths and bodies may mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from api.client import Answer, Client
from api.contract import ask, contents
from api.world import OURS, World, run
from spinney.errors import HostUnreachable
from spinney.store import tables

CONTAINER = {"type": "container.dockerinc.docker", "version": "1.0"}
SCALING = {"type": "senlin.policy.scaling", "version": "1.0"}
HEALTH = {"type": "senlin.policy.health", "version": "1.0"}


def furnish(world: World) -> None:
    profile = world.profile()
    cluster = world.cluster(profile, members=2)
    world.cluster(profile, "broken", status="ERROR", status_reason="It broke")
    world.cluster(profile, "busy", status="UPDATING")
    world.node(profile, "orphan")
    world.node(profile, "changing", status="UPDATING")
    world.policy("bound", on=cluster)
    world.policy("loose")
    for name in ("twin", "twin"):
        world.cluster(profile, name)
        world.node(profile, name)
        world.profile(name)
        world.policy(name)
        world.receiver(cluster, name=name)


def _profile(**spec: Any) -> dict[str, Any]:
    return {"profile": {"name": "p", "spec": spec}}


def _policy(**spec: Any) -> dict[str, Any]:
    return {"policy": {"name": "p", "spec": spec}}


def _on(name: str, **given: Any) -> tuple[str, str, Any]:
    return "POST", "/clusters/c1/actions", {name: given}


ERRORS: Mapping[str, tuple[int, str, tuple[Any, ...]]] = {
    "no body": (400, "HTTPBadRequest", ("POST", "/clusters")),
    "unknown key": (400, "HTTPBadRequest", ("POST", "/nodes", {"node": {"name": "n", "profile_id": "web", "x": 1}})),
    "missing key": (400, "HTTPBadRequest", ("POST", "/nodes", {"node": {"name": "n"}})),
    "missing key and unknown key": (400, "HTTPBadRequest", ("POST", "/nodes", {"node": {"x": 1}})),
    "no envelope to make": (400, "HTTPBadRequest", ("POST", "/profiles", {"name": "x"})),
    "no envelope to change": (400, "HTTPBadRequest", ("PATCH", "/clusters/absent", {"name": "x"})),
    "nothing to change": (400, "BadRequest", ("PATCH", "/clusters/c1", {"cluster": {"name": "c1"}})),
    "size": (
        400,
        "BadRequest",
        ("POST", "/clusters", {"cluster": {"name": "c", "profile_id": "web", "min_size": 1001}}),
    ),
    "profile's properties": (400, "InvalidSpec", ("POST", "/profiles", _profile(**CONTAINER, properties={"bogus": 1}))),
    "profile's properties to validate": (
        400,
        "InvalidSpec",
        ("POST", "/profiles/validate", {"profile": {"spec": {**CONTAINER, "properties": {"bogus": 1}}}}),
    ),
    "profile without type": (500, "ESchema", ("POST", "/profiles", _profile(version="1.0", properties={}))),
    "profile without version": (500, "ESchema", ("POST", "/profiles", _profile(type="x", properties={}))),
    "policy without type": (500, "ESchema", ("POST", "/policies", _policy(version="1.0", properties={}))),
    "policy without version": (500, "ESchema", ("POST", "/policies", _policy(type="x", properties={}))),
    "policy without properties": (500, "ESchema", ("POST", "/policies", _policy(**SCALING))),
    "policy's unknown property": (500, "ESchema", ("POST", "/policies", _policy(**SCALING, properties={"bogus": 1}))),
    "policy's unknown property to validate": (
        500,
        "ESchema",
        ("POST", "/policies/validate", {"policy": {"spec": {**SCALING, "properties": {"bogus": 1}}}}),
    ),
    "policy's adjustment type": (
        500,
        "ESchema",
        (
            "POST",
            "/policies",
            _policy(**SCALING, properties={"event": "CLUSTER_SCALE_IN", "adjustment": {"type": "FOO"}}),
        ),
    ),
    "policy's values that are out of range": (
        400,
        "InvalidSpec",
        (
            "POST",
            "/policies",
            _policy(**SCALING, properties={"event": "CLUSTER_SCALE_IN", "adjustment": {"number": -1}}),
        ),
    ),
    "policy's cooldown out of range": (
        400,
        "InvalidSpec",
        (
            "POST",
            "/policies",
            _policy(**SCALING, properties={"event": "CLUSTER_SCALE_IN", "adjustment": {"cooldown": -1}}),
        ),
    ),
    "policy's min_step out of range": (
        400,
        "InvalidSpec",
        (
            "POST",
            "/policies",
            _policy(**SCALING, properties={"event": "CLUSTER_SCALE_IN", "adjustment": {"min_step": -1}}),
        ),
    ),
    "policy's interval too short": (
        400,
        "InvalidSpec",
        (
            "POST",
            "/policies",
            _policy(
                **HEALTH,
                properties={
                    "detection": {"interval": 1, "detection_modes": [{"type": "NODE_STATUS_POLLING"}]},
                    "recovery": {"actions": [{"name": "RECREATE"}]},
                },
            ),
        ),
    ),
    "policy's modes that exclude each other": (
        400,
        "InvalidSpec",
        (
            "POST",
            "/policies",
            _policy(
                **HEALTH,
                properties={
                    "detection": {"detection_modes": [{"type": "NODE_STATUS_POLLING"}, {"type": "LIFECYCLE_EVENTS"}]},
                    "recovery": {"actions": [{"name": "RECREATE"}]},
                },
            ),
        ),
    ),
    "policy's same mode twice": (
        400,
        "InvalidSpec",
        (
            "POST",
            "/policies",
            _policy(
                **HEALTH,
                properties={
                    "detection": {"detection_modes": [{"type": "NODE_STATUS_POLLING"}] * 2},
                    "recovery": {"actions": [{"name": "RECREATE"}]},
                },
            ),
        ),
    ),
    "policy's two recovery actions": (
        500,
        "ESchema",
        (
            "POST",
            "/policies",
            _policy(
                **HEALTH,
                properties={
                    "detection": {"detection_modes": [{"type": "NODE_STATUS_POLLING"}]},
                    "recovery": {"actions": [{"name": "RECREATE"}, {"name": "REBUILD"}]},
                },
            ),
        ),
    ),
    "profile type": (404, "ResourceNotFound", ("POST", "/profiles", _profile(type="x", version="1.0", properties={}))),
    "profile type's version": (
        404,
        "ResourceNotFound",
        ("POST", "/profiles", _profile(type=CONTAINER["type"], version="9.9", properties={})),
    ),
    "policy type": (404, "ResourceNotFound", ("POST", "/policies", _policy(type="x", version="1.0", properties={}))),
    "profile type shown": (404, "ResourceNotFound", ("GET", "/profile-types/x-1.0")),
    "policy type shown": (404, "ResourceNotFound", ("GET", "/policy-types/x-1.0")),
    "operations of no type": (400, "BadRequest", ("GET", "/profile-types/x-1.0/ops")),
    "type to adopt": (400, "BadRequest", ("POST", "/nodes/adopt", {"identity": "i", "type": "x-1.0"})),
    "type to preview": (400, "BadRequest", ("POST", "/nodes/adopt-preview", {"identity": "i", "type": "x-1.0"})),
    "actions are not made": (403, "Forbidden", ("POST", "/actions", {"action": {}})),
    "binding of no cluster": (404, "ResourceNotFound", ("GET", "/clusters/absent/policies/bound")),
    "binding of no policy": (404, "ResourceNotFound", ("GET", "/clusters/c1/policies/absent")),
    "bindings of no cluster": (404, "ResourceNotFound", ("GET", "/clusters/absent/policies")),
    "not bound": (404, "PolicyBindingNotFound", ("GET", "/clusters/c1/policies/loose")),
    "not bound to detach": (400, "BadRequest", _on("policy_detach", policy_id="loose")),
    "not bound to update": (400, "BadRequest", _on("policy_update", policy_id="loose", enabled=False)),
    "attributes of no cluster": (404, "ResourceNotFound", ("GET", "/clusters/absent/attrs/name")),
    "attributes of no path": (400, "HTTPBadRequest", ("GET", "/clusters/c1/attrs/None")),
    "attributes of an empty path": (400, "HTTPBadRequest", ("GET", "/clusters/c1/attrs/%20")),
    "attributes that cannot be read": (400, "HTTPBadRequest", ("GET", "/clusters/c1/attrs/%5B%5B")),
    "update of a broken cluster": (
        409,
        "FeatureNotSupported",
        ("PATCH", "/clusters/broken", {"cluster": {"name": "x"}}),
    ),
    "deletion of a busy cluster": (409, "ActionInProgress", ("DELETE", "/clusters/busy")),
    "deletion of a busy node": (409, "ActionInProgress", ("DELETE", "/nodes/changing")),
    "deletion of a profile in use": (409, "ResourceInUse", ("DELETE", "/profiles/web")),
    "deletion of a policy in use": (409, "ResourceInUse", ("DELETE", "/policies/bound")),
    "notifying a webhook": (400, "BadRequest", ("POST", "/receivers/{receiver}/notify")),
    "putting": (404, "HTTPNotFound", ("PUT", "/clusters/c1", {"cluster": {}})),
    "trailing slash": (404, "HTTPNotFound", ("GET", "/clusters/c1/")),
    "metadata": (404, "HTTPNotFound", ("GET", "/clusters/c1/metadata")),
}


@pytest.mark.parametrize("what", ERRORS)
def test_each_error_has_its_status_and_its_type_at_both_levels(world: World, what: str) -> None:
    furnish(world)
    status, kind, (method, path, *rest) = ERRORS[what]
    if "{receiver}" in path:
        path = path.format(receiver=contents(ask(world, "GET", "/receivers"))[0]["id"])
    assert ask(world, method, path, *rest).error[:2] == (status, kind)
    assert world.rung == 0


def test_what_senlin_calls_an_error_of_the_server_is_a_400_in_our_own_version(world: World) -> None:
    for what, (status, _, (method, path, *rest)) in ERRORS.items():
        if status == 500:
            assert ask(world, method, path, *rest, version=OURS).error[:2] == (400, "InvalidSpec"), what


def test_errors_that_need_another_caller(world: World) -> None:
    furnish(world)
    given = {"receiver": {"name": "r", "type": "webhook", "cluster_id": "c1", "action": "CLUSTER_CHECK"}}
    for who, method, path, body in (
        ("reader", "POST", "/clusters", {"cluster": {"name": "c", "profile_id": "web"}}),
        ("member", "GET", "/services", None),
        ("member", "GET", "/clusters?global_project=true", None),
        ("member", "POST", "/receivers", given),  # the cluster belongs to another user
    ):
        assert ask(world, method, path, body, who=who).error[:2] == (403, "Forbidden"), path
    anonymous = Client(world.client.app, authorization="Basic x")
    assert run(lambda: anonymous.get("/v1/clusters")).error[:2] == (401, "Unauthorized")


def test_a_machine_that_cannot_be_adopted_is_an_error_of_the_server(world: World) -> None:
    world.access.facts = HostUnreachable("no answer")
    for path in ("/nodes/adopt", "/nodes/adopt-preview"):
        answer = ask(world, "POST", path, {"identity": "unix:///var/run/docker.sock", "type": "host.docker-1.0"})
        assert answer.error[:2] == (500, "ProfileOperationFailed")


class TestConflicts:
    """What a second action is told, in the order in which the contract asks."""

    def start(self, world: World, kind: str, *, running: bool) -> str:
        token = ask(world, "POST", "/clusters/c1/actions", {kind: {}}).action
        if running:
            world.change(tables.action, token, status="RUNNING", running_target=world.action(token).target)
        return token

    @pytest.mark.parametrize("kind", ["scale_out", "scale_in", "check", "recover", "resize", "policy_attach", "update"])
    @pytest.mark.parametrize(("running", "expected"), [(True, "ResourceIsLocked"), (False, "ActionConflict")])
    def test_of_a_cluster(self, world: World, kind: str, running: bool, expected: str) -> None:
        furnish(world)
        self.start(world, "check", running=running)
        given = {"resize": {"max_size": 9}, "policy_attach": {"policy_id": "loose"}}.get(kind, {})
        answer = (
            ask(world, "PATCH", "/clusters/c1", {"cluster": {"name": "x"}})
            if kind == "update"
            else ask(world, "POST", "/clusters/c1/actions", {kind: given})
        )
        assert answer.error[:2] == (409, expected)

    @pytest.mark.parametrize("status", ["READY", "WAITING", "RUNNING", "WAITING_LIFECYCLE_COMPLETION"])
    def test_any_status_but_a_final_one_is_in_the_way(self, world: World, status: str) -> None:
        furnish(world)
        token = self.start(world, "scale_out", running=False)
        world.change(tables.action, token, status=status)
        assert ask(world, "POST", "/clusters/c1/actions", {"scale_out": {}}).error[:2] == (409, "ActionConflict")
        for final in ("SUCCEEDED", "FAILED", "CANCELLED"):
            world.end(token, final)
            token = self.start(world, "scale_out", running=False)

    def test_what_runs_is_told_before_what_waits(self, world: World) -> None:
        """Whichever of the two comes first in the database."""
        furnish(world)
        for order in (("RUNNING", "READY"), ("READY", "RUNNING")):
            tokens = []
            for status in order:
                tokens.append(ask(world, "POST", "/nodes/orphan/ops", {"restart": {}}).action)
                running = world.action(tokens[-1]).target if status == "RUNNING" else None
                world.change(tables.action, tokens[-1], status=status, running_target=running)
            answer = ask(world, "POST", "/nodes/orphan/actions", {"check": {}})
            assert answer.error[:2] == (409, "ResourceIsLocked"), order
            for token in tokens:
                world.end(token)

    @pytest.mark.parametrize("running", [True, False])
    def test_deletions_and_operations_of_nodes_stand_in_nobodys_way(self, world: World, running: bool) -> None:
        furnish(world)
        self.start(world, "check", running=running)
        check = ask(world, "POST", "/nodes/orphan/actions", {"check": {}}).action
        if running:
            world.change(tables.action, check, status="RUNNING", running_target=world.action(check).target)
        second = ask(world, "POST", "/nodes/orphan/actions", {"recover": {}})
        assert second.error[:2] == (409, "ResourceIsLocked" if running else "ActionConflict")
        assert ask(world, "POST", "/nodes/orphan/ops", {"restart": {}}).status == 202
        assert ask(world, "DELETE", "/nodes/orphan").status == 202
        assert ask(world, "DELETE", "/clusters/c1").status == 202

    def test_nothing_is_left_of_what_was_refused(self, world: World) -> None:
        furnish(world)
        self.start(world, "check", running=True)
        before = contents(ask(world, "GET", "/actions"))
        ask(world, "POST", "/clusters/c1/actions", {"scale_out": {}})
        ask(world, "PATCH", "/clusters/c1", {"cluster": {"name": "x"}})
        assert contents(ask(world, "GET", "/actions")) == before


# --- words in paths ---------------------------------------------------------------------------------------------------

NAMED = {"clusters": "c1", "nodes": "orphan", "profiles": "web", "policies": "loose", "receivers": "only"}


def one(world: World, noun: str) -> dict[str, Any]:
    """An object of the kind, with a name that no other has."""
    furnish(world)
    if noun == "receivers":
        world.receiver(world.cluster(world.profile("p"), "c2"), name="only")
    if noun == "actions":
        answer = ask(world, "POST", "/clusters/c1/actions", {"check": {}})
        return dict(contents(ask(world, "GET", f"/actions/{answer.action}")))
    found = [row for row in contents(ask(world, "GET", f"/{noun}")) if row["name"] == NAMED[noun]]
    assert len(found) == 1
    return dict(found[0])


@pytest.mark.parametrize("noun", [*NAMED, "actions"])
def test_a_path_takes_ids_names_and_beginnings_of_ids(world: World, noun: str) -> None:
    row = one(world, noun)
    for word in (row["id"], row["id"].upper(), row["id"].replace("-", ""), row["name"], row["id"][:13]):
        assert contents(ask(world, "GET", f"/{noun}/{word}"))["id"] == row["id"], word
    for word in ("absent", world.ids.new(), "0" * 9, row["name"].swapcase(), row["name"][:-1] + "_", row["id"][1:9]):
        assert ask(world, "GET", f"/{noun}/{word}").error[:2] == (404, "ResourceNotFound"), word


@pytest.mark.parametrize("noun", NAMED)
def test_a_word_that_fits_several_is_refused_for_every_verb(world: World, noun: str) -> None:
    furnish(world)
    singular = {"policies": "policy"}.get(noun, noun[:-1])
    table = getattr(tables, singular)
    for index, row in enumerate(contents(ask(world, "GET", f"/{noun}", name="twin"))):
        alike = table.update().where(table.c.id == row["id"]).values(id=f"abcdef01-0000-4000-8000-00000000000{index}")
        world.store.run(lambda connection, statement: connection.execute(statement), alike)
    for word in ("twin", "abcdef01", "ABCDEF01-0000"):
        for method, body in (("GET", None), ("PATCH", {singular: {"name": "x"}}), ("DELETE", None)):
            assert ask(world, method, f"/{noun}/{word}", body).error[:2] == (400, "MultipleChoices"), (method, word)


def test_an_action_is_cancelled_and_completed_by_its_full_id_alone(world: World) -> None:
    row = one(world, "actions")
    given = {"action": {"status": "CANCELLED"}}
    for word in (row["name"], row["id"][:8], world.ids.new()):
        assert ask(world, "PATCH", f"/actions/{word}", given).error[:2] == (404, "ResourceNotFound")
        completing = {"complete_lifecycle": {"lifecycle_action_token": word}}
        assert ask(world, "POST", "/clusters/c1/actions", completing).error[:2] == (404, "ResourceNotFound")
    assert ask(world, "PATCH", f"/actions/{row['id']}", given).status == 202


# --- words in bodies --------------------------------------------------------------------------------------------------

Reference = tuple[str, str, Callable[[str], Any]]
REFERENCES: Mapping[str, Reference] = {
    "cluster's profile": ("profile", "POST /clusters", lambda word: {"cluster": {"name": "n", "profile_id": word}}),
    "cluster's new profile": ("profile", "PATCH /clusters/c1", lambda word: {"cluster": {"profile_id": word}}),
    "node's profile": ("profile", "POST /nodes", lambda word: {"node": {"name": "n", "profile_id": word}}),
    "node's new profile": ("profile", "PATCH /nodes/orphan", lambda word: {"node": {"profile_id": word}}),
    "node's cluster": (
        "cluster",
        "POST /nodes",
        lambda word: {"node": {"name": "n", "profile_id": "web", "cluster_id": word}},
    ),
    "attached policy": (
        "policy",
        "POST /clusters/c1/actions",
        lambda word: {"policy_attach": {"policy_id": word}},
    ),
    "detached policy": ("bound", "POST /clusters/c1/actions", lambda word: {"policy_detach": {"policy_id": word}}),
    "updated policy": (
        "bound",
        "POST /clusters/c1/actions",
        lambda word: {"policy_update": {"policy_id": word, "enabled": False}},
    ),
    "added node": ("node", "POST /clusters/c1/actions", lambda word: {"add_nodes": {"nodes": [word]}}),
    "removed node": ("member", "POST /clusters/c1/actions", lambda word: {"del_nodes": {"nodes": [word]}}),
    "replaced node": (
        "member",
        "POST /clusters/c1/actions",
        lambda word: {"replace_nodes": {"nodes": {word: "orphan"}}},
    ),
    "replacing node": (
        "node",
        "POST /clusters/c1/actions",
        lambda word: {"replace_nodes": {"nodes": {"c1-1": word}}},
    ),
    "receiver's cluster": (
        "referenced",
        "POST /receivers",
        lambda word: {
            "receiver": {"name": "r", "type": "webhook", "cluster_id": word, "action": "CLUSTER_CHECK"},
        },
    ),
}
MEANT = {
    "profile": ("profiles", "fresh"),
    "cluster": ("clusters", "c1"),
    "policy": ("policies", "loose"),
    "bound": ("policies", "bound"),
    "node": ("nodes", "orphan"),
    "member": ("nodes", "c1-2"),
    "referenced": ("clusters", "c1"),
}


def refer(world: World, what: str, word: str) -> Answer:
    _, where, body = REFERENCES[what]
    method, path = where.split()
    return ask(world, method, path, body(word))


@pytest.mark.parametrize("what", REFERENCES)
def test_a_body_takes_ids_names_and_beginnings_of_ids(world: World, what: str) -> None:
    noun, name = MEANT[REFERENCES[what][0]]
    furnish(world)
    world.profile("fresh")
    (row,) = (row for row in contents(ask(world, "GET", f"/{noun}")) if row["name"] == name)
    for word in (row["id"], row["id"].upper(), row["id"].replace("-", ""), row["name"], row["id"][:13]):
        answer = refer(world, what, word)
        assert answer.status in (201, 202), (word, answer.body)
        if answer.status == 202:
            world.end(answer.action)


@pytest.mark.parametrize("what", REFERENCES)
def test_what_a_body_names_and_is_not_there_is_a_400_that_says_so(world: World, what: str) -> None:
    furnish(world)
    qualifier = "referenced" if REFERENCES[what][0] == "referenced" else "specified"
    for word in ("absent", world.ids.new(), "00000000"):
        status, kind, message = refer(world, what, word).error
        assert (status, kind) == (400, "BadRequest")
        assert f"he {qualifier} " in message and word in message and "could not be found" in message
    assert refer(world, what, "twin").error[:2] == (400, "MultipleChoices")


#: Their words stand within a list or map, which has no keys of its own.
_IN_LISTS = {"added node", "removed node", "replaced node", "replacing node"}


@pytest.mark.parametrize("what", [what for what in REFERENCES if what not in _IN_LISTS])
def test_the_shape_of_a_body_is_checked_before_anything_is_looked_up(world: World, what: str) -> None:
    _, where, body = REFERENCES[what]
    method, path = where.split()
    path = path.replace("/c1", "/absent").replace("/orphan", "/absent")
    (envelope,) = body("x")
    given = {envelope: {**body("x")[envelope], "bogus": 1}}
    assert ask(world, method, path, given).error[:2] == (400, "HTTPBadRequest")
    if "absent" in path:
        assert ask(world, method, path, body("x")).error[:2] == (404, "ResourceNotFound")
