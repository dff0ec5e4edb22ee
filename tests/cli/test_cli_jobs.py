"""``spinney job``: what it asks for, what it waits for, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.conftest import Run
from cli.stub import Answer, Stub, accepted

ACTIONS = "POST /v1/clusters/night/actions"
RUN = "GET /v1/clusters/night/runs/4"


def a_run(status: str = "RUNNING", **fields: Any) -> dict[str, Any]:
    reason = {"RUNNING": "1 of 3 done, 2 at work.", "SUCCEEDED": "3 completions done."}.get(status, "It went wrong.")
    return {
        "number": 4,
        "status": status,
        "status_reason": reason,
        "completions": 3,
        "succeeded": 1,
        "failed": 0,
        "scheduled_at": None,
        "started_at": "2026-11-22T08:00:00Z",
        "ended_at": None if status == "RUNNING" else "2026-11-22T08:00:09Z",
        **fields,
    }


def member(**fields: Any) -> dict[str, Any]:
    return {
        "node_id": "n1",
        "node_name": "night-4-0-1",
        "completion": 0,
        "attempt": 1,
        "exit_code": None,
        "ended_at": None,
        "status": "ACTIVE",
        "status_reason": "Creation succeeded.",
        **fields,
    }


def ordered(stub: Stub, status: str = "SUCCEEDED", reason: str = "Run 4 was ordered.") -> None:
    stub.on(ACTIONS, accepted({"action": "a1"}))
    working = {"action": {"id": "a1", "status": "READY", "status_reason": "", "outputs": {}}}
    final = {"action": {"id": "a1", "status": status, "status_reason": reason, "outputs": {"run": 4}}}
    stub.on("GET /v1/actions/a1", working, final)


@pytest.mark.parametrize(
    ("last", "code", "says"),
    [
        (a_run("SUCCEEDED", members=[]), 0, "night, run 4: SUCCEEDED: 3 completions done, done in"),
        (a_run("FAILED", members=[]), 2, "night, run 4: failed after"),
        (a_run("CANCELLED", members=[]), 2, "CANCELLED: It went wrong"),
        (a_run(members=[]), 3, "last seen: RUNNING: 1 of 3 done, 2 at work"),
    ],
)
def test_a_run_is_begun_and_followed_to_its_end(
    spinney: Run, stub: Stub, last: dict[str, Any], code: int, says: str
) -> None:
    ordered(stub)
    stub.on(RUN, {"run": a_run(members=[])}, {"run": last})
    done = spinney("job", "run", "night", "--wait", "--timeout", "0.5")
    assert (done.exit_code, stub.sent("POST")[0].body) == (code, {"run": {}}), done.output
    assert says in done.stderr
    assert "RUNNING: 1 of 3 done, 2 at work" in done.stderr


def test_what_failed_is_told_with_the_run(spinney: Run, stub: Stub) -> None:
    ordered(stub)
    reason = "Completion 0 of run 4, attempt 1: exit code 3."
    lost = member(status="ERROR", status_reason=reason, exit_code=3, ended_at="2026-11-22T08:00:05Z")
    stub.on(RUN, {"run": a_run("FAILED", members=[lost])})
    done = spinney("job", "run", "night", "--wait")
    assert done.exit_code == 2 and f"night-4-0-1: {reason}" in done.stderr
    assert "night-4-0-1  0           1        3" in done.stdout


def test_a_run_that_an_engine_refuses(spinney: Run, stub: Stub) -> None:
    ordered(stub, "FAILED", "CLUSTER_RUN: run 3 is at work: wait for it, or cancel it.")
    done = spinney("job", "run", "night")
    assert done.exit_code == 2 and "run 3 is at work: wait for it, or cancel it" in done.stderr


def test_without_waiting_the_run_is_shown_as_it_is(spinney: Run, stub: Stub) -> None:
    ordered(stub)
    stub.on(RUN, {"run": a_run(members=[member()])})
    assert spinney("job", "run", "night", "-o", "name").stdout == "4\n"
    shown = json.loads(spinney("job", "run", "night", "-o", "json").stdout)
    assert shown["members"][0]["node_name"] == "night-4-0-1"


def test_runs_are_listed_and_the_latest_is_shown(spinney: Run, stub: Stub) -> None:
    skipped = a_run("SKIPPED", number=3, started_at=None, scheduled_at="2026-11-22T07:00:00Z")
    stub.on("GET /v1/clusters/night/runs", {"runs": [a_run(), skipped]})
    stub.on(RUN, {"run": a_run(members=[member()])})
    lines = spinney("job", "list", "night").stdout.splitlines()
    assert lines[0].split() == ["RUN", "STATUS", "DONE", "FAILED", "SCHEDULED", "STARTED", "ENDED", "REASON"]
    assert lines[1].startswith("4    RUNNING  1/3") and "It went wrong." in lines[2]
    assert spinney("job", "list", "night", "-o", "name").stdout == "4\n3\n"
    assert "night-4-0-1" in spinney("job", "show", "night").stdout
    stub.on("GET /v1/clusters/night/runs", {"runs": []})
    none = spinney("job", "show", "night")
    assert none.exit_code == 1 and "the cluster 'night' has no runs" in none.stderr


def test_a_run_is_cancelled_and_waited_for(spinney: Run, stub: Stub) -> None:
    ordered(stub, reason="Run 4 was cancelled.")
    cancelled = a_run("CANCELLED", ended_at=None, members=[])
    stub.on(RUN, {"run": cancelled}, {"run": {**cancelled, "ended_at": "2026-11-22T08:00:09Z"}})
    done = spinney("job", "cancel", "night", "4", "--wait")
    assert done.exit_code == 0, done.output
    assert stub.sent("POST")[0].body == {"cancel_run": {"number": 4}}


def test_logs_of_a_run(spinney: Run, stub: Stub) -> None:
    stub.on("GET /v1/clusters/night/runs", {"runs": [a_run()]})
    line = {"node_id": "n1", "node_name": "night-4-0-1", "stream": "stdout", "time": None, "line": "well"}
    stub.on("GET /v1/clusters/night/logs", Answer(raw=json.dumps(line).encode() + b"\n"))
    assert spinney("job", "logs", "night", "--tail", "5", "-f").stdout == "night-4-0-1 | well\n"
    assert stub.asked[-1].query == {"run": ["4"], "tail": ["5"], "follow": ["true"]}
    spinney("job", "logs", "night", "2")
    assert stub.asked[-1].query == {"run": ["2"]}


def _made(stub: Stub) -> None:
    stub.on("GET /v1/clusters", {"clusters": []})
    for noun, path in (("profile", "profiles"), ("policy", "policies"), ("cluster", "clusters")):
        stub.on(f"POST /v1/{path}", Answer({noun: {"id": f"id of {noun}"}}, 201))
        stub.on(f"POST /v1/{path}/validate", {noun: {}})


def test_all_of_it_in_one_go(spinney: Run, stub: Stub) -> None:
    _made(stub)
    stub.on("GET /v1/clusters/night/runs/1", {"run": a_run("SUCCEEDED", number=1, members=[])})
    done = spinney(
        "job", "submit", "night", "--image", "busybox", "--host-cluster", "local", "--completions", "3", "--env", "A=b",
        "--run-timeout", "60", "--wait", "--", "sh", "-c", "exit 0",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    bodies = {asked.path: asked.body for asked in stub.sent("POST")}
    profile = bodies["/v1/profiles"]["profile"]
    assert profile["name"] == "night" and profile["spec"]["properties"] == {
        "image": "busybox",
        "host_cluster": "local",
        "environment": {"A": "b"},
        "restart_policy": "none",
        "command": ["sh", "-c", "exit 0"],
    }
    spec = {"type": "spinney.policy.job", "version": "1.0", "properties": {"completions": 3, "timeout": 60}}
    assert bodies["/v1/policies"]["policy"] == {"name": "night", "spec": spec}
    made = {"name": "night", "profile_id": "id of profile", "policies": [{"policy_id": "id of policy"}]}
    assert bodies["/v1/clusters"]["cluster"] == made


def test_a_name_that_is_taken_is_not_taken_twice(spinney: Run, stub: Stub) -> None:
    stub.on("GET /v1/clusters", {"clusters": [{"id": "c1", "name": "night"}]})
    done = spinney("job", "submit", "night", "--image", "busybox", "--host-cluster", "local")
    assert done.exit_code == 1 and "`spinney job run night`" in done.stderr and not stub.sent("POST")


def test_a_mistake_leaves_nothing_behind(spinney: Run, stub: Stub) -> None:
    _made(stub)
    error = {"code": 400, "message": "properties.schedule.cron: '61 * * * *' is not allowed", "type": "ESchema"}
    stub.on("POST /v1/policies/validate", Answer({"error": error}, 400))
    words = ("job", "submit", "night", "--image", "busybox", "--host-cluster", "local")
    done = spinney(*words, "--cron", "61 * * * *", "--timezone", "Europe/Berlin")
    assert done.exit_code == 1 and "'61 * * * *' is not allowed" in done.stderr
    sent = stub.sent("POST")
    assert [asked.path for asked in sent] == ["/v1/profiles/validate", "/v1/policies/validate"]
    schedule = sent[1].body["policy"]["spec"]["properties"]["schedule"]
    assert schedule == {"cron": "61 * * * *", "timezone": "Europe/Berlin"}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--timezone", "UTC"), "--cron is not given"),
        (("--cron", "0 4 * * *", "--wait"), "nothing begins before its time"),
        ((), "a container needs an image"),
    ],
)
def test_what_does_not_go_together(spinney: Run, stub: Stub, words: tuple[str, ...], says: str) -> None:
    done = spinney("job", "submit", "night", *words)
    assert done.exit_code == 1 and says in done.stderr
    assert stub.asked == []
