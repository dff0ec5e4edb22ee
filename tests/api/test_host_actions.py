"""What an operator can ask of a host, and what plans answer."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from api.world import HOST_TYPE, OURS, World, run
from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.profile import Profile
from spinney.store import hosts, tables

SPEC = {"image": "busybox", "cpu": 1.0, "memory": "1GiB", "host_cluster": "hosts"}


def ask(world: World, body: Any, host: str = "metal") -> Any:
    return run(lambda: world.client.at(OURS).post(f"/v1/hosts/{host}/actions", body))


def plan(world: World, body: Any, cluster: str = "web") -> Any:
    return run(lambda: world.client.at(OURS).post(f"/v1/clusters/{cluster}/plan", body))


def shown(world: World) -> tuple[str, str]:
    (found,) = world.store.run(hosts.find, tables.node.c.name == "metal")
    return found.state.value, found.state_reason


def test_cordoned_and_open_again_at_once(world: World) -> None:
    world.host()
    for body, state, kind in (
        ({"cordon": {}}, ("cordoned", "by admin"), ActionKind.HOST_CORDON),
        ({"uncordon": {}}, ("ready", ""), ActionKind.HOST_UNCORDON),
    ):
        answer = ask(world, body)
        action = world.action(answer.action)
        assert (action.action, action.status) == (kind, ActionStatus.SUCCEEDED)
        assert action.end_time is not None and shown(world) == state
    told = run(lambda: world.client.get("/v1/events")).json["events"]
    assert [event["action"] for event in told] == ["HOST_CORDON", "HOST_UNCORDON"]


def test_a_drain_is_queued_and_shown_at_once_and_stopped_by_a_cordon(world: World) -> None:
    world.host()
    action = world.action(ask(world, {"drain": {"deadline": 60, "max_in_flight": 2}}).action)
    assert (action.action, action.status, action.timeout) == (ActionKind.HOST_DRAIN, ActionStatus.READY, 60)
    assert action.inputs == {"deadline": 60, "max_in_flight": 2}
    assert shown(world) == ("draining", "its containers are moved away")
    assert ask(world, {"drain": {}}).error[0] == 409
    ask(world, {"cordon": {}})
    assert world.action(action.id).cancel_requested
    assert shown(world)[0] == "cordoned"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "there is none; there could be cordon, uncordon, drain, remove"),
        ({"explode": {}}, "'explode' is no action"),
        ({"cordon": {"why": 1}}, "cordon.why"),
        ({"drain": {"deadline": 0}}, "drain.deadline: 0"),
        ({"drain": {"max_in_flight": "many"}}, "drain.max_in_flight: 'many'"),
    ],
)
def test_what_is_malformed_is_refused_with_its_place(world: World, body: Any, words: str) -> None:
    world.host()
    status, _, message = ask(world, body).error
    assert status == 400 and words in message


def test_nobody_else_and_nothing_else(world: World) -> None:
    world.host()
    world.node(world.profile(), "box")
    for person in ("member", "reader", "stranger"):
        path = "/v1/hosts/metal/actions"
        client = world.client.as_user(person).at(OURS)
        answer = run(partial(client.post, path, {"cordon": {}}))
        assert answer.error[:2] == (403, "Forbidden")
    assert ask(world, {"cordon": {}}, "box").error[0] == ask(world, {"cordon": {}}, "nope").error[0] == 404
    assert run(lambda: world.client.post("/v1/hosts/metal/actions", {"cordon": {}})).status == 404, (
        "without our version"
    )


def test_a_host_in_use_is_not_removed_and_an_empty_one_is(world: World) -> None:
    host = world.host()
    world.container(world.profile(pins={"host_node": host.node_id}), host)
    status, kind, message = ask(world, {"remove": {}}).error
    assert (status, kind) == (409, "ResourceInUse") and "profile 'web', node 'box'" in message
    empty = world.host("empty")
    removal = world.action(ask(world, {"remove": {}}, "empty").action)
    assert (removal.action, removal.target) == (ActionKind.NODE_DELETE, empty.node_id)


def fleet(world: World) -> tuple[Profile, list[Any]]:
    """Two hosts of 4 cores and 8 GiB in a host cluster, and a container cluster ``web`` with two members on the first."""
    hosts_cluster = world.cluster(world.profile("machines", HOST_TYPE), "hosts")
    found = [world.host(name, cluster_id=hosts_cluster.id) for name in ("h1", "h2")]
    spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": SPEC}
    profile = world.profile("big", spec=spec, pins={"host_cluster": hosts_cluster.id})
    web = world.cluster(profile, "web", desired_capacity=2, next_index=3)
    for index in (1, 2):
        world.container(
            profile,
            found[0],
            f"web-{index}",
            cluster_id=web.id,
            index=index,
            reserved_cpu=1.0,
            reserved_memory=2**30,
            ready=True,
        )
    world.store.run(
        lambda c: c.execute(
            tables.host.update()
            .where(tables.host.c.node_id == found[0].node_id)
            .values(reserved_cpu=2.0, reserved_memory=2 * 2**30, containers=2)
        )
    )
    return profile, found


def test_scaling_out_tells_where_to_and_who_is_without_room(world: World) -> None:
    fleet(world)
    told = plan(world, {"scale_out": {"count": 8}}).json["plan"]
    assert [step["step"] for step in told["steps"]] == ["create"] * 6
    assert sorted(step["to"] for step in told["steps"]) == ["h1"] * 2 + ["h2"] * 4
    assert [one["node"] for one in told["unplaceable"]] == ["web #9", "web #10"]
    without = told["unplaceable"][0]
    assert without["state"] == "waiting" and "hosts fit" in without["summary"] and len(without["hosts"]) == 2
    assert told["summary"] == "6 created, 2 without room."
    nodes = run(lambda: world.client.get("/v1/nodes")).json["nodes"]
    assert len(nodes) == 4 and not run(lambda: world.client.get("/v1/actions")).json["actions"], "nothing was changed"


def test_scaling_in_and_resizing_tell_who_goes(world: World) -> None:
    fleet(world)
    for body in ({"scale_in": {"count": 1}}, {"resize": {"adjustment_type": "EXACT_CAPACITY", "number": 1}}):
        (step,) = plan(world, body).json["plan"]["steps"]
        who = {"step": "delete", "node": "web-2", "from": "h1", "to": None, "reason": "the youngest"}
        assert step == {**who, "batch": None, "manner": None}


def test_draining_and_losing_a_host(world: World) -> None:
    fleet(world)
    for kind, step in (("drain", "move"), ("lose", "replace")):
        for cluster in ("web", "hosts"):
            told = plan(world, {kind: {"host": "h1"}}, cluster).json["plan"]
            found = [(s["step"], s["node"], s["from"], s["to"]) for s in told["steps"]]
            assert found == [(step, "web-1", "h1", "h2"), (step, "web-2", "h1", "h2")]
    dry = ask(world, {"drain": {"dry_run": True}}, "h1")
    assert dry.status == 200 and dry.json["plan"] == plan(world, {"drain": {"host": "h1"}}, "hosts").json["plan"]


def test_an_update_tells_what_moves_for_want_of_room(world: World) -> None:
    profile, _ = fleet(world)
    spec = {**profile.spec, "properties": {**SPEC, "cpu": 3.0}}
    world.profile("bigger", spec=spec, pins={"host_cluster": world.store.run(_hosts_id)})
    told = plan(world, {"update": {"profile_id": "bigger"}}).json["plan"]
    assert sorted((s["step"], s["to"]) for s in told["steps"]) == [("change", "h1"), ("replace", "h2")]
    assert plan(world, {"update": {"profile_id": "big"}}).error[0] == 400


def _hosts_id(connection: Any) -> str:
    found = connection.execute(tables.cluster.select().where(tables.cluster.c.name == "hosts")).first()
    return str(found.id)


def test_rebalancing_tells_moves_and_gains(world: World) -> None:
    fleet(world)
    told = plan(world, {"rebalance": {}}).json["plan"]
    assert [(s["step"], s["from"], s["to"]) for s in told["steps"]] == [("move", "h1", "h2")]
    assert "1 move would bring the imbalance from" in told["summary"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "there is none; there could be scale_out"),
        ({"scale_out": {"count": 1}, "lose": {}}, "there are 2"),
        ({"drain": {}}, "drain.host"),
        ({"drain": {"host": "nope"}}, "host: The specified host 'nope'"),
        ({"scale_in": {"count": 0}}, "count: 0"),
        ({"scale_out": {"count": 5000}}, "target capacity (5002)"),
    ],
)
def test_what_the_action_would_refuse_is_refused(world: World, body: Any, words: str) -> None:
    fleet(world)
    status, _, message = plan(world, body).error
    assert status == 400 and words in message


def test_rebalance_is_an_action_of_clusters_for_those_who_speak_our_version(world: World) -> None:
    fleet(world)
    refused = run(lambda: world.client.post("/v1/clusters/hosts/actions", {"rebalance": {}})).error
    assert refused[0] == 400 and "'rebalance' is no action here" in refused[2] and "rebalance," not in refused[2]
    answer = run(lambda: world.client.at(OURS).post("/v1/clusters/hosts/actions", {"rebalance": {"max_moves": 3}}))
    action = world.action(answer.action)
    assert (action.action, action.inputs) == (ActionKind.CLUSTER_REBALANCE, {"max_moves": 3})


def test_hosts_of_others_have_no_names_in_plans(world: World) -> None:
    _, (h1, h2) = fleet(world)
    spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": SPEC}
    pins = {"host_cluster": world.store.run(_hosts_id)}
    profile = world.profile("theirs", spec=spec, pins=pins, project="theirs")
    for index, host in ((1, h1), (3, h2)):
        world.change(tables.node, host.node_id, index=index)
    cluster = world.cluster(profile, "app", project="theirs", next_index=2, desired_capacity=1)
    world.container(profile, h2, "app-1", cluster_id=cluster.id, index=1, project="theirs", reserved_cpu=1.0)
    grant = {"cluster_id": pins["host_cluster"], "project": "theirs", "created_at": 0.0}
    world.store.run(lambda c: c.execute(tables.share.insert(), grant))
    client = world.client.as_user("stranger").at(OURS)

    def ask_them(body: Any) -> Any:
        answer = run(lambda: client.post("/v1/clusters/app/plan", body))
        assert answer.status == 200, answer.body
        assert not any(word in answer.body.decode() for word in ("h1", "h2", h1.node_id, h2.node_id))
        return answer.json["plan"]

    told = ask_them({"scale_out": {"count": 9}})
    assert {step["to"] for step in told["steps"]} == {"host-1", "host-3"}
    assert told["unplaceable"] and told["unplaceable"][0]["hosts"] == []
    (step,) = ask_them({"drain": {"host": "host-3"}})["steps"]
    assert (step["node"], step["from"], step["to"]) == ("app-1", "host-3", "host-1")
    assert ask_them({"lose": {"host": "host-1"}})["steps"] == []
