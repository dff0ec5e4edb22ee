"""Updates, rollbacks and revisions as people and programs ask for them, against a stub of the service."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.stub import Answer, Stub, accepted, cluster, fault, node
from spinney.cli.transport import refusal
from spinney.cli.waiting import Scene, describe

REVISIONS = [
    {
        "number": 3,
        "profile_id": "p3",
        "profile_name": "v3",
        "image": "web:3",
        "digest": None,
        "reason": "update; not reached: 2 of 3 members failed",
        "created_at": "2026-01-02T00:00:00Z",
        "reached_at": None,
        "current": False,
        "action_id": "a3",
    },
    {
        "number": 2,
        "profile_id": "p2",
        "profile_name": "v2",
        "image": "web:2",
        "digest": "sha256:" + "a" * 64,
        "reason": "update",
        "created_at": "2026-01-01T00:00:00Z",
        "reached_at": "2026-01-01T00:01:00Z",
        "current": True,
        "action_id": "a2",
    },
]


def working(stub: Stub, *scenes: tuple[str, dict[str, Any]], profile: str = "p1") -> None:
    """The update a1 of cluster c1 goes through these statuses and outputs."""
    answers = [
        {
            "action": {
                "id": "a1",
                "status": status,
                "status_reason": "2 members do not start",
                "target": "c1",
                "inputs": {"new_profile_id": profile},
                "outputs": outputs,
            }
        }
        for status, outputs in scenes
    ]
    stub.on("GET /v1/actions/a1", *answers)


def members(stub: Stub, profile: str, cluster_profile: str | None = None) -> None:
    stub.on("GET /v1/clusters/c1", {"cluster": cluster(desired=2, profile_id=cluster_profile or profile)})
    stub.on("GET /v1/nodes", {"nodes": [node(name, profile_id=profile) for name in "ab"]})


def test_revisions_are_a_table_in_which_the_present_one_is_marked(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters/web/revisions", {"revisions": REVISIONS})
    lines = spinney("cluster", "revisions", "web").stdout.splitlines()
    assert lines[0].split() == ["REVISION", "PROFILE", "IMAGE", "DIGEST", "CREATED", "REASON"]
    assert lines[1].split()[:3] == ["3", "v3", "web:3"] and "2 of 3 members failed" in lines[1]
    assert lines[2].split()[:4] == ["2", "*", "v2", "web:2"] and "sha256:aaaaaaaaaaaa" in lines[2]
    assert json.loads(spinney("cluster", "revisions", "web", "-o", "json").stdout) == REVISIONS


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (("rollback", "web"), {"rollback": {}}),
        (("rollback", "web", "--to", "2"), {"rollback": {"revision": 2}}),
        (
            ("rollback", "web", "--supersede", "--base-revision", "4"),
            {"rollback": {"supersede": True, "base_revision": 4}},
        ),
        (("pause", "web"), {"pause": {}}),
        (("resume", "web"), {"resume": {}}),
        (("promote", "web"), {"promote": {}}),
        (("abort", "web"), {"abort": {}}),
    ],
)
def test_what_is_asked(spinney: Any, stub: Stub, words: tuple[str, ...], body: Any) -> None:
    stub.on("POST /v1/clusters/web/actions", Answer({"action": "a1"}, 202))
    result = spinney("cluster", *words)
    assert result.exit_code == 0, result.output
    assert stub.sent("POST")[0].body == body
    assert "spinney" in stub.sent("POST")[0].headers["OpenStack-API-Version"]
    assert f"web: {words[0]} requested" in result.stdout and "spinney action show a1" in result.stdout
    programs = spinney("cluster", *words, "-o", "json").stdout
    assert json.loads(programs) == {"cluster": "web", "action": "a1"}


def test_a_refusal_is_told_as_it_came(spinney: Any, stub: Stub) -> None:
    stub.on("POST /v1/clusters/web/actions", fault(409, "The update is not paused.", "FeatureNotSupported"))
    result = spinney("cluster", "resume", "web")
    assert result.exit_code == 1 and "The update is not paused." in result.stderr


def test_a_rollback_is_waited_for_until_the_members_show_it(spinney: Any, stub: Stub) -> None:
    stub.on("POST /v1/clusters/web/actions", Answer({"action": "a1"}, 202))
    progress = {"state": "updating", "batch": 1, "of": 2, "done": 1, "total": 2, "failed": 0, "rolling_back": False}
    working(stub, ("WAITING", progress), ("WAITING", progress), ("SUCCEEDED", {}))
    members(stub, "p1")
    result = spinney("cluster", "rollback", "web", "--wait")
    assert result.exit_code == 0, result.output
    assert "batch 1 of 2, 1 of 2 updated" in result.stderr and "done in" in result.stderr


def test_a_rollback_that_fails_says_why(spinney: Any, stub: Stub) -> None:
    stub.on("POST /v1/clusters/web/actions", Answer({"action": "a1"}, 202))
    working(stub, ("FAILED", {}))
    members(stub, "p2")
    result = spinney("cluster", "rollback", "web", "--wait")
    assert result.exit_code == 2 and "2 members do not start" in result.stderr


@pytest.mark.parametrize(
    ("verb", "scenes", "code", "says"),
    [
        ("pause", [("WAITING", {"state": "paused", "batch": 1})], 0, "paused"),
        ("pause", [("SUCCEEDED", {})], 2, "ended before it could pause"),
        ("resume", [("SUCCEEDED", {})], 0, "2 of 2 members ACTIVE"),
        ("promote", [("FAILED", {})], 0, "2 of 2 members ACTIVE"),  # whatever the action says, they have it
        ("abort", [("FAILED", {})], 2, "2 members do not start"),
    ],
)
def test_what_is_said_to_an_update_is_waited_for(
    spinney: Any, stub: Stub, verb: str, scenes: list[tuple[str, dict[str, Any]]], code: int, says: str
) -> None:
    stub.on("POST /v1/clusters/web/actions", Answer({"action": "a1"}, 202))
    working(stub, scenes[0], *scenes)
    members(stub, "p1", cluster_profile="p0" if verb == "abort" else "p1")
    result = spinney("cluster", verb, "web", "--wait")
    assert result.exit_code == code, result.output
    assert says in result.stderr


def test_an_abort_has_reached_its_end_when_everybody_is_back(spinney: Any, stub: Stub) -> None:
    stub.on("POST /v1/clusters/web/actions", Answer({"action": "a1"}, 202))
    working(stub, ("FAILED", {}))
    members(stub, "p0")
    assert spinney("cluster", "abort", "web", "--wait").exit_code == 0


def test_an_update_with_conditions(spinney: Any, stub: Stub) -> None:
    stub.on("PATCH /v1/clusters/web", accepted({"cluster": cluster()}))
    spinney("cluster", "update", "web", "--profile", "v2", "--supersede", "--base-revision", "3")
    (asked,) = stub.sent("PATCH")
    assert asked.body == {"cluster": {"profile_id": "v2", "supersede": True, "base_revision": 3}}


def test_an_update_can_be_planned(spinney: Any, stub: Stub) -> None:
    plan = {"summary": "2 changed where they are.", "steps": [], "unplaceable": []}
    stub.on("POST /v1/clusters/web/plan", {"plan": plan})
    result = spinney("cluster", "update", "web", "--profile", "v2", "--plan")
    assert result.exit_code == 0 and "2 changed where they are" in result.stderr
    assert stub.sent("POST")[0].body == {"update": {"profile_id": "v2"}} and not stub.sent("PATCH")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--supersede",), "add --profile"),
        (("--name", "x", "--supersede"), "add --profile"),
        (("--base-revision", "3"), "nothing to change is given"),
        (("--plan",), "add --profile"),
        (("--plan", "--profile", "v2", "--wait"), "leave one out"),
    ],
)
def test_options_that_make_no_sense(spinney: Any, stub: Stub, words: tuple[str, ...], says: str) -> None:
    result = spinney("cluster", "update", "web", *words)
    assert result.exit_code == 1 and says in result.stderr
    assert not stub.asked


@pytest.mark.parametrize(
    ("outputs", "says"),
    [
        ({}, "UPDATING, 0 of 4 members ACTIVE"),
        (
            {"state": "updating", "batch": 2, "of": 3, "done": 3, "total": 4, "failed": 1, "rolling_back": False},
            "UPDATING, 0 of 4 members ACTIVE, batch 2 of 3, 3 of 4 updated, 1 failed",
        ),
        (
            {"state": "canary", "batch": 1, "of": 3, "done": 1, "total": 4, "failed": 0, "reason": "The others wait"},
            "UPDATING, 0 of 4 members ACTIVE, batch 1 of 3, 1 of 4 updated, canary: The others wait",
        ),
        (
            {"state": "updating", "batch": 0, "of": 3, "done": 1, "total": 4, "rolling_back": True},
            "UPDATING, 0 of 4 members ACTIVE, 1 of 4 restored",
        ),
        (
            {"state": "updating", "batch": 0, "of": 3, "done": 0, "total": 4, "reason": "The image is fetched: no"},
            "UPDATING, 0 of 4 members ACTIVE, 0 of 4 updated, The image is fetched: no",
        ),
    ],
)
def test_how_far_an_update_is(outputs: dict[str, Any], says: str) -> None:
    seen = {"status": "UPDATING", "desired_capacity": 4}
    assert describe(Scene(seen, (), {"status": "WAITING", "outputs": outputs})) == says


@pytest.mark.parametrize(
    ("advice", "offered"),
    [
        ("at work on it; wait for it, cancel it or supersede it.", True),
        ("queued before it; wait for it or cancel it.", False),
    ],
)
def test_what_is_in_the_way_comes_with_the_commands_for_it(advice: str, offered: bool) -> None:
    said = f"CLUSTER_UPDATE on the cluster 'web' is refused: CLUSTER_UPDATE 985ae160 (WAITING) is {advice}"
    told = refusal(409, {"error": {"message": said, "type": "ResourceIsLocked"}}, "http://here").message
    assert told.startswith(said[:-1]) and "`spinney action cancel 985ae160` cancels it" in told
    assert ("--supersede" in told) is offered
