"""``spinney why``: one sentence, the hosts in the order people look for them, and what would have to change."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cli.stub import Stub, fault, node
from spinney.api import placement as api_placement
from spinney.cli import why
from spinney.domain.host import Host, HostState
from spinney.domain.placement.answers import Placed
from spinney.domain.placement.explaining import explain
from spinney.domain.placement.model import PlacementRequest, Surroundings
from spinney.domain.placement.rules import LabelTerm, PlacementRules, Preference, Strategy
from spinney.domain.placement.scheduler import Fleet


def host(name: str, fits: bool = False, reasons: Any = (), **scores: float | None) -> dict[str, Any]:
    return {
        "host": name, "host_id": f"id-{name}", "fits": fits, "score": next(iter(scores.values()), None),
        "scores": scores, "reasons": [dict(zip(("rule", "needed", "available", "text"), r, strict=True)) for r in reasons],
    }  # fmt: skip


SHORT = ("memory", "2048 MiB", "1536 MiB", "1536 MiB of 16384 MiB memory can be reserved, 2048 MiB needed")
ZONE = ("zone", "a", "b", "it is in zone b")
PLACED: dict[str, Any] = {
    "state": "placed", "host": "h3", "host_id": "id-h3", "generation": 2, "decided_at": "2026-01-01T00:00:00Z",
    "strategy": "spread", "summary": "the smallest reserved share of 2 hosts", "hosts_total": 4, "failed": {"memory": 2},
    "hosts": [
        host("h3", True, spread=0.3, containers=3), host("h2", True, spread=0.3, containers=4),
        host("h1", False, [SHORT, ZONE]), host("h4", False, [SHORT]),
    ],
    "nearest_miss": None,
}  # fmt: skip
WAITING = {
    **PLACED, "state": "waiting", "host": None, "host_id": None, "decided_at": None,
    "summary": "0 of 40 hosts fit: memory short on 30", "hosts_total": 40, "failed": {"zone": 10, "memory": 30},
    "hosts": [host(f"h{n}", False, [SHORT]) for n in range(20)],
    "nearest_miss": {"host": "h0", "host_id": "id-h0", "change": {"memory": 1}, "text": "h0 would fit with 1 byte more"},
}  # fmt: skip


@pytest.fixture
def asked(spinney: Any, stub: Stub) -> Any:
    def ask(placement: Any, *words: str, **shown: Any) -> str:
        stub.on("GET /v1/nodes/web-1", {"node": node("web-1", **shown)})
        stub.on("GET /v1/nodes/web-1/placement", {"placement": placement})
        result = spinney("why", "web-1", *words)
        assert result.exit_code == 0, result.output
        return str(result.stdout)

    return ask


def test_of_a_placed_node_the_chosen_host_comes_first_and_those_that_do_not_fit_last(asked: Any) -> None:
    shown = asked(PLACED)
    lines = shown.splitlines()
    assert lines[0].startswith("web-1 is on h3, placed ") and lines[0].endswith(
        "the smallest reserved share of 2 hosts"
    )
    assert [line.split()[:2] for line in lines[3:7]] == [["h3", "chosen"], ["h2", "fits"], ["h1", "no"], ["zone", "a"]]
    assert "2048 MiB  1536 MiB" in lines[5] and "30.0%" in lines[3]
    assert "\x1b" not in shown and "█" not in shown


def test_one_that_is_not_ready_says_so_with_its_reason(asked: Any) -> None:
    since = (datetime.now(UTC) - timedelta(seconds=65)).strftime("%Y-%m-%dT%H:%M:%SZ")
    readiness = {"ready": False, "since": since, "reason": "its ready probe failed: no"}
    shown = asked(PLACED, physical_id="f" * 64, data={"readiness": readiness})
    assert shown.splitlines()[-1].startswith("web-1 has not been ready for 1m")
    assert shown.splitlines()[-1].endswith(": its ready probe failed: no")
    assert "ready" not in asked(PLACED, physical_id="f" * 64, data={"readiness": {"ready": True, "reason": ""}})


def test_the_score_that_decided_is_pointed_at(asked: Any) -> None:
    lines = asked(PLACED).splitlines()
    found = {line.split("  ")[0]: line for line in lines}
    assert "this one" in found["containers there"] and "this one" not in found["reserved share"]

    twin = {**PLACED["hosts"][1], "scores": PLACED["hosts"][0]["scores"]}
    assert "but the names of the hosts" in asked({**PLACED, "hosts": [PLACED["hosts"][0], twin]})
    alone = asked({**PLACED, "hosts": PLACED["hosts"][:1]})
    assert "this one" not in alone and "no other host" in alone


def test_of_a_waiting_node_what_keeps_hosts_out_is_counted_and_the_nearest_miss_said_in_words(asked: Any) -> None:
    lines = asked(WAITING).splitlines()
    assert lines[0] == "web-1 waits for a host: 0 of 40 hosts fit: memory short on 30"
    assert lines[-1] == "Nearest miss: h0 would fit with 1 byte more"
    counts = [line.split() for line in lines if line.endswith("/40")]
    assert counts == [["memory", "30/40"], ["zone", "10/40"]]


def test_many_hosts_are_shown_only_when_asked_for(asked: Any) -> None:
    assert "… and 28 more of 40 hosts; --all shows more" in asked(WAITING)
    everything = asked(WAITING, "--all")
    assert "… and 20 more of 40 hosts\n" in everything and "h19" in everything


def test_a_node_about_which_nothing_was_decided_still_gets_its_sentence(asked: Any) -> None:
    nothing = {**WAITING, "summary": "Initializing", "hosts": [], "hosts_total": 0, "failed": {}, "nearest_miss": None}
    assert asked(nothing) == "web-1 waits for a host: Initializing\n"


def test_programs_get_the_placement_as_it_came(asked: Any) -> None:
    assert json.loads(asked(PLACED, "-o", "json")) == PLACED
    assert asked(PLACED, "-o", "name") == "h3\n"
    assert asked(WAITING, "-o", "name") == ""


def test_a_host_is_refused_in_the_words_of_the_service(spinney: Any, stub: Stub) -> None:
    stub.on("GET /v1/nodes/h/placement", fault(400, "The node 'h' is a host.", "BadRequest"))
    result = spinney("why", "h")
    assert (result.exit_code, result.stderr) == (1, "spinney: The node 'h' is a host.\n")


@pytest.mark.parametrize(
    ("words", "amount"),
    [("512 MiB", 512 * 1024**2), ("1.5 MiB", 1.5 * 1024**2), ("77 bytes", 77), ("0.5", 0.5), ("ready", None),
     ("fewer than 2", None), ("1 subnet", None), ("8080/tcp", None), (None, None)],
)  # fmt: skip
def test_only_amounts_are_drawn(words: Any, amount: float | None) -> None:
    assert why.amount(words) == amount
    drawn = why.picture({"needed": words, "available": "0"})
    assert bool(drawn) is bool(amount)


@pytest.mark.parametrize("strategy", Strategy)
def test_what_the_scheduler_writes_down_is_understood(strategy: Strategy) -> None:
    """Its scores have words, its amounts are drawn, and what it chose comes first."""

    def machine(name: str, reserved: float, **more: Any) -> Host:
        return Host(
            node_id=f"id-{name}", endpoint="", name=name, cluster_id="c", project="p", state=HostState.READY, cpu=4.0,
            memory=2**33, reserved_cpu=reserved, **more,
        )  # fmt: skip

    hosts = [machine("full", 3.9), machine("busy", 3.0, reserved_memory=2**33), machine("a", 1.0), machine("b", 2.0)]
    rules = PlacementRules(strategy=strategy, prefer=(Preference(LabelTerm("disk")),), spread_over="host")
    (answer,) = Fleet(hosts, Surroundings()).place(
        [PlacementRequest("n", 0.5, 2**29, host_cluster="c", rules=rules, workload="w")]
    )
    assert isinstance(answer, Placed)
    told = api_placement.of(explain(answer.decision.body(), answer.step))
    shown = told | {"state": "placed", "host_id": answer.host_id}
    lines = [line for one in shown["hosts"] for line in why.rows(one, shown)]
    assert [line.get("verdict") for line in lines] == ["chosen", "fits", "no", "no"]
    assert [line["rule"] for line in lines[2:]] == ["memory", "cpu"]
    assert all(line["picture"] for line in lines[2:])
    assert {name for one in shown["hosts"] for name in one["scores"]} <= why.SCORE_WORDS.keys()
    assert sum(bool(row["decided"]) for row in why.scores(shown["hosts"], shown)) == (strategy is not Strategy.RANDOM)
