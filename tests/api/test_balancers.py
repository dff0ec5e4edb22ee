"""Load balancers of a cluster: the answers."""

from __future__ import annotations

from typing import Any

from api.world import OURS, World, run
from spinney.clock import iso
from spinney.domain.balancing.model import BalancerState, Member, MemberState
from spinney.domain.cluster import Cluster
from spinney.store import balancing, pools, tables
from spinney.store.rows import NODES

TYPE = "senlin.policy.loadbalance-1.0"
PROPERTIES: dict[str, Any] = {"pool": {"subnet": "s"}, "vip": {"subnet": "s"}}


def balanced(world: World) -> Cluster:
    cluster = world.cluster(world.profile(), members=2)
    world.policy("spread", cluster, TYPE, **PROPERTIES)
    return cluster


def get(world: World) -> Any:
    return run(lambda: world.client.at(OURS).get("/v1/clusters/c1/balancers"))


def test_one_that_is_new_has_nobody_yet(world: World) -> None:
    balanced(world)
    (found,) = get(world).json["balancers"]
    assert (found["state"], found["members"], found["addresses"], found["node_id"]) == ("making", [], [], None)
    assert found["request_rate"] is None and found["kind"] == ""
    assert (found["requests"], found["measured_at"]) == (None, None), "what nobody has counted is not 0"


def test_its_members_and_what_it_serves(world: World) -> None:
    cluster = balanced(world)
    (of,) = world.store.run(balancing.of_cluster, cluster.id)
    first, second = world.store.run(NODES.all, tables.node.c.cluster_id == cluster.id)
    now = world.clock.now()
    stats = {"at": now, "requests": 90, "rate": 4.5, "sessions": 3, "members": {first.id: {"sessions": 2, "rate": 1.5}}}
    shared = {"balancer_id": of.id, "cluster_id": cluster.id, "since": now}
    rows = [
        Member(node_id=first.id, physical_id="a", slot=1, state=MemberState.IN, address="10.9.8.7", **shared),
        Member(node_id=second.id, physical_id="b", state=MemberState.OUT, state_reason="It is far.", **shared),
    ]
    told = {"stats": stats, "addresses": [{"address": "192.0.2.1", "port": 80}]}
    world.store.run(balancing.keep, [], rows)
    world.store.run(pools.say, of, (BalancerState.WARNING, "It is far."), now, told)
    (found,) = get(world).json["balancers"]
    assert (found["requests"], found["request_rate"], found["sessions"]) == (90, 4.5, 3)
    assert found["measured_at"] == iso(now)
    assert found["addresses"] == [{"address": "192.0.2.1", "port": 80}]
    members = {one["node_name"]: one for one in found["members"]}
    assert (members["c1-1"]["state"], members["c1-1"]["request_rate"]) == ("in", 1.5)
    assert (members["c1-2"]["state"], members["c1-2"]["state_reason"]) == ("out", "It is far.")
    assert "10.9.8.7" not in str(found), "where members are is not told"


def test_what_was_counted_long_ago_is_unknown(world: World) -> None:
    cluster = balanced(world)
    (of,) = world.store.run(balancing.of_cluster, cluster.id)
    long_ago = world.clock.now() - 99
    stats = {"at": long_ago, "requests": 90, "rate": 4.5, "sessions": 3, "members": {}}
    world.store.run(pools.say, of, (BalancerState.ACTIVE, ""), long_ago, {"stats": stats})
    (found,) = get(world).json["balancers"]
    assert (found["requests"], found["request_rate"], found["sessions"]) == (90, None, None)
    assert world.store.run(balancing.request_rate, cluster.id) is None


def test_detached_it_is_not_told_of(world: World) -> None:
    cluster = balanced(world)
    world.store.run(lambda c: c.execute(tables.balancer.update().values(node_id=world.ids.new())))
    world.store.run(balancing.end, cluster.id)
    assert get(world).json["balancers"] == []
    assert [one.state for one in world.store.run(balancing.find)] == [BalancerState.GOING]
