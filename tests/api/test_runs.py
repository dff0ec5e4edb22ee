"""Runs of clusters that do a job, over the wire."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import orjson
import pytest

from api.world import OURS, World, run
from spinney.domain.cluster import Cluster
from spinney.domain.container import LogChunk
from spinney.domain.node import Node
from spinney.domain.runs import Ending, Place, RunRules, RunStatus, Try, ended_changes, first_data, member_data
from spinney.store import tables

JOB = "spinney.policy.job-1.0"
NEVER = {"cron": "0 0 29 2 *"}


def ask(world: World, method: str, path: str, body: Any = None, who: str = "member") -> Any:
    return run(lambda: world.client.as_user(who).at(OURS).request(method, f"/v1/{path}", body))


def job_cluster(world: World, **properties: Any) -> Cluster:
    cluster = world.cluster(world.profile(), "night")
    world.policy("nightly", cluster, JOB, **properties)
    return cluster


def member(world: World, cluster: Cluster, place: Place, ending: Ending | None = None) -> Node:
    profile = world.profile(f"web-{place.number}-{place.attempt}")
    host = world.host(f"h{place.number}{place.attempt}")
    name = f"night-{place.number}-{place.completion}-{place.attempt}"
    box = world.container(profile, host, name, cluster_id=cluster.id, index=place.attempt, data=member_data(place))
    if ending is not None:
        world.change(tables.node, box.id, **ended_changes(box, ending, 1_790_000_100.0))
    return box


def test_runs_are_listed_the_latest_first_and_shown_with_their_members(world: World) -> None:
    cluster = job_cluster(world)
    data = {
        **first_data(RunRules(parallelism=2, completions=5), cluster.profile_id),
        "begun": 3,
        "open": [asdict(Try(1, 2, 1, "n")), asdict(Try(2, 2, 1, None, 9.0))],
    }
    first = world.run_of(cluster, 1, status=RunStatus.SKIPPED, scheduled_at=1_790_000_000.0, ended_at=1_790_000_001.0)
    world.run_of(cluster, 2, status=RunStatus.RUNNING, status_reason="Well.", succeeded=1, failed=2, data=data)
    member(world, cluster, Place(2, 0, 1), Ending(3, "exit code 3", 1_790_000_050.0))
    box = member(world, cluster, Place(2, 0, 2))
    member(world, cluster, Place(9, 0, 7))
    listed = ask(world, "GET", "clusters/night/runs", who="reader").json["runs"]
    assert [one["number"] for one in listed] == [2, 1]
    assert listed[1]["scheduled_at"] == "2026-09-21T14:13:20Z" and listed[1]["status"] == "SKIPPED"
    shown = ask(world, "GET", "clusters/night/runs/2", who="reader").json["run"]
    assert {key: shown[key] for key in ("completions", "parallelism", "succeeded", "failed", "active")} == {
        "completions": 5,
        "parallelism": 2,
        "succeeded": 1,
        "failed": 2,
        "active": 1,
    }
    ended, running = shown["members"]
    assert (ended["exit_code"], ended["ended_at"], ended["attempt"]) == (3, "2026-09-21T14:14:10Z", 1)
    assert (running["node_id"], running["exit_code"], running["attempt"]) == (box.id, None, 2)
    assert first.cluster_id == cluster.id


@pytest.mark.parametrize("number", ["3", "0", "x", "-1", "1e3", "99999999999999999999", "%00"])
def test_a_run_that_is_not_there(world: World, number: str) -> None:
    world.run_of(job_cluster(world))
    status, kind, message = ask(world, "GET", f"clusters/night/runs/{number}").error
    assert (status, kind) == (404, "ResourceNotFound") and "of the cluster 'night' could not be found" in message


def test_runs_are_ours_alone(world: World) -> None:
    job_cluster(world)
    answer = run(lambda: world.client.at("clustering 1.14").get("/v1/clusters/night/runs"))
    assert answer.status == 404
    answer = run(lambda: world.client.at("clustering 1.14").post("/v1/clusters/night/actions", {"run": {}}))
    assert answer.error[0] == 400 and "'run' is no action here" in answer.error[2]


def test_a_run_is_asked_for(world: World) -> None:
    job_cluster(world)
    answer = ask(world, "POST", "clusters/night/actions", {"run": {}})
    assert answer.status == 202
    shown = ask(world, "GET", f"actions/{answer.action}").json["action"]
    assert (shown["action"], shown["status"], shown["inputs"]) == ("CLUSTER_RUN", "READY", {})


@pytest.mark.parametrize(
    ("properties", "live", "status", "says"),
    [
        ({}, 0, 202, ""),
        ({}, 1, 409, "Run 1 is at work, and runs of this cluster must not overlap: wait for it, or cancel it."),
        ({"schedule": {**NEVER, "overlap": "allow"}}, 1, 202, ""),
        ({"schedule": {**NEVER, "overlap": "allow"}}, 10, 409, "no more than 10 may be at a time"),
        ({"schedule": {**NEVER, "overlap": "replace"}}, 1, 202, ""),
    ],
)
def test_a_run_that_would_overlap(world: World, properties: dict[str, Any], live: int, status: int, says: str) -> None:
    cluster = job_cluster(world, **properties)
    for number in range(live):
        world.run_of(cluster, number + 1, status=RunStatus.RUNNING)
    answer = ask(world, "POST", "clusters/night/actions", {"run": {}})
    assert answer.status == status
    assert not says or says in answer.error[2]


def test_a_cluster_that_does_no_job_has_no_runs(world: World) -> None:
    world.cluster(world.profile())
    status, _, message = ask(world, "POST", "clusters/c1/actions", {"run": {}}).error
    assert status == 400 and "'c1' has no enabled job policy: attach one, or enable it" in message
    assert ask(world, "GET", "clusters/c1/runs").json == {"runs": []}


@pytest.mark.parametrize(
    ("given", "status", "says"),
    [
        ({"number": 1}, 202, ""),
        ({"number": 2}, 409, "Run 2 of the cluster 'night' is SUCCEEDED already."),
        ({"number": 7}, 400, "cancel_run.number: 7 is not allowed: the cluster 'night' has no such run."),
        ({"number": 0}, 400, "cancel_run.number: 0 is not allowed"),
        ({}, 400, "cancel_run.number: this is required"),
        ({"number": 1, "force": True}, 400, "cancel_run.force: there is no such key"),
    ],
)
def test_a_run_is_cancelled(world: World, given: dict[str, Any], status: int, says: str) -> None:
    cluster = job_cluster(world)
    world.run_of(cluster, 1, status=RunStatus.RUNNING)
    world.run_of(cluster, 2, status=RunStatus.SUCCEEDED, ended_at=1.0)
    answer = ask(world, "POST", "clusters/night/actions", {"cancel_run": given})
    assert answer.status == status
    if says:
        assert says in answer.error[2]
    else:
        shown = ask(world, "GET", f"actions/{answer.action}").json["action"]
        assert (shown["action"], shown["inputs"]) == ("CLUSTER_CANCEL_RUN", {"number": 1})


@pytest.mark.parametrize(
    "asked", [{"scale_out": {}}, {"scale_in": {"count": 1}}, {"resize": {"max_size": 5}}, {"recover": {}}]
)
def test_runs_make_the_members_and_nobody_else(world: World, asked: dict[str, Any]) -> None:
    job_cluster(world)
    status, _, message = ask(world, "POST", "clusters/night/actions", asked).error
    assert status == 409 and "policy 'nightly' does not allow it" in message and "with another parallelism" in message


def test_nobody_makes_a_node_in_such_a_cluster(world: World) -> None:
    job_cluster(world)
    made = {"name": "n", "profile_id": "web", "cluster_id": "night"}
    status, _, message = ask(world, "POST", "nodes", {"node": made}).error
    assert status == 409 and "cluster_id: the cluster 'night' takes no such node: policy 'nightly'" in message


@pytest.mark.parametrize(
    ("restarts", "asked", "says"),
    [
        ("none", {}, "update with profile_only"),
        ("none", {"profile_only": True}, None),
        ("always", {"profile_only": True}, "restart_policy none or on-failure"),
    ],
)
def test_an_update_that_its_runs_cannot_have_is_refused_before_it_is_queued(
    world: World, restarts: str, asked: dict[str, Any], says: str | None
) -> None:
    member(world, job_cluster(world), Place(1, 0, 1))
    properties = {"image": "i", "host_node": "h", "restart_policy": restarts}
    world.profile("next", spec={"type": "container.dockerinc.docker", "version": "1.0", "properties": properties})
    answer = ask(world, "PATCH", "clusters/night", {"cluster": {"profile_id": "next", **asked}}, who="admin")
    assert answer.status == (202 if says is None else 409)
    assert says is None or (says in answer.error[2] and "policy 'nightly' does not allow it" in answer.error[2])


def test_logs_of_one_run(world: World) -> None:
    cluster = job_cluster(world)
    for number in (1, 2):
        box = member(world, cluster, Place(number, 0, 1), Ending(0, "exit code 0", 1.0))
        world.access.written[box.physical_id or ""] = [LogChunk("stdout", b"2026-11-22T08:00:00Z of %d\n" % number)]

    def lines(**query: Any) -> list[str]:
        answer = run(lambda: world.client.as_user("member").at(OURS).get("/v1/clusters/night/logs", **query))
        return sorted(orjson.loads(line)["line"] for line in answer.body.splitlines())

    assert lines() == ["of 1", "of 2"]
    assert lines(run="2") == ["of 2"]
    assert lines(run="3") == []
    refused = run(lambda: world.client.as_user("member").at(OURS).get("/v1/clusters/night/logs", run="two"))
    assert refused.error[0] == 400 and "run: 'two' is not allowed" in refused.error[2]


def test_a_receiver_begins_runs(world: World) -> None:
    async def body() -> None:
        given = {"name": "r", "type": "webhook", "cluster_id": "night", "action": "CLUSTER_RUN"}
        made = (await world.client.at(OURS).post("/v1/receivers", {"receiver": given})).json["receiver"]
        url = "/" + made["channel"]["alarm_url"].partition("://")[2].partition("/")[2]
        answer = await world.client.at(None).request("POST", url, {"status": "firing"}, headers={"authorization": ""})
        assert world.action(answer.action).action == "CLUSTER_RUN"
        world.run_of(cluster, 1, status=RunStatus.RUNNING)
        assert (await world.client.at(None).request("POST", url, None, headers={"authorization": ""})).status == 409

    cluster = job_cluster(world)
    run(body)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"desired_capacity": 1}, "resize it to 0 first"),
        ({"max_size": 3}, "set it to -1"),
        ({}, "restart_policy none or on-failure"),
    ],
)
def test_a_cluster_made_with_the_policy_wants_no_members(world: World, fields: dict[str, Any], says: str) -> None:
    world.policy("nightly", None, JOB)
    properties: dict[str, Any] = {"image": "i", "host_node": "h"}
    spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": properties}
    world.profile(spec=spec)
    asked = {"name": "night", "profile_id": "web", "policies": [{"policy_id": "nightly"}], **fields}
    status, _, message = ask(world, "POST", "clusters", {"cluster": asked}).error
    assert status == 400 and "cluster.policies[0]: policy 'nightly' cannot be attached" in message and says in message
    properties["restart_policy"] = "none"
    world.profile("ends", spec=spec)
    made = ask(world, "POST", "clusters", {"cluster": {**asked, "profile_id": "ends"}})
    assert made.status == (400 if fields else 202)
