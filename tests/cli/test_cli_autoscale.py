"""``spinney autoscale``: why a cluster has the size it has, and what was decided about it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.stub import Stub
from spinney.domain.autoscale import record
from spinney.domain.autoscale.deciding import evaluate
from spinney.domain.autoscale.rules import Metric, Rules, Signal, Target
from spinney.domain.autoscale.values import MemberSample, Situation, State

CPU, REQUESTS = Signal(Metric.CPU), Signal(Metric.REQUESTS)
PATH = "GET /v1/clusters/site/scaling-decisions"
POLICY = "GET /v1/clusters/site/policies/p1"
ENDED = [
    {"end_time": 1_800_000_200.0, "inputs": {"policy_id": "p2"}},
    {"end_time": 1_800_000_100.0, "inputs": {"policy_id": "p1", "enabled": False}},
]
SINCE = "2027-01-15T08:01:40Z"


def bound(enabled: bool = True) -> dict[str, Any]:
    return {"cluster_policy": {"policy_id": "p1", "policy_name": "breathe", "enabled": enabled}}


def decided(figure: float | None) -> dict[str, Any]:
    """As the API tells it."""
    rules = Rules(minimum=1, maximum=10, targets=(Target(CPU, 50.0), Target(REQUESTS, 30.0)))
    values = {} if figure is None else {CPU.key: figure}
    members = [MemberSample(name, ready_since=0.0, values=values) for name in "abcd"]
    decision = evaluate(rules, Situation(now=1_800_000_000.0, size=4, members=members), State())
    return {
        "id": "d0000000-0000-4000-8000-000000000000",
        "cluster_id": "c1",
        "policy_id": "p1",
        "size": decision.size,
        "wanted": decision.wanted,
        "acted": decision.order is not None,
        "action_id": None if decision.order is None else "a0000000-0000-4000-8000-000000000000",
        **record.shown(decision.at, record.body(decision)),
    }


@pytest.fixture
def told(spinney: Any, stub: Stub) -> Any:
    def tell(decisions: list[Any], *words: str) -> str:
        stub.on(PATH, {"scaling_decisions": decisions})
        stub.on("GET /v1/actions", {"actions": ENDED})
        result = spinney("autoscale", *words)
        assert result.exit_code == 0, result.output
        return str(result.stdout)

    return tell


def test_a_decision_is_told_in_words_and_figures(told: Any, stub: Stub) -> None:
    stub.on(POLICY, bound())
    lines = told([decided(100.0)], "explain", "site").splitlines()
    assert lines[0].startswith("Grows from 4 to 8: cpu is 100.0 % of the limit on average in 4 members")
    assert lines[1].startswith("4 members within 1 to 10, looked at ")
    cpu, requests = (line.split() for line in lines[4:6])
    assert cpu == ["cpu", "100", "50", "4", "0", "0", "8"]
    assert requests[:2] == ["requests", "-"]
    text = "\n".join(lines)
    assert "Why:\n  - cpu is 100.0 %" in text
    assert "What would change it:\n  - By cpu it grows when it is above 55.0 % of the limit and shrinks" in text
    assert stub.asked[0].query == {"sort": ["at:desc"], "limit": ["1"]}


@pytest.mark.parametrize(
    ("enabled", "said"), [(False, "Policy 'breathe' is disabled"), (None, "Policy p1 is detached")]
)
def test_a_policy_at_rest_comes_first(told: Any, stub: Stub, enabled: bool | None, said: str) -> None:
    if enabled is not None:
        stub.on(POLICY, bound(enabled))
    lines = told([decided(100.0)], "explain", "site").splitlines()
    assert lines[0].startswith(f"{said} since 2027-01-15 08:01:40 UTC (")
    assert lines[0].endswith("): nothing is decided about site. The last decision was:")
    assert lines[2].startswith("Grows from 4 to 8") and "What would change it:" not in lines
    policy = json.loads(told([decided(100.0)], "explain", "site", "-o", "json"))["policy"]
    assert (policy["state"], policy["since"]) == (said.split()[-1], SINCE)


def test_what_is_unknown_is_told_too(told: Any, stub: Stub) -> None:
    stub.on(POLICY, bound())
    text = told([decided(None)], "explain", "site")
    assert text.startswith("Stays at 4: cpu is unknown: there is no fresh sample of any of 4 members.")


def test_machines_get_the_decision(told: Any, stub: Stub) -> None:
    stub.on(POLICY, bound())
    found = decided(50.0)
    policy = {"id": "p1", "name": "breathe", "state": "enabled", "since": None}
    assert json.loads(told([found], "explain", "site", "-o", "json")) == {**found, "policy": policy}
    assert told([found], "explain", "site", "-o", "name").strip() == found["id"]


def test_without_a_decision_it_says_what_is_needed(spinney: Any, stub: Stub) -> None:
    stub.on(PATH, {"scaling_decisions": []})
    result = spinney("autoscale", "explain", "site")
    assert result.exit_code == 1 and "attach a policy of type spinney.policy.autoscaling" in result.stderr


def test_the_history(told: Any, stub: Stub) -> None:
    lines = told([decided(100.0), decided(50.0)], "history", "site", "--acted", "--limit", "2").splitlines()
    assert lines[0].split() == ["LATEST", "TIMES", "SIZE", "WANTED", "ACTION", "DECISION", "ID"]
    assert "a0000000" in lines[1] and "Grows from 4 to 8" in lines[1] and "a0000000" not in lines[2]
    assert stub.asked[-1].query == {"sort": ["at:desc"], "limit": ["2"], "acted": ["true"]}
