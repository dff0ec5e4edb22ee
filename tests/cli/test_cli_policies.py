"""Policies and their attaching, against a stub of the service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.stub import Answer, Stub, accepted, cluster, fault

POLICY = {"id": "p1", "name": "apart", "type": "senlin.policy.affinity-1.0", "spec": {}, "created_at": None}
BINDING = {
    "id": "b1", "policy_id": "p1", "policy_name": "apart", "policy_type": "senlin.policy.affinity-1.0",
    "enabled": True, "priority": 300, "cluster_id": "c1", "cluster_name": "web", "data": {}, "last_op": None,
}  # fmt: skip
BOUND = "GET /v1/clusters/c1/policies/p1"


def ok(result: Any) -> Any:
    assert result.exit_code == 0, result.output
    return result


def ready(stub: Stub, status: str = "SUCCEEDED") -> None:
    stub.on("GET /v1/clusters/web", {"cluster": cluster()})
    stub.on("GET /v1/policies/apart", {"policy": POLICY})
    stub.on("POST /v1/clusters/c1/actions", Answer({"action": "a1"}, 202))
    stub.on("GET /v1/actions/a1", {"action": {"id": "a1", "status": status, "status_reason": "because"}})


def test_a_policy_is_made_from_a_file(spinney: Any, stub: Stub, tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text("type: senlin.policy.affinity\nversion: 1.0\nproperties: {}\n")
    stub.on("POST /v1/policies", Answer({"policy": POLICY}, 201))
    stub.on("POST /v1/policies/validate", {"policy": {**POLICY, "id": None}})
    ok(spinney("policy", "create", "apart", "--spec-file", str(tmp_path / "spec.yaml")))
    said = ok(spinney("policy", "validate", "--spec-file", str(tmp_path / "spec.yaml"))).stdout
    spec = {"type": "senlin.policy.affinity", "version": 1.0, "properties": {}}
    assert [asked.body for asked in stub.sent("POST")] == [
        {"policy": {"name": "apart", "spec": spec}},
        {"policy": {"spec": spec}},
    ]
    assert "a valid senlin.policy.affinity-1.0" in said


def test_policies_are_listed_renamed_and_deleted(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/policies", {"policies": [POLICY]})
    stub.on("PATCH /v1/policies/apart", {"policy": {**POLICY, "name": "alone"}})
    stub.on("DELETE /v1/policies/apart", Answer(None, 204, raw=b""))
    stub.on("GET /v1/policies/apart", {"policy": POLICY})
    assert ok(spinney("policy", "list")).stdout.splitlines()[1].split() == ["apart", "p1", POLICY["type"], "-"]
    assert ok(spinney("policy", "show", "apart", "-o", "json")).stdout
    ok(spinney("policy", "update", "apart", "--name", "alone"))
    assert stub.sent("PATCH")[0].body == {"policy": {"name": "alone"}}
    assert ok(spinney("policy", "delete", "apart")).stdout == "apart: deleted\n"


def test_types_are_listed_and_shown(spinney: Any, stub: Stub) -> None:
    support = {"1.0": [{"status": "SUPPORTED", "since": "2016.10"}]}
    stub.on("GET /v1/policy-types", {"policy_types": [{"name": "a.b", "version": "1.0", "support_status": support}]})
    part = {"type": "String", "required": True, "description": "Where."}
    shown = {"zones": {"type": "List", "required": False, "schema": {"*": {"type": "Map", "schema": {"name": part}}}}}
    stub.on("GET /v1/policy-types/a.b-1.0", {"policy_type": {"name": "a.b-1.0", "schema": shown}})
    assert "a.b-1.0" in ok(spinney("policy", "types")).stdout
    assert ok(spinney("policy", "types", "-o", "name")).stdout == "a.b-1.0\n"
    lines = ok(spinney("policy", "type-show", "a.b-1.0")).stdout.splitlines()
    assert lines[-1].split()[:3] == ["zones[].name", "String", "yes"]


@pytest.mark.parametrize(
    ("words", "asked", "seen", "said"),
    [
        (
            ["policy-attach", "web", "apart"],
            {"policy_attach": {"policy_id": "p1", "enabled": True}},
            BINDING,
            "enabled",
        ),
        (
            ["policy-attach", "web", "apart", "--disabled"],
            {"policy_attach": {"policy_id": "p1", "enabled": False}},
            {**BINDING, "enabled": False},
            "attached and disabled",
        ),
        (
            ["policy-update", "web", "apart", "--disable"],
            {"policy_update": {"policy_id": "p1", "enabled": False}},
            {**BINDING, "enabled": False},
            "disabled",
        ),
        (["policy-detach", "web", "apart"], {"policy_detach": {"policy_id": "p1"}}, None, "detached"),
    ],
)
def test_waiting_looks_at_the_binding(
    spinney: Any, stub: Stub, words: list[str], asked: Any, seen: Any, said: str
) -> None:
    ready(stub)
    stub.on(BOUND, fault(404, "not attached") if seen is None else {"cluster_policy": seen})
    result = ok(spinney("cluster", *words, "--wait"))
    assert stub.sent("POST")[0].body == asked
    assert said in result.stderr


def test_what_attaching_remarks_is_told(spinney: Any, stub: Stub) -> None:
    ready(stub)
    said = "CLUSTER_ATTACH_POLICY is done. It has no effect yet."
    stub.on("GET /v1/actions/a1", {"action": {"id": "a1", "status": "SUCCEEDED", "status_reason": said}})
    stub.on(BOUND, {"cluster_policy": BINDING})
    assert "(It has no effect yet)" in ok(spinney("cluster", "policy-attach", "web", "apart", "--wait")).stderr


def test_an_attachment_that_fails_says_why(spinney: Any, stub: Stub) -> None:
    ready(stub, "FAILED")
    stub.on(BOUND, fault(404, "not attached"))
    result = spinney("cluster", "policy-attach", "web", "apart", "--wait")
    assert result.exit_code == 2
    assert "because" in result.stderr


def test_without_waiting_the_action_is_told(spinney: Any, stub: Stub) -> None:
    ready(stub)
    told = json.loads(ok(spinney("cluster", "policy-attach", "web", "apart", "-o", "json")).stdout)
    assert told == {"cluster": "c1", "policy": "p1", "action": "a1"}
    assert "a1" in ok(spinney("cluster", "policy-detach", "web", "apart")).output


def test_the_policies_of_a_cluster(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters/web/policies", {"cluster_policies": [BINDING]})
    stub.on("GET /v1/clusters/web/policies/apart", {"cluster_policy": BINDING})
    row = ok(spinney("cluster", "policy-list", "web", "--filter", "enabled=true")).stdout.splitlines()[1]
    assert row.split() == ["apart", "p1", POLICY["type"], "yes", "300"]
    assert stub.asked[0].query == {"enabled": ["true"]}
    assert json.loads(ok(spinney("cluster", "policy-list", "web", "-o", "json")).stdout) == [BINDING]
    assert ok(spinney("cluster", "policy-list", "web", "-o", "name")).stdout == "apart\n"
    assert json.loads(ok(spinney("cluster", "policy-show", "web", "apart", "-o", "json")).stdout) == BINDING


def test_a_cluster_begins_with_policies(spinney: Any, stub: Stub) -> None:
    stub.on("POST /v1/clusters", accepted({"cluster": cluster()}))
    ok(spinney("cluster", "create", "web", "--profile", "p", "--policy", "apart", "--policy", "p2"))
    assert stub.sent("POST")[0].body["cluster"]["policies"] == [{"policy_id": "apart"}, {"policy_id": "p2"}]
