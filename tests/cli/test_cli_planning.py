"""Plans, drains and rebalances as people and programs see them, against a stub of the service."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.stub import Answer, Stub, accepted, cluster

PLAN = {
    "summary": "1 moved, 1 left where it is, 1 without room.",
    "steps": [
        {"step": "move", "node": "web-1", "from": "h1", "to": "h2", "reason": "spread: emptiest of 2"},
        {"step": "stay", "node": "db-1", "from": "h1", "to": None, "reason": "its profile wants this very host"},
    ],
    "unplaceable": [
        {
            "node": "big-1",
            "summary": "0 of 2 hosts fit: memory short on 2",
            "nearest_miss": {"host": "h2", "text": "512 MiB more memory on h2"},
        }
    ],
}
HOST = {"id": "h-1", "name": "h1", "state": "draining", "state_reason": "", "containers": 3}


def test_a_plan_is_a_table_of_steps_and_one_of_those_without_room(spinney: Any, stub: Stub) -> None:
    stub.on("POST /v1/clusters/hosts/plan", {"plan": PLAN})
    result = spinney("plan", "drain", "hosts", "h1")
    assert result.exit_code == 0, result.output
    assert stub.sent("POST")[0].body == {"drain": {"host": "h1"}}
    lines = result.stdout.splitlines()
    assert lines[1].split() == ["move", "web-1", "h1", "→", "h2", "spread:", "emptiest", "of", "2"]
    assert "from h1" in lines[2] and "its profile wants this very host" in lines[2]
    assert "IT WOULD FIT WITH" in result.stdout and "512 MiB more memory on h2" in result.stdout
    assert PLAN["summary"] in result.stderr
    assert json.loads(spinney("plan", "drain", "hosts", "h1", "-o", "json").stdout) == PLAN


def test_the_plan_of_an_update_tells_batches_and_manners(spinney: Any, stub: Stub) -> None:
    common = {"from": "h1", "to": "h1"}
    steps = [
        {"step": "change", "node": "web-1", "reason": "cpu can be changed", "batch": 1, "manner": "in-place", **common},
        {"step": "replace", "node": "web-2", "reason": "spread", "batch": 2, "manner": "start-first", **common},
        {"step": "stay", "node": "web-3", "reason": "it has that profile", "batch": None, "manner": None, **common},
    ]
    stub.on("POST /v1/clusters/web/plan", {"plan": {"summary": "x", "steps": steps, "unplaceable": []}})
    lines = [line.split() for line in spinney("plan", "update", "web", "new").stdout.splitlines()]
    assert lines[0] == ["BATCH", "STEP", "HOW", "NODE", "WHERE", "WHY"]
    assert lines[1][:6] == ["1", "change", "in-place", "web-1", "on", "h1"]
    assert lines[2][:4] == ["2", "replace", "start-first", "web-2"] and lines[3][:2] == ["stay", "web-3"]


def test_what_is_said_of_many_is_said_once(spinney: Any, stub: Stub) -> None:
    without = [{"node": f"web #{n}", "summary": "0 of 2 hosts fit", "nearest_miss": None} for n in range(5)]
    stub.on("POST /v1/clusters/web/plan", {"plan": {"summary": "x", "steps": [], "unplaceable": without}})
    lines = spinney("plan", "scale-out", "web", "5").stdout.splitlines()
    assert len(lines) == 2 and lines[1].startswith("web #0, web #1, web #2 and 2 more  0 of 2 hosts fit")


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (("scale-out", "web", "5"), {"scale_out": {"count": 5}}),
        (("scale-in", "web"), {"scale_in": {"count": 1}}),
        (("resize", "web", "7"), {"resize": {"adjustment_type": "EXACT_CAPACITY", "number": 7, "strict": True}}),
        (("update", "web", "new"), {"update": {"profile_id": "new"}}),
        (("lose", "web", "h1"), {"lose": {"host": "h1"}}),
        (("rebalance", "web", "--max-moves", "3"), {"rebalance": {"max_moves": 3}}),
    ],
)
def test_what_is_asked(spinney: Any, stub: Stub, words: tuple[str, ...], asked: Any) -> None:
    stub.on(
        "POST /v1/clusters/web/plan", {"plan": {"summary": "Nothing would change.", "steps": [], "unplaceable": []}}
    )
    result = spinney("plan", *words)
    assert (result.exit_code, result.stdout) == (0, ""), result.output
    assert stub.sent("POST")[0].body == asked


def drained(stub: Stub, status: str, reason: str, containers: int, state: str = "cordoned") -> Any:
    stub.on("GET /v1/hosts/h1", {"host": HOST})
    stub.on("GET /v1/hosts/h-1", {"host": HOST}, {"host": {**HOST, "state": state, "containers": containers}})
    stub.on("POST /v1/hosts/h-1/actions", accepted({"action": "a1"}))
    waiting = {"id": "a1", "status": "WAITING", "status_reason": "1 of 4 containers have left, 2 moving."}
    stub.on(
        "GET /v1/actions/a1", {"action": waiting}, {"action": {**waiting, "status": status, "status_reason": reason}}
    )


def test_a_drain_is_followed_until_the_host_is_empty(spinney: Any, stub: Stub) -> None:
    drained(stub, "SUCCEEDED", "The host is empty: 4 of 4 containers have left.", 0)
    result = spinney("host", "drain", "h1", "--deadline", "60", "--max-in-flight", "2", "--wait")
    assert result.exit_code == 0, result.output
    assert stub.sent("POST")[0].body == {"drain": {"deadline": 60, "max_in_flight": 2}}
    assert "1 of 4 containers have left, 2 moving" in result.stderr
    assert "The host is empty" in result.stderr


def test_a_drain_that_ends_with_containers_left_has_failed(spinney: Any, stub: Stub) -> None:
    drained(stub, "FAILED", "Not drained within 60 s; web-1: no room", 1)
    result = spinney("host", "drain", "h1", "--wait")
    assert result.exit_code == 2 and "web-1: no room" in result.stderr


def test_a_dry_run_shows_the_plan_and_waits_for_nothing(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/hosts/h1", {"host": HOST})
    stub.on("POST /v1/hosts/h-1/actions", {"plan": PLAN})
    assert "h1 → h2" in spinney("host", "drain", "h1", "--dry-run").stdout
    assert stub.sent("POST")[0].body == {"drain": {"dry_run": True}}
    refused = spinney("host", "drain", "h1", "--dry-run", "--wait")
    assert refused.exit_code == 1 and "leave one out" in refused.stderr


def test_cordon_and_uncordon_say_what_the_host_is_then(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/hosts/h1", {"host": HOST})
    stub.on("POST /v1/hosts/h-1/actions", accepted({"action": "a1"}))
    stub.on("GET /v1/hosts/h-1", {"host": {**HOST, "state": "cordoned"}}, {"host": {**HOST, "state": "suspect"}})
    assert spinney("host", "cordon", "h1").stdout == "h1: cordoned\n"
    assert "it is suspect" in spinney("host", "uncordon", "h1").stdout
    assert [asked.body for asked in stub.sent("POST")] == [{"cordon": {}}, {"uncordon": {}}]


def test_a_rebalance_ends_as_its_action_does(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/clusters/hosts", {"cluster": cluster(name="hosts")})
    stub.on("GET /v1/clusters/c1", {"cluster": cluster(name="hosts")})
    stub.on("GET /v1/nodes", {"nodes": []})
    stub.on("POST /v1/clusters/c1/actions", accepted({"action": "a1"}))
    done = {"id": "a1", "status": "SUCCEEDED", "status_reason": "2 of 2 moves were made."}
    stub.on("GET /v1/actions/a1", {"action": done}, {"action": {**done, "status": "CANCELLED"}})
    result = spinney("cluster", "rebalance", "hosts", "--max-moves", "2", "--wait")
    assert result.exit_code == 0 and "2 of 2 moves were made" in result.stderr
    assert spinney("cluster", "rebalance", "hosts", "--wait").exit_code == 2
    stub.on("POST /v1/clusters/hosts/plan", Answer({"plan": PLAN}))
    assert "web-1" in spinney("cluster", "rebalance", "hosts", "--dry-run").stdout
