"""What autoscaling has decided and seen: the answers."""

from __future__ import annotations

from typing import Any

import pytest

from api.world import OURS, World, run
from spinney.domain.autoscale.deciding import evaluate
from spinney.domain.autoscale.values import MemberSample, Situation, State
from spinney.domain.cluster import Cluster
from spinney.store import autoscaling

POLICY = "spinney.policy.autoscaling-1.0"
CPU = {"metric": "cpu", "target": 50}


def scaled(world: World, *figures: float | None) -> Cluster:
    """A cluster of two that was evaluated with those figures, fifteen seconds apart."""
    cluster = world.cluster(world.profile(), members=2)
    world.policy("grow", cluster, POLICY, max=10, targets=[CPU])
    (one,) = world.store.run(autoscaling.scaled, cluster.id)
    for number, figure in enumerate(figures):
        now = world.clock.now() + 15 * number
        values = {} if figure is None else {"cpu": figure}
        members = [MemberSample(name, ready_since=now - 99, values=values) for name in "ab"]
        decision = evaluate(one.rules, Situation(now=now, size=2, members=members), State())
        world.store.run(lambda c, d=decision: autoscaling.note(c, one, d, new_id=world.ids.new(), action_id=None))
    return cluster


def get(world: World, path: str, cluster: str = "c1", **query: Any) -> Any:
    return run(lambda: world.client.at(OURS).get(f"/v1/clusters/{cluster}/{path}", **query))


def test_decisions_with_their_reasons(world: World) -> None:
    scaled(world, 50.0, 120.0, None)
    known, grown, unknown = get(world, "scaling-decisions").json["scaling_decisions"]
    assert (known["size"], known["wanted"], known["acted"], known["by"]) == (2, 2, False, "metrics")
    assert (grown["wanted"], grown["acted"], grown["low"], grown["high"]) == (5, True, 1, 10)
    assert grown["sentence"].startswith("Grows from 2 to 5: cpu is 120.0 %")
    target = next(one for one in grown["reasons"] if one["kind"] == "target")
    assert (target["data"]["figure"], target["data"]["target"], target["data"]["wanted"]) == (120.0, 50.0, 5)
    assert unknown["proposed"] is None and unknown["reasons"][0]["kind"] == "unknown"


def test_the_list_is_paged_ordered_and_filtered(world: World) -> None:
    scaled(world, 50.0, 120.0, None)
    (latest,) = get(world, "scaling-decisions", sort="at:desc", limit=1).json["scaling_decisions"]
    assert latest["proposed"] is None
    rest = get(world, "scaling-decisions", sort="at:desc", marker=latest["id"]).json["scaling_decisions"]
    assert [one["wanted"] for one in rest] == [5, 2]
    acted = get(world, "scaling-decisions", acted="true").json["scaling_decisions"]
    assert [one["wanted"] for one in acted] == [5]
    assert get(world, "scaling-decisions", acted="perhaps").error[0] == 400
    assert get(world, "scaling-decisions", size=2).error[0] == 400


def test_metrics_oldest_first_page_by_page(world: World) -> None:
    scaled(world, 50.0, None, 60.0)
    found = get(world, "metrics").json["metrics"]
    assert [(one["name"], one["value"], one["counted"], one["members"]) for one in found] == [
        ("cpu", 100.0, 2, 2),
        ("cpu", None, 0, 2),
        ("cpu", 120.0, 2, 2),
    ]
    assert get(world, "metrics", limit=1).json["metrics"] == found[:1]
    assert get(world, "metrics", marker=found[0]["id"]).json["metrics"] == found[1:]
    assert get(world, "metrics", name="memory").json["metrics"] == []
    assert get(world, "metrics", since=found[1]["at"], until=found[1]["at"]).json["metrics"] == [found[1]]


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=10001", "marker=12", "marker=nan/cpu", "since=soon", "x=1"]
)
def test_what_metrics_do_not_take(world: World, query: str) -> None:
    scaled(world)
    key, _, value = query.partition("=")
    status, _, said = get(world, "metrics", **{key: value}).error
    assert status == 400 and key in said


def test_of_absent_clusters_and_without_our_version(world: World) -> None:
    scaled(world)
    for path in ("scaling-decisions", "metrics"):
        assert get(world, path, "other").error[0] == 404
        assert run(lambda p=path: world.client.get(f"/v1/clusters/c1/{p}")).status == 404


def test_a_plan_says_that_autoscaling_sets_the_size_besides(world: World) -> None:
    host = world.host("metal")
    spec = {
        "type": "container.dockerinc.docker",
        "version": "1.0",
        "properties": {"image": "web", "host_node": host.node_id},
    }
    profile = world.profile(spec=spec, pins={"host_node": host.node_id})
    world.policy("grow", world.cluster(profile, desired_capacity=2), POLICY, max=10, targets=[CPU])
    answer = run(lambda: world.client.at(OURS).post("/v1/clusters/c1/plan", {"scale_out": {"count": 1}}))
    assert answer.status == 200, answer.json
    assert "Autoscaling is at work on the cluster: it keeps 1 to 10 members" in answer.json["plan"]["summary"]
