"""Host clusters: they shrink through empty hosts alone, and grow as far as there are machines."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.cluster import Cluster
from spinney.domain.fanout import Begin, Refusal, begin
from spinney.domain.host import Duty
from spinney.domain.member import Member
from spinney.domain.node import NodeStatus

_DELETE = (ActionKind.NODE_DELETE, ActionKind.NODE_LEAVE)


def _begin(
    kind: ActionKind, hosts: list[Member], inputs: dict[str, Any] | None = None, *, desired: int = 3, machines: int = 0
) -> Begin | Refusal:
    cluster = Cluster(id="c", name="fleet", profile_id="p", desired_capacity=desired)
    action = Action(
        id="a", name="a", target="c", action=kind, cause=Cause.REQUEST, status=ActionStatus.RUNNING, status_reason="",
        inputs=inputs or {},
    )  # fmt: skip
    return begin(cluster, action, hosts, limit=100, machines=machines)


def _host(number: int, containers: int = 0, **fields: Any) -> Member:
    return Member(f"h{number}", f"host{number}", NodeStatus.ACTIVE, number, containers=containers, **fields)


def _leaving(found: Begin | Refusal) -> list[str]:
    assert isinstance(found, Begin), found
    return [child.node_id for child in found.children if child.action in _DELETE]


def test_empty_hosts_leave_first_and_of_those_the_drained_ones() -> None:
    hosts = [_host(1, duty=Duty.DRAINING), _host(2, 4), _host(3), _host(4, 1)]
    assert _leaving(_begin(ActionKind.CLUSTER_SCALE_IN, hosts)) == ["h1"]
    assert _leaving(_begin(ActionKind.CLUSTER_SCALE_IN, hosts, {"count": 2})) == ["h1", "h3"]


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        (ActionKind.CLUSTER_SCALE_IN, {"count": 2}),
        (ActionKind.CLUSTER_RESIZE, {"adjustment_type": "EXACT_CAPACITY", "number": 1}),
        (ActionKind.CLUSTER_DEL_NODES, {"candidates": ["h1"]}),
        (ActionKind.CLUSTER_DEL_NODES, {"candidates": ["h1"], "destroy_after_deletion": True}),
        (ActionKind.CLUSTER_REPLACE_NODES, {"candidates": {"h1": "x"}}),
        (ActionKind.CLUSTER_DELETE, {}),
    ],
)
def test_what_would_take_a_host_in_use_is_refused_as_a_whole(kind: ActionKind, inputs: dict[str, Any]) -> None:
    found = _begin(kind, [_host(1, 4), _host(2), _host(3, 1)], inputs)
    assert isinstance(found, Refusal)
    assert "host1 (4 containers)" in found.reason or "host3 (1 container)" in found.reason
    assert "Drain" in found.reason


def test_of_many_hosts_in_use_ten_are_named() -> None:
    found = _begin(ActionKind.CLUSTER_DELETE, [_host(number, 1) for number in range(1, 14)])
    assert isinstance(found, Refusal)
    assert "host10 (1 container) and 3 more; empty are 0 of 13, and 13 would have to leave" in found.reason


def test_a_host_that_profiles_name_stays() -> None:
    hosts = [_host(1), _host(2, pinned=True)]
    assert _leaving(_begin(ActionKind.CLUSTER_SCALE_IN, hosts)) == ["h1"]
    found = _begin(ActionKind.CLUSTER_SCALE_IN, hosts, {"count": 2})
    assert isinstance(found, Refusal) and "host2 (named by profiles)" in found.reason


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        (ActionKind.CLUSTER_SCALE_OUT, {"count": 3}),
        (ActionKind.CLUSTER_RESIZE, {"adjustment_type": "CHANGE_IN_CAPACITY", "number": 3}),
        (ActionKind.CLUSTER_RECOVER, {"check_capacity": True}),
        (ActionKind.CLUSTER_CREATE, {}),
    ],
)
def test_no_more_hosts_than_machines(kind: ActionKind, inputs: dict[str, Any]) -> None:
    hosts = [_host(1)] if kind is not ActionKind.CLUSTER_CREATE else []
    assert isinstance(_begin(kind, hosts, inputs, desired=4, machines=4), Begin)
    found = _begin(kind, hosts, inputs, desired=4, machines=1)
    assert isinstance(found, Refusal)
    assert "1 machine of the profile is free: ask for 1 at most" in found.reason
    assert "list more machines" in found.reason


@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.sampled_from(Duty)), max_size=8),
    st.sampled_from([ActionKind.CLUSTER_SCALE_IN, ActionKind.CLUSTER_RESIZE, ActionKind.CLUSTER_RECOVER]),
    st.integers(1, 8),
)
def test_no_host_in_use_ever_leaves(hosts: list[tuple[int, bool, Duty]], kind: ActionKind, count: int) -> None:
    members = [_host(i, used, pinned=pinned, duty=duty) for i, (used, pinned, duty) in enumerate(hosts)]
    inputs: dict[str, Any] = {"count": count}
    if kind is ActionKind.CLUSTER_RESIZE:
        inputs = {"adjustment_type": "CHANGE_IN_CAPACITY", "number": -count, "strict": False}
    if kind is ActionKind.CLUSTER_RECOVER:
        inputs = {"check_capacity": True}
    found = _begin(kind, members, inputs, desired=max(len(members) - count, 0))
    empty = {member.id for member in members if not member.used}
    if isinstance(found, Begin):
        leaving = _leaving(found)
        assert set(leaving) <= empty
        assert len(leaving) == min(count, len(members))
    else:
        assert len(empty) < min(count, len(members)), "refused only where too few are empty"
