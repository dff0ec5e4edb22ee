"""Real hosts behind mutual TLS and SSH that are cut off, hang, die and come back: what the service sees and what it does."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from system.fleet import FLEET, Fleet, fleet_of
from system.running import spinney
from testbed.bed import Bed

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def standing(standing_bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with fleet_of(standing_bed, tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet
    standing_bed.mend()


@pytest.fixture
def fleet(standing: Fleet) -> Iterator[Fleet]:
    yield standing
    for host in standing.bed.hosts:
        host.heal()
        host.resume()
        standing.boot(host)
    standing.use_every_host()
    standing.clear()
    standing.until(standing.containers, lambda found: not any(found.values()))


def test_hosts_of_a_file_join_and_tell_what_they_are(fleet: Fleet) -> None:
    hosts = fleet.api.get("/hosts")
    assert {(h["name"], h["state"], h["zone"]) for h in hosts} == {
        (host.name, "ready", "ab"[number % 2]) for number, host in enumerate(fleet.bed.hosts)
    }
    for host in hosts:
        assert host["engine"]["version"] and host["capacity"]["cpu"] > 0 and host["capacity"]["memory"] > 2**20
    assert {h["endpoint"].partition(":")[0] for h in hosts} == {"tcp", "ssh"}
    assert [h["name"] for h in fleet.api.get("/hosts?label=disk=ssd")] == ["h1", "h2"]


def test_a_machine_that_does_not_trust_us_is_refused_in_words_and_leaves_nothing(fleet: Fleet) -> None:
    said = spinney(fleet, "host", "add", fleet.bed.hosts[0].endpoint, "--name", "x", "--credential", fleet.bed.ROGUE)
    assert said.returncode == 1
    assert "certificate" in said.stderr, said.stderr
    assert "x" not in {h["name"] for h in fleet.api.get("/hosts")}


def test_members_are_spread_evenly_and_their_containers_are_where_they_are_said_to_be(fleet: Fleet) -> None:
    cluster = fleet.active_cluster(fleet.profile(), 10)
    assert fleet.where(cluster) == Counter({host.name: 2 for host in fleet.bed.hosts})
    fleet.until_true(cluster, 10)


def test_a_host_cut_off_is_suspect_gets_nothing_new_and_loses_nothing(fleet: Fleet) -> None:
    cluster = fleet.active_cluster(fleet.profile(), 5)
    before = {c["Id"] for found in fleet.containers().values() for c in found}
    fleet.bed.host("h2").cut()
    host = fleet.until_host_is("suspect", "h2")
    assert host["state_reason"]
    later = fleet.active_cluster(fleet.profile(), 4)
    assert fleet.where(later)["h2"] == 0
    fleet.bed.host("h2").heal()
    fleet.until_host_is("ready", "h2")
    fleet.until_true(cluster, 5)
    assert before <= {c["Id"] for found in fleet.containers().values() for c in found}, "what ran there runs on"


def test_a_host_that_hangs_is_suspect_too(fleet: Fleet) -> None:
    fleet.bed.host("h3").hang()
    fleet.until_host_is("suspect", "h3")
    fleet.bed.host("h3").resume()
    fleet.until_host_is("ready", "h3")


def test_a_docker_engine_killed_and_started_gets_its_members_back(fleet: Fleet) -> None:
    cluster = fleet.active_cluster(fleet.profile(), 5)
    fleet.bed.host("h1").kill()
    fleet.until_host_is("suspect", "h1")
    fleet.boot(fleet.bed.host("h1"))
    fleet.until_host_is("ready", "h1")
    fleet.until_true(cluster, 5)
    fleet.until_cluster_is("ACTIVE", cluster)


def test_after_a_power_failure_members_run_again(fleet: Fleet) -> None:
    cluster = fleet.active_cluster(fleet.profile(), 5)
    fleet.bed.host("h5").crash()
    fleet.until_host_is("suspect", "h5")
    fleet.boot(fleet.bed.host("h5"))
    fleet.until_host_is("ready", "h5")
    fleet.until_true(cluster, 5)


def test_a_certificate_is_rotated_while_the_service_runs(fleet: Fleet) -> None:
    fleet.bed.issue_client()
    fleet.bed.host("h4").stop()  # so that it must connect anew
    fleet.until_host_is("suspect", "h4")
    fleet.boot(fleet.bed.host("h4"))
    fleet.until_host_is("ready", "h4")
    fleet.until_true(fleet.active_cluster(fleet.profile(), 5), 5)


def test_the_service_killed_in_the_middle_finishes_what_it_had_begun(fleet: Fleet) -> None:
    cluster = fleet.cluster(fleet.profile(), 15)
    fleet.until(fleet.containers, lambda found: sum(map(len, found.values())) >= 4)
    fleet.program.kill()
    fleet.start("--no-local-host")
    fleet.until_cluster_is("ACTIVE", cluster)
    fleet.until_true(cluster, 15)


# --- placing ----------------------------------------------------------------------------------------------------------


def test_a_node_without_room_says_what_is_missing_and_is_placed_when_that_comes(fleet: Fleet) -> None:
    fleet.tell("host", "cordon", *[host.name for host in fleet.bed.hosts])
    cluster = fleet.cluster(fleet.profile(), 1)
    (node,) = fleet.until(lambda: fleet.members(cluster))
    fleet.until(lambda: fleet.api.get(f"/nodes/{node['id']}")["status_reason"], lambda why: "cordoned" in why)
    told = fleet.api.get(f"/nodes/{node['id']}/placement")
    assert told["state"] == "waiting" and len(told["hosts"]) == 5
    assert all(not host["fits"] and host["reasons"] for host in told["hosts"])
    assert "0 of 5 hosts fit" in fleet.tell("why", node["id"])
    fleet.tell("host", "uncordon", "h3")
    fleet.until_cluster_is("ACTIVE", cluster)
    assert fleet.where(cluster) == {"h3": 1}
    told = json.loads(fleet.tell("why", node["id"], "-o", "json"))
    assert (told["state"], told["host"]) == ("placed", "h3")


def test_policies_decide_where_members_go(fleet: Fleet) -> None:
    spec = {
        "type": "spinney.policy.placement",
        "version": "1.0",
        "properties": {"max_per_host": 1, "require": ["disk=ssd"]},
    }
    policy = fleet.policy(spec)
    cluster = fleet.cluster(fleet.profile(), 3, policies=[{"policy_id": policy}])
    fleet.until(lambda: fleet.members(cluster), lambda found: [m["status"] for m in found].count("ACTIVE") == 2)
    placed = Counter(m["data"]["placement"]["host_name"] for m in fleet.members(cluster) if "placement" in m["data"])
    assert placed == {"h1": 1, "h2": 1}
    waiting = next(m for m in fleet.members(cluster) if "placement" not in m["data"])
    rules = {
        host["host"]: {reason["rule"] for reason in host["reasons"]}
        for host in fleet.api.get(f"/nodes/{waiting['id']}/placement")["hosts"]
    }
    assert {name for name, failed in rules.items() if any("label" in rule for rule in failed)} == {"h3", "h4", "h5"}


def test_the_least_utilized_hosts_are_preferred_and_a_busy_one_is_left_alone(fleet: Fleet) -> None:
    spec = {
        "type": "spinney.policy.placement",
        "version": "1.0",
        "properties": {"strategy": "least_utilized", "thresholds": {"cpu": 0.5}},
    }
    policy = fleet.policy(spec)
    busy = fleet.bed.hosts[:3]
    for host in busy:
        fleet.bed.metrics.pretend(host, 1.8)
    fleet.until(lambda: [fleet.host(h.name)["used"]["cpu"] or 0 for h in busy], lambda used: min(used) > 1.2)
    cluster = fleet.active_cluster(fleet.profile(), 4, policies=[{"policy_id": policy}])
    assert fleet.where(cluster) == {"h4": 2, "h5": 2}
    told = fleet.api.get(f"/nodes/{fleet.members(cluster)[0]['id']}/placement")
    assert told["strategy"] == "least_utilized"


# --- living with hosts ------------------------------------------------------------------------------------------------


def _drained(fleet: Fleet, name: str) -> None:
    fleet.until_host_is("cordoned", name)
    assert fleet.sides[name].ours() == []


def test_draining_moves_everything_and_never_leaves_a_member_out_of_service(fleet: Fleet) -> None:
    cluster = fleet.active_cluster(fleet.profile(cpu={"reservation": 0.4, "limit": 1}), 10)
    action = fleet.api.call("POST", f"/hosts/{fleet.host('h1')['id']}/actions", {"drain": {}})
    assert action.status == 202, action.body
    fewest = 10

    def running() -> int:
        nonlocal fewest
        nodes = {
            c["Labels"]["io.spinney.node"] for f in fleet.containers().values() for c in f if c["State"] == "running"
        }
        fewest = min(fewest, len(nodes))
        return len(fleet.sides["h1"].ours())

    fleet.until(running, lambda left: left == 0)
    _drained(fleet, "h1")
    assert fewest == 10
    fleet.until_true(cluster, 10)
    fleet.tell("host", "uncordon", "h1")
    fleet.tell("cluster", "rebalance", FLEET, "--wait")
    assert fleet.where(cluster)["h1"] >= 1
    fleet.until_true(cluster, 10)


def test_the_service_killed_while_it_drains_goes_on_draining(fleet: Fleet) -> None:
    cluster = fleet.active_cluster(fleet.profile(), 15)
    fleet.api.call("POST", f"/hosts/{fleet.host('h4')['id']}/actions", {"drain": {"max_in_flight": 1}})
    fleet.until(lambda: fleet.where(cluster)["h4"], lambda left: left < 3)
    fleet.program.kill()
    fleet.start("--no-local-host")
    _drained(fleet, "h4")
    fleet.until_true(cluster, 15)


def test_a_plan_says_what_a_drain_then_does(fleet: Fleet) -> None:
    cluster = fleet.active_cluster(fleet.profile(), 5)
    plan = fleet.api.call("POST", f"/clusters/{cluster}/plan", {"drain": {"host": "h5"}}).body["plan"]
    (step,) = plan["steps"]
    assert step["from"] == "h5"
    fleet.tell("host", "drain", "h5", "--wait")
    moved = next(m for m in fleet.members(cluster) if m["name"] == step["node"] or m["id"] == step["node"])
    assert moved["data"]["placement"]["host_name"] == step["to"]


def test_members_of_a_lost_host_can_be_drained_away_and_are_not_doubled_when_it_returns(fleet: Fleet) -> None:
    cluster = fleet.active_cluster(fleet.profile(), 5)
    fleet.bed.host("h2").cut()
    fleet.until_host_is("suspect", "h2")
    fleet.api.call("POST", f"/hosts/{fleet.host('h2')['id']}/actions", {"drain": {}})
    fleet.until(lambda: fleet.where(cluster)["h2"], lambda left: left == 0)
    assert len(fleet.sides["h2"].ours()) == 1, "the old container still runs, out of reach"
    fleet.bed.host("h2").heal()
    fleet.until(lambda: fleet.sides["h2"].ours(), lambda left: left == [])
    fleet.until_true(cluster, 5)
