"""What each cluster action turns into, and its last word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.cluster import Cluster
from spinney.domain.fanout import Begin, Child, Refusal, Results, begin, conclude
from spinney.domain.member import Member
from spinney.domain.node import NodeStatus
from spinney.domain.victims import victims

_LIMIT = 20
#: Policies are not fanned out, and rebalancing orders its moves a few at a time.
#: Those that order no members' actions are not decided here.
_ELSEWHERE = (ActionKind.CLUSTER_REBALANCE, ActionKind.CLUSTER_RUN, ActionKind.CLUSTER_CANCEL_RUN)
_KINDS = [
    kind for kind in ActionKind if kind.on_cluster and not kind.value.endswith("_POLICY") and kind not in _ELSEWHERE
]


def _action(kind: ActionKind, inputs: Mapping[str, Any] | None = None, **fields: Any) -> Action:
    values: dict[str, Any] = {
        "id": "a", "name": "a", "target": "c", "cause": Cause.REQUEST, "status": ActionStatus.RUNNING, "status_reason": "",
    }  # fmt: skip
    return Action(action=kind, inputs=inputs or {}, **{**values, **fields})


def _cluster(desired: int = 3, minimum: int = 0, maximum: int = -1) -> Cluster:
    return Cluster(
        id="c", name="web", profile_id="old", desired_capacity=desired, min_size=minimum, max_size=maximum, timeout=60
    )


def _members(count: int, **states: NodeStatus) -> list[Member]:
    return [Member(f"n{i}", f"name{i}", states.get(f"n{i}", NodeStatus.ACTIVE), i) for i in range(count)]


def _begin(
    kind: ActionKind, members: int = 3, inputs: Mapping[str, Any] | None = None, **sizes: int
) -> Begin | Refusal:
    return begin(_cluster(**sizes), _action(kind, inputs), _members(members), limit=_LIMIT)


def _begun(kind: ActionKind, members: int = 3, inputs: Mapping[str, Any] | None = None, **sizes: int) -> Begin:
    found = _begin(kind, members, inputs, **sizes)
    assert isinstance(found, Begin), found
    return found


def _targets(found: Begin, kind: ActionKind) -> list[str]:
    return [child.node_id for child in found.children if child.action is kind]


_INPUTS: dict[ActionKind, dict[str, Any]] = {
    ActionKind.CLUSTER_ADD_NODES: {"nodes": ["x"]},
    ActionKind.CLUSTER_DEL_NODES: {"candidates": ["n0"]},
    ActionKind.CLUSTER_REPLACE_NODES: {"candidates": {"n0": "x"}},
    ActionKind.CLUSTER_OPERATION: {"operation": "restart", "nodes": ["n0"]},
}


@pytest.mark.parametrize("kind", _KINDS)
def test_every_cluster_action_can_be_begun_and_concluded(kind: ActionKind) -> None:
    found = _begun(kind, inputs=_INPUTS.get(kind))
    assert found.cluster.id == "c" and found.create >= 0
    assert len({(child.action, child.node_id) for child in found.children}) == len(found.children)
    for results in (Results(), Results(succeeded=2), Results(failed=1, reasons=("n: why",)), Results(cancelled=1)):
        verdict = conclude(_action(kind), results)
        assert verdict.status.value in ("SUCCEEDED", "FAILED", "CANCELLED") and kind.value in verdict.reason


def test_creating_makes_what_is_missing() -> None:
    assert _begun(ActionKind.CLUSTER_CREATE, 0, desired=5).create == 5
    assert _begun(ActionKind.CLUSTER_CREATE, 2, desired=5).create == 3, "resumed, or members were adopted meanwhile"
    assert _begun(ActionKind.CLUSTER_CREATE, 7, desired=5).create == 0
    assert _cluster().next_index == 1, "the first member is number one"


@pytest.mark.parametrize("force", [True, False])
def test_deleting_takes_every_member_and_hands_force_on(force: bool) -> None:
    found = _begun(ActionKind.CLUSTER_DELETE, inputs={"force": force})
    inputs = {"force": True} if force else {}
    assert found.children == tuple(Child(ActionKind.NODE_DELETE, f"n{i}", inputs) for i in range(3))


@pytest.mark.parametrize(("force", "first"), [(True, ActionKind.NODE_DELETE), (False, ActionKind.NODE_OPERATION)])
def test_containers_are_stopped_first_unless_forced(force: bool, first: ActionKind) -> None:
    cluster = replace(_cluster(), config={"cluster.stop_node_before_delete": True})
    members = [replace(member, host_id="h") for member in _members(2)]
    found = begin(cluster, _action(ActionKind.CLUSTER_DELETE, {"force": force}), members, limit=_LIMIT)
    assert isinstance(found, Begin) and [child.action for child in found.children] == [first] * 2
    assert [child.action for child in found.later] == [ActionKind.NODE_DELETE] * (0 if force else 2)


@pytest.mark.parametrize(
    ("hooks", "status", "made", "held"),
    [
        ({"type": "zaqar"}, NodeStatus.ACTIVE, True, True),
        ({"type": "zaqar"}, NodeStatus.ERROR, True, False),
        ({"type": "zaqar"}, NodeStatus.ACTIVE, False, False),
        (None, NodeStatus.ACTIVE, True, False),
    ],
)
def test_only_members_that_work_wait_for_whom_a_hook_tells(
    hooks: Any, status: NodeStatus, made: bool, held: bool
) -> None:
    action = _action(ActionKind.CLUSTER_SCALE_IN, data={"hooks": hooks})
    found = begin(_cluster(1), action, [Member("n", "n", status, 1, made=made)], limit=_LIMIT)
    assert isinstance(found, Begin) and [child.held for child in found.children] == [held]


@given(
    st.sampled_from([ActionKind.CLUSTER_SCALE_IN, ActionKind.CLUSTER_SCALE_OUT]),
    st.integers(0, _LIMIT),
    st.one_of(st.none(), st.integers(1, 30)),
    st.integers(0, 10),
    st.integers(-1, 25),
)
def test_scaling_keeps_the_bounds_and_the_sum(
    kind: ActionKind, members: int, count: int | None, minimum: int, maximum: int
) -> None:
    found = _begin(kind, members, {} if count is None else {"count": count}, minimum=minimum, maximum=maximum)
    step = 1 if count is None else count
    wanted = members + step if kind is ActionKind.CLUSTER_SCALE_OUT else max(members - step, 0)
    possible = minimum <= wanted <= (_LIMIT if maximum < 0 else min(maximum, _LIMIT))
    assert isinstance(found, Begin) == possible
    if isinstance(found, Begin):
        leaving = _targets(found, ActionKind.NODE_DELETE)
        assert members + found.create - len(leaving) == wanted == found.cluster.desired_capacity
        assert found.create == 0 or not leaving
        assert found.outputs.get("nodes_removed", []) == leaving


@given(
    st.integers(0, 12),
    st.sampled_from(["EXACT_CAPACITY", "CHANGE_IN_CAPACITY"]),
    st.integers(-5, 15),
    st.booleans(),
    st.one_of(st.none(), st.integers(0, 10)),
    st.one_of(st.none(), st.integers(-1, 15)),
)
def test_a_resize_ends_within_its_bounds_or_changes_nothing(
    members: int, kind: str, number: int, strict: bool, minimum: int | None, maximum: int | None
) -> None:
    inputs = {"adjustment_type": kind, "number": number, "strict": strict}
    inputs |= {k: v for k, v in (("min_size", minimum), ("max_size", maximum)) if v is not None}
    found = _begin(ActionKind.CLUSTER_RESIZE, members, inputs)
    if isinstance(found, Refusal):
        assert found.reason
        return
    after = found.cluster
    assert after.min_size <= after.desired_capacity and (after.max_size < 0 or after.desired_capacity <= after.max_size)
    assert members + found.create - len(_targets(found, ActionKind.NODE_DELETE)) == after.desired_capacity


def test_adding_nodes_joins_them_and_counts_them() -> None:
    found = _begun(ActionKind.CLUSTER_ADD_NODES, inputs={"nodes": ["x", "y"]})
    assert found.children == tuple(Child(ActionKind.NODE_JOIN, n, {"cluster_id": "c"}) for n in ("x", "y"))
    assert found.cluster.desired_capacity == 5 and found.outputs == {"nodes_added": ["x", "y"]}
    assert isinstance(_begin(ActionKind.CLUSTER_ADD_NODES, inputs={"nodes": ["x", "y"]}, maximum=4), Refusal)


@pytest.mark.parametrize("destroy", [True, False])
def test_deleting_nodes_takes_members_only(destroy: bool) -> None:
    inputs = {"candidates": ["n2", "n0", "stranger"], "destroy_after_deletion": destroy}
    found = _begun(ActionKind.CLUSTER_DEL_NODES, inputs=inputs)
    assert _targets(found, ActionKind.NODE_DELETE if destroy else ActionKind.NODE_LEAVE) == ["n0", "n2"]
    assert found.cluster.desired_capacity == 1 and len(found.children) == 2
    assert isinstance(_begin(ActionKind.CLUSTER_DEL_NODES, inputs=inputs, minimum=2), Refusal)


def test_replacing_pairs_a_join_with_a_leave_and_keeps_the_size() -> None:
    found = _begun(ActionKind.CLUSTER_REPLACE_NODES, inputs={"candidates": {"n0": "x", "n1": "y"}})
    assert (_targets(found, ActionKind.NODE_JOIN), _targets(found, ActionKind.NODE_LEAVE)) == (["x", "y"], ["n0", "n1"])
    assert found.cluster == _cluster()
    refused = _begin(ActionKind.CLUSTER_REPLACE_NODES, inputs={"candidates": {"gone": "x"}})
    assert isinstance(refused, Refusal) and "gone" in refused.reason


def test_updating_changes_what_is_given_and_touches_no_nodes() -> None:
    plain = _begun(ActionKind.CLUSTER_UPDATE, inputs={"name": "new", "metadata": {}, "timeout": 5, "config": None})
    assert (plain.cluster.name, plain.cluster.timeout, plain.cluster.profile_id, plain.children) == (
        "new",
        5,
        "old",
        (),
    )
    only = _begun(ActionKind.CLUSTER_UPDATE, inputs={"new_profile_id": "new", "profile_only": True})
    assert (only.cluster.profile_id, only.children) == ("new", ())
    full = _begun(ActionKind.CLUSTER_UPDATE, inputs={"new_profile_id": "new"})
    assert full.cluster.profile_id == "old", "the cluster takes the new one when all members have"
    assert full.children == (), "members are taken there one batch after the other"


def test_checking_looks_at_everybody() -> None:
    assert _targets(_begun(ActionKind.CLUSTER_CHECK), ActionKind.NODE_CHECK) == ["n0", "n1", "n2"]


def _recover(inputs: Mapping[str, Any], members: int = 3, desired: int = 3, **states: NodeStatus) -> Begin:
    action = _action(ActionKind.CLUSTER_RECOVER, inputs)
    found = begin(_cluster(desired), action, _members(members, **states), limit=_LIMIT)
    assert isinstance(found, Begin)
    return found


def test_recovering_mends_the_unwell_or_looks_at_everybody_first() -> None:
    unwell = _recover({"operation": "REBOOT"}, n1=NodeStatus.ERROR)
    assert unwell.children == (Child(ActionKind.NODE_RECOVER, "n1", {"operation": "REBOOT"}),)
    looked = _recover({"check": True}, n1=NodeStatus.ERROR)
    assert looked.children == tuple(Child(ActionKind.NODE_RECOVER, f"n{i}", {"check": True}) for i in range(3))


def test_recovering_with_check_capacity_makes_the_size_right() -> None:
    assert _recover({"check_capacity": True}, desired=5).create == 2
    surplus = _recover({"check_capacity": True}, desired=2, n0=NodeStatus.ERROR)
    assert surplus.children == (Child(ActionKind.NODE_DELETE, "n0"),), "who leaves is not mended first"
    assert _recover({}, desired=5).create == 0


def test_an_operation_concerns_the_named_members() -> None:
    found = _begun(ActionKind.CLUSTER_OPERATION, inputs={"operation": "stop", "nodes": ["n2", "stranger"]})
    assert found.children == (Child(ActionKind.NODE_OPERATION, "n2", {"operation": "stop", "params": {}}),)


_MEMBERS = st.lists(st.tuples(st.sampled_from(list(NodeStatus)), st.booleans(), st.booleans()), max_size=10).map(
    lambda drawn: [Member(f"n{i}", "n", state, i, tainted, made) for i, (state, tainted, made) in enumerate(drawn)]
)


@given(_MEMBERS, st.integers(0, 12))
def test_victims_are_the_worthless_then_the_tainted_then_the_youngest(members: list[Member], count: int) -> None:
    chosen = victims(members, count)
    spared = [member for member in members if member not in chosen]
    assert len(chosen) == min(count, len(members)) == len({member.id for member in chosen})

    def worth(member: Member) -> int:
        bad = member.status in (NodeStatus.ERROR, NodeStatus.WARNING) or not member.made
        return 0 if bad else 1 if member.tainted else 2

    for gone in chosen:
        for kept in spared:
            assert worth(gone) < worth(kept) or (worth(gone) == worth(kept) and gone.index > kept.index)


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.booleans())
def test_the_verdict(succeeded: int, failed: int, cancelled: int, asked: bool) -> None:
    reasons = ("web-1: no room", "web-2: boom")[:failed]
    results = Results(succeeded, failed, cancelled, reasons)
    verdict = conclude(_action(ActionKind.CLUSTER_RESIZE, cancel_requested=asked), results)
    total = succeeded + failed + cancelled
    if asked or cancelled:
        assert verdict.status is ActionStatus.CANCELLED and f"{succeeded} of {total} nodes" in verdict.reason
    elif failed:
        assert verdict.status is ActionStatus.FAILED and f"{failed} of {total} nodes failed" in verdict.reason
        assert all(reason in verdict.reason for reason in reasons)
    else:
        assert verdict.status is ActionStatus.SUCCEEDED
