"""What a cluster can be asked to do."""

from __future__ import annotations

from typing import Any

import pytest

from api.world import HOST_TYPE, World, run
from spinney.domain.action import ActionKind
from spinney.domain.node import NodeStatus
from spinney.store import tables


def act(world: World, body: Any, cluster: str = "c1", version: str = "clustering 1.14") -> Any:
    return run(lambda: world.client.at(version).post(f"/v1/clusters/{cluster}/actions", body))


def inputs(world: World, body: Any, kind: ActionKind, version: str = "clustering 1.14") -> Any:
    """What the action queued for it has been given."""
    answer = act(world, body, version=version)
    assert answer.json == {"action": answer.action}
    action = world.action(answer.action)
    assert action.action is kind and action.cluster_id == action.target
    world.end(action.id)
    return action.inputs


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "there is none"),
        ({"check": {}, "recover": {}}, "there are 2 (check, recover)"),
        ({"explode": {}}, "'explode' is no action"),
        ({"check": None}, "check: a map"),
        ({"scale_out": []}, "scale_out: a map"),
        ({"scale_out": {"count": 0}}, "count: 0"),
        ({"scale_in": {"count": -1}}, "scale_in.count: -1"),
        ({"scale_in": {"count": "two"}}, "scale_in.count: 'two'"),
        ({"scale_in": {"amount": 1}}, "scale_in.amount"),
        ({"resize": {}}, "resize: nothing"),
        ({"resize": {"strict": True, "number": None}}, "resize: nothing"),
        ({"resize": {"number": 3}}, "resize.adjustment_type: it is required"),
        ({"resize": {"adjustment_type": "EXACT_CAPACITY"}}, "resize.number: it is required"),
        ({"resize": {"adjustment_type": "EXACT", "number": 1}}, "resize.adjustment_type: 'EXACT'"),
        ({"resize": {"adjustment_type": "EXACT_CAPACITY", "number": -1}}, "resize.number: -1"),
        ({"resize": {"adjustment_type": "EXACT_CAPACITY", "number": "3"}}, "resize.number: '3'"),
        ({"resize": {"adjustment_type": "EXACT_CAPACITY", "number": 1, "min_step": 1}}, "resize.min_step"),
        ({"resize": {"min_size": 4, "max_size": 3}}, "min_size (4) is greater than the specified max_size (3)"),
        ({"recover": {"operation": "PRAY"}}, "recover.operation: 'PRAY'"),
        ({"recover": {"bogus": 1}}, "recover.bogus"),
        ({"recover": {"operation_params": {"type": "SOFT"}}}, "recover.operation_params"),
        ({"recover": {"operation": "REBOOT", "operation_params": {"type": "GENTLE"}}}, "'GENTLE'"),
        ({"recover": {"operation": "REBOOT", "operation_params": "x"}}, "recover.operation_params"),
        ({"add_nodes": {}}, "add_nodes.nodes"),
        ({"add_nodes": {"nodes": []}}, "at least one"),
        ({"add_nodes": {"nodes": "n1"}}, "a list"),
        ({"add_nodes": {"nodes": ["a", "a"]}}, "twice"),
        ({"replace_nodes": {"nodes": {}}}, "at least one"),
        ({"replace_nodes": {"nodes": {"a": None}}}, "'a' needs"),
        ({"replace_nodes": {"nodes": {"a": "x", "b": "x"}}}, "cannot replace two"),
        ({"policy_attach": {}}, "policy_attach.policy_id"),
    ],
)
def test_shapes_are_checked_before_the_cluster_is_looked_up(world: World, body: Any, words: str) -> None:
    status, kind, message = act(world, body, "absent").error
    assert (status, kind) == (400, "HTTPBadRequest")
    assert words in message


def test_an_absent_cluster(world: World) -> None:
    assert act(world, {"check": {}}, "absent").error[:2] == (404, "ResourceNotFound")


def test_actions_that_came_later(world: World) -> None:
    assert act(world, {"replace_nodes": {}}, version="clustering 1.2").error[1] == "MethodVersionNotFound"
    assert act(world, {"complete_lifecycle": {}}, version="clustering 1.8").error[1] == "MethodVersionNotFound"


class TestSize:
    def test_inputs(self, world: World) -> None:
        world.cluster(world.profile(), members=3, max_size=10)
        assert inputs(world, {"scale_out": {"count": "2"}}, ActionKind.CLUSTER_SCALE_OUT) == {"count": 2}
        assert inputs(world, {"scale_out": {"count": None}}, ActionKind.CLUSTER_SCALE_OUT) == {}
        assert inputs(world, {"scale_in": {}}, ActionKind.CLUSTER_SCALE_IN) == {}
        six = {"adjustment_type": "CHANGE_IN_CAPACITY", "number": 2, "min_step": None, "strict": False}
        six |= {"min_size": None, "max_size": None}
        assert inputs(world, {"resize": six}, ActionKind.CLUSTER_RESIZE) == {
            "adjustment_type": "CHANGE_IN_CAPACITY",
            "number": 2,
            "strict": False,
        }

    def test_scaling_is_compared_with_the_global_maximum_alone(self, world: World) -> None:
        world.cluster(world.profile(), members=1, max_size=2)
        assert inputs(world, {"scale_out": {"count": 5}}, ActionKind.CLUSTER_SCALE_OUT) == {"count": 5}
        assert "(1001)" in act(world, {"scale_out": {"count": 1000}}).error[2]

    @pytest.mark.parametrize(
        ("resize", "words"),
        [
            ({"adjustment_type": "EXACT_CAPACITY", "number": 9}, "cluster's max_size (5)"),
            ({"adjustment_type": "CHANGE_IN_CAPACITY", "number": -3}, "(0) is less than the cluster's min_size (1)"),
            ({"adjustment_type": "CHANGE_IN_PERCENTAGE", "number": 200}, "(9) is greater than the cluster's max_size"),
            ({"min_size": 6}, "cluster's max_size (5)"),
            ({"max_size": 2}, "cluster's desired_capacity (3)"),
        ],
    )
    def test_resizing_against_the_real_member_count(self, world: World, resize: Any, words: str) -> None:
        world.cluster(world.profile(), members=3, min_size=1, max_size=5)
        answer = act(world, {"resize": resize})
        assert answer.error[:2] == (400, "BadRequest")
        assert words in answer.error[2]


class TestMembers:
    def test_adding(self, world: World) -> None:
        profile = world.profile()
        world.cluster(profile)
        first, second = world.node(profile, "a"), world.node(profile, "b")
        given = {"add_nodes": {"nodes": ["a", second.id[:9]]}}
        assert inputs(world, given, ActionKind.CLUSTER_ADD_NODES) == {"nodes": [first.id, second.id]}

    def test_all_faults_at_once(self, world: World) -> None:
        profile, other = world.profile(), world.profile("m", HOST_TYPE)
        world.cluster(profile, members=1)
        world.node(profile, "sick", status=NodeStatus.ERROR)
        world.node(other, "metal")
        message = act(world, {"add_nodes": {"nodes": ["sick", "metal", "c1-1", "absent"]}}).error[2]
        for words in ("'sick'", "is ERROR", "type host.docker-1.0", "member of this cluster already", "found: absent"):
            assert words in message

    def test_limits(self, world: World) -> None:
        profile = world.profile()
        world.cluster(profile, members=2, min_size=2, max_size=2)
        world.node(profile, "a")
        assert "max_size (2)" in act(world, {"add_nodes": {"nodes": ["a"]}}).error[2]
        assert "min_size (2)" in act(world, {"del_nodes": {"nodes": ["c1-1"]}}).error[2]

    def test_removing(self, world: World) -> None:
        profile = world.profile()
        world.cluster(profile, members=3)
        ids = run(lambda: world.client.get("/v1/clusters/c1")).json["cluster"]["nodes"]
        given = {"del_nodes": {"nodes": ["c1-2", ids[0]], "destroy_after_deletion": "yes"}}
        wanted = {"candidates": [ids[1], ids[0]], "count": 2, "destroy_after_deletion": True}
        assert inputs(world, given, ActionKind.CLUSTER_DEL_NODES) == wanted
        dropped = inputs(world, given, ActionKind.CLUSTER_DEL_NODES, "clustering 1.3")
        assert dropped["destroy_after_deletion"] is False
        world.node(profile, "orphan")
        assert "not a member" in act(world, {"del_nodes": {"nodes": ["orphan"]}}).error[2]

    def test_a_host_with_containers_does_not_leave(self, world: World) -> None:
        farm = world.cluster(world.profile("p", HOST_TYPE), "c1")
        host = world.host("m1", cluster_id=farm.id)
        world.change(tables.cluster, farm.id, desired_capacity=1)
        world.container(world.profile(), host)
        answer = act(world, {"del_nodes": {"nodes": ["m1"]}})
        assert answer.error[:2] == (409, "ResourceInUse")
        assert "used by node 'box'" in answer.error[2]

    def test_replacing(self, world: World) -> None:
        profile = world.profile()
        world.cluster(profile, members=2)
        fresh = world.node(profile, "fresh")
        old = run(lambda: world.client.get("/v1/nodes/c1-1")).json["node"]["id"]
        given = {"replace_nodes": {"nodes": {"c1-1": "fresh"}}}
        assert inputs(world, given, ActionKind.CLUSTER_REPLACE_NODES) == {"candidates": {old: fresh.id}}
        assert "not a member" in act(world, {"replace_nodes": {"nodes": {"fresh": "c1-1"}}}).error[2]
        twice = {"replace_nodes": {"nodes": {"c1-1": "fresh", old: "c1-2"}}}
        assert act(world, twice).error[0] == 400


def test_recover_and_check(world: World) -> None:
    world.cluster(world.profile())
    given = {"operation": "reboot", "operation_params": {"type": "soft"}, "check": "true", "check_capacity": True}
    assert inputs(world, {"recover": given}, ActionKind.CLUSTER_RECOVER) == {
        "operation": "REBOOT",
        "operation_params": {"type": "SOFT"},
        "check": True,
        "check_capacity": True,
    }
    assert inputs(world, {"recover": {}}, ActionKind.CLUSTER_RECOVER) == {}
    assert inputs(world, {"check": {"any": "thing"}}, ActionKind.CLUSTER_CHECK) == {"any": "thing"}
    inputs(world, {"check": {"delete_check_action": True}}, ActionKind.CLUSTER_CHECK)
    left = run(lambda: world.client.get("/v1/actions", action="CLUSTER_CHECK")).json["actions"]
    assert len(left) == 1  # the one that pruned


@pytest.mark.parametrize("verb", ["policy_attach", "policy_detach", "policy_update"])
def test_policies_that_do_not_exist(world: World, verb: str) -> None:
    world.cluster(world.profile())
    answer = act(world, {verb: {"policy_id": "nope"}})
    assert answer.error[:2] == (400, "BadRequest")
    assert "'nope'" in answer.error[2]


def test_completing_a_lifecycle(world: World) -> None:
    world.cluster(world.profile())
    token = act(world, {"check": {}}).action
    world.change(tables.action, token, status="WAITING_LIFECYCLE_COMPLETION")
    answer = act(world, {"complete_lifecycle": {"lifecycle_action_token": token}})
    assert answer.json == {"action": token}
    assert world.action(token).status == "READY"
    again = act(world, {"complete_lifecycle": {"lifecycle_action_token": token}})
    assert again.json == {"action": token}
    for unknown in (world.ids.new(), token[:8], "nope"):
        assert act(world, {"complete_lifecycle": {"lifecycle_action_token": unknown}}).error[0] == 404


class TestConflicts:
    def test_a_second_action_waits_for_nobody(self, world: World) -> None:
        world.cluster(world.profile(), members=1)
        first = act(world, {"scale_out": {}}).action
        assert act(world, {"scale_out": {}}).error[:2] == (409, "ActionConflict")
        world.change(tables.action, first, status="RUNNING", running_target=world.action(first).target)
        assert act(world, {"scale_in": {}}).error[:2] == (409, "ResourceIsLocked")
        assert run(lambda: world.client.delete("/v1/clusters/c1")).status == 202
        assert world.action(first).cancel_requested


class TestOperations:
    def post(self, world: World, body: Any) -> Any:
        return run(lambda: world.client.post("/v1/clusters/c1/ops", body))

    def test_on_the_members_that_fit(self, world: World) -> None:
        profile = world.profile()
        cluster = world.cluster(profile, members=2)
        lead = world.node(profile, "lead", cluster_id=cluster.id, index=3, role="master")
        answer = self.post(world, {"restart": {"params": {"wait_time": "3"}, "filters": {"role": "master"}}})
        action = world.action(answer.action)
        assert action.inputs == {"operation": "restart", "params": {"timeout": 3}, "nodes": [lead.id]}
        assert action.action is ActionKind.CLUSTER_OPERATION
        assert action.name == f"cluster_restart_{cluster.id[:8]}"
        world.end(action.id)
        as_clients_send_it = world.action(self.post(world, {"restart": {"wait_time": "3"}}).action)
        assert as_clients_send_it.inputs["params"] == {"timeout": 3}
        assert len(as_clients_send_it.inputs["nodes"]) == 3

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({}, "exactly one"),
            ({"pause": {}, "stop": {}}, "exactly one"),
            ({"pause": []}, "a map"),
            ({"explode": {}}, "no operation 'explode'"),
            ({"stop": {"params": {"bogus": 1}}}, "bogus"),
            ({"stop": {"filters": {"bogus": 1}}}, "filters.bogus"),
            ({"stop": {"filters": {"name": "nobody"}}}, "No node"),
        ],
    )
    def test_refused(self, world: World, body: Any, words: str) -> None:
        world.cluster(world.profile(), members=1)
        answer = self.post(world, body)
        assert answer.error[0] == 400
        assert words in answer.error[2]
