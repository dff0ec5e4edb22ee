"""Policies asked before actions: counts, choices, plans, and the order in which they are asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.cluster import Cluster
from spinney.domain.member import Member
from spinney.domain.node import NodeStatus
from spinney.domain.placement.rules import Share
from spinney.domain.victims import Criteria, Shares, victims
from spinney.domain.weights import grow, shrink
from spinney.policies import pipeline
from spinney.policies.attaching import Attached
from spinney.policies.checking import Look
from spinney.policies.pipeline import Checked
from spinney.policies.registry import validate_spec

NEW = {"new_profile_id": "q"}
IN, OUT, RESIZE = ActionKind.CLUSTER_SCALE_IN, ActionKind.CLUSTER_SCALE_OUT, ActionKind.CLUSTER_RESIZE


def policy(type_: str, *, enabled: bool = True, last_op: float | None = None, **properties: Any) -> Attached:
    spec = {"type": f"senlin.policy.{type_}", "version": "1.0", "properties": properties}
    return Attached(type_, f"my {type_}", validate_spec(spec), enabled, last_op)


def updating(**properties: Any) -> Attached:
    spec = {"type": "spinney.policy.update", "version": "1.0", "properties": properties}
    return Attached("update", "my update", validate_spec(spec), True)


def scaling(event: ActionKind, last_op: float | None = None, **adjustment: Any) -> Attached:
    return policy("scaling", last_op=last_op, event=event.value, adjustment=adjustment)


def some(count: int, **fields: Any) -> list[Member]:
    base: dict[str, Any] = {"status": NodeStatus.ACTIVE, "created_at": 1.0}
    return [Member(id=f"n{i}", name=f"n{i}", index=i, **{**base, **fields}) for i in range(count)]


def ask(
    kind: ActionKind,
    *attached: Attached,
    members: list[Member] | int = 4,
    inputs: Mapping[str, Any] | None = None,
    now: float = 100.0,
    **sizes: Any,
) -> Checked:
    cluster = Cluster(id="c", name="web", profile_id="p", **sizes)
    action = Action(
        id="a", name="a", target="c", action=kind, cause=Cause.REQUEST, status=ActionStatus.RUNNING, status_reason="",
        inputs=inputs or {},
    )  # fmt: skip
    there = some(members) if isinstance(members, int) else members
    return pipeline.before(attached, Look(cluster, action, pipeline.grouped(there, attached), 20, now))


def data(checked: Checked) -> Mapping[str, Any]:
    assert checked.fault is None, checked.fault
    return checked.action.data


# --- scaling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "adjustment", "inputs", "count"),
    [
        (OUT, {}, {}, 1),
        (OUT, {"number": 3}, {}, 3),
        (OUT, {"number": 3}, {"count": 2}, 2),
        (IN, {"number": 2}, {}, 2),
        (OUT, {"type": "EXACT_CAPACITY", "number": 6}, {}, 2),
        (IN, {"type": "EXACT_CAPACITY", "number": 1}, {}, 3),
        (OUT, {"type": "CHANGE_IN_PERCENTAGE", "number": 50}, {}, 2),
        (OUT, {"type": "CHANGE_IN_PERCENTAGE", "number": 10}, {}, 1),
        (IN, {"type": "CHANGE_IN_PERCENTAGE", "number": 10, "min_step": 2}, {}, 2),
    ],
)
def test_by_how_many(kind: ActionKind, adjustment: dict[str, Any], inputs: dict[str, Any], count: int) -> None:
    found = data(ask(kind, scaling(kind, **adjustment), inputs=inputs))
    assert found["creation" if kind is OUT else "deletion"] == {"count": count}
    assert found["status"] == "OK"


@pytest.mark.parametrize(
    ("kind", "adjustment", "sizes", "words"),
    [
        (OUT, {"type": "EXACT_CAPACITY", "number": 4}, {}, "means 0 members for a cluster of 4"),
        (OUT, {"type": "EXACT_CAPACITY", "number": 3}, {}, "means -1 members for a cluster of 4"),
        (OUT, {"type": "CHANGE_IN_PERCENTAGE", "number": 1, "min_step": 0}, {}, "means 0 members"),
        (OUT, {"number": 3}, {"max_size": 6}, "greater than the cluster's max_size (6)"),
        (IN, {"number": 3}, {"min_size": 2}, "less than the cluster's min_size (2)"),
        (OUT, {"number": 17}, {}, "any cluster may have (20)"),
    ],
)
def test_steps_that_cannot_be(kind: ActionKind, adjustment: dict[str, Any], sizes: dict[str, Any], words: str) -> None:
    found = ask(kind, scaling(kind, **adjustment), **sizes)
    assert found.fault is not None and words in found.fault and "'my scaling'" in found.fault
    assert found.action.data == {"status": "ERROR", "reason": found.fault}


@given(st.sampled_from([IN, OUT]), st.integers(1, 20), st.integers(1, 30), st.integers(0, 10), st.integers(-1, 25))
def test_best_effort_goes_as_far_as_the_sizes_allow(
    kind: ActionKind, members: int, number: int, minimum: int, maximum: int
) -> None:
    sizes: dict[str, Any] = {"min_size": minimum, "max_size": maximum}
    found = data(ask(kind, scaling(kind, number=number, best_effort=True), members=members, **sizes))
    count = found["creation" if kind is OUT else "deletion"]["count"]
    most = 20 if maximum < 0 else min(maximum, 20)
    assert 0 <= count <= number
    assert count == number or members + count >= most or members - count <= minimum
    assert count == 0 or (members + count <= most if kind is OUT else members - count >= minimum)


def test_a_scaling_soon_after_another_is_refused_in_either_direction_and_not_for_the_other_event() -> None:
    both = scaling(OUT, last_op=50.0, cooldown=60), scaling(IN, last_op=50.0, cooldown=10)
    refused = ask(OUT, *both)
    assert refused.fault is not None and "cooldown ends in 10 s" in refused.fault
    assert refused.action.inputs == {"last_op": "1970-01-01T00:00:50Z"}
    assert data(ask(IN, *both))["deletion"] == {"count": 1}
    assert data(ask(OUT, *both, now=110.0))["creation"] == {"count": 1}


def test_who_notes_the_end_of_a_scaling() -> None:
    attached = [scaling(OUT), replace(scaling(IN), policy_id="in"), replace(policy("deletion"), policy_id="d")]
    assert pipeline.stamped(attached, OUT) == ["scaling", "in"]
    assert pipeline.stamped([replace(scaling(OUT), enabled=False)], OUT) == []
    assert pipeline.stamped(attached, RESIZE) == []


# --- deletion ---------------------------------------------------------------------------------------------------------


def gone(checked: Checked) -> list[str]:
    return list(data(checked)["deletion"]["candidates"])


def test_by_age_of_the_node_and_of_its_profile() -> None:
    ages = [(3.0, 1.0), (1.0, 9.0), (2.0, 5.0)]
    members = [
        replace(one, created_at=born, profile_created_at=made) for one, (born, made) in zip(some(3), ages, strict=True)
    ]
    for criteria, order in (("OLDEST_FIRST", "120"), ("YOUNGEST_FIRST", "021"), ("OLDEST_PROFILE_FIRST", "021")):
        for count in (1, 2, 3):
            found = gone(ask(IN, policy("deletion", criteria=criteria), members=members, inputs={"count": count}))
            assert found == [f"n{i}" for i in order[:count]]


def test_the_broken_the_tainted_and_the_unmade_go_first_in_their_order() -> None:
    members = some(6)
    members[5] = replace(members[5], status=NodeStatus.ERROR)
    members[3] = replace(members[3], tainted=True)
    members[1] = replace(members[1], created_at=None)
    found = gone(ask(IN, policy("deletion", criteria="OLDEST_FIRST"), members=members, inputs={"count": 4}))
    assert found == ["n3", "n5", "n1", "n0"]


def test_equals_go_from_hosts_to_be_left_and_then_from_the_fullest() -> None:
    members = [
        replace(some(3)[0], crowd=1), replace(some(3)[1], crowd=9), replace(some(3)[2], crowd=2, leaving=True)
    ]  # fmt: skip
    assert gone(ask(IN, policy("deletion", criteria="OLDEST_FIRST"), members=members, inputs={"count": 2})) == [
        "n2",
        "n1",
    ]
    assert gone(ask(IN, policy("deletion"), members=members))[0] == "n2", "lots are drawn among the others"


@given(st.integers(0, 15), st.integers(0, 15), st.text(max_size=3), st.sampled_from(list(Criteria)))
def test_a_choice_is_as_many_as_asked_and_always_the_same(
    count: int, members: int, seed: str, criteria: Criteria
) -> None:
    there = some(members)
    chosen = victims(there, count, criteria=criteria, seed=seed)
    assert len({one.id for one in chosen}) == len(chosen) == min(count, members)
    assert chosen == victims(list(reversed(there)), count, criteria=criteria, seed=seed)


def test_lots_differ_from_action_to_action() -> None:
    drawn = {tuple(m.id for m in victims(some(8), 3, criteria=Criteria.RANDOM, seed=str(i))) for i in range(20)}
    assert len(drawn) > 10


def test_what_the_policy_says_of_how_they_go() -> None:
    hooks = {"type": "webhook", "timeout": 9, "params": {"url": "https://a/b"}}
    rule = policy("deletion", destroy_after_deletion=False, grace_period=7, reduce_desired_capacity=False, hooks=hooks)
    flags = {"destroy_after_deletion": False, "grace_period": 7, "reduce_desired_capacity": False}
    found = data(ask(IN, rule, members=1))
    assert found["deletion"] == {"count": 1, "candidates": ["n0"], **flags}
    assert found["hooks"] == {**hooks, "params": {"url": "https://a/b", "queue": "", "secret": ""}}
    named = data(ask(ActionKind.CLUSTER_DEL_NODES, rule, inputs={"candidates": ["n2", "n1"]}))
    assert named["deletion"] == {"count": 2, "candidates": ["n2", "n1"], **flags} and "hooks" not in named
    alone = data(ask(ActionKind.NODE_DELETE, rule))
    assert alone["deletion"] == {"count": 1, "candidates": ["c"], **flags} and "hooks" not in alone


def test_a_resize_that_grows_is_none_of_its_business() -> None:
    grown = {"adjustment_type": "CHANGE_IN_CAPACITY", "number": 1}
    assert "deletion" not in data(ask(RESIZE, policy("deletion"), inputs=grown))
    assert len(gone(ask(RESIZE, policy("deletion"), inputs={**grown, "number": -2}))) == 2
    refused = ask(RESIZE, policy("deletion"), inputs={**grown, "number": -2}, min_size=3)
    assert refused.fault is not None and "min_size (3)" in refused.fault


# --- zones and regions ------------------------------------------------------------------------------------------------

_shares = (
    st.lists(st.integers(0, 300), min_size=1, max_size=4)
    .filter(any)
    .map(lambda weights: [Share(f"z{i}", weight) for i, weight in enumerate(weights)])
)
_present = st.dictionaries(st.sampled_from(["z0", "z1", "z2", "z3", "elsewhere"]), st.integers(0, 9))


@given(_shares, _present, st.integers(0, 20))
def test_growth_is_divided_within_the_quotas_and_always_finds_a_place(
    shares: list[Share], present: dict[str, int], count: int
) -> None:
    total = sum(present.values()) + count
    parts, rest = grow(shares, present, total, count)
    assert sum(parts.values()) == count and rest == 0, "quotas are rounded up"
    weights = sum(share.weight for share in shares)
    for share in shares:
        assert share.name not in parts or present.get(share.name, 0) + parts[share.name] <= -(
            -total * share.weight // weights
        )


@given(_shares, _present, st.integers(0, 20))
def test_shrinking_leaves_each_group_its_quota(shares: list[Share], present: dict[str, int], count: int) -> None:
    count = min(count, sum(present.values()))
    total = sum(present.values()) - count
    parts, rest = shrink(shares, present, total, count)
    assert sum(parts.values()) + rest == count
    weights = sum(share.weight for share in shares)
    for name, part in parts.items():
        weight = next(share.weight for share in shares if share.name == name)
        assert part == 0 or present[name] - part >= total * weight // weights


def test_caps_limit_growth() -> None:
    parts, rest = grow([Share("a", 100, cap=3), Share("b", 100, cap=0)], {"a": 2}, 6, 4)
    assert (parts, rest) == ({"a": 1}, 3)


def in_zones(*zones: str | None) -> list[Member]:
    return [
        replace(one, zone=zone, host_name=f"h{one.index}") for one, zone in zip(some(len(zones)), zones, strict=True)
    ]


def test_victims_come_from_the_zones_that_have_too_many() -> None:
    rule = policy("zone_placement", zones=[{"name": "a"}, {"name": "b"}])
    members = in_zones("a", "a", "a", "a", "b", "b")
    found = ask(IN, rule, policy("deletion", criteria="OLDEST_FIRST"), members=members, inputs={"count": 2})
    assert data(found)["deletion"]["zones"] == {"a": 2, "b": 0} and gone(found) == ["n0", "n1"]
    grown = data(ask(OUT, rule, members=members, inputs={"count": 3}))["creation"]
    assert grown == {"count": 3, "zones": {"a": 1, "b": 2}}


def test_members_of_no_zone_go_before_a_zone_is_left_with_too_few() -> None:
    rule = policy("zone_placement", zones=[{"name": "a"}, {"name": "b"}])
    members = in_zones("a", "a", "b", "b", None, "c")
    found = ask(IN, rule, policy("deletion", criteria="OLDEST_FIRST"), members=members, inputs={"count": 2})
    assert data(found)["deletion"]["zones"] == {"a": 0, "b": 0} and gone(found) == ["n4", "n5"]
    chosen = victims(members, 3, criteria=Criteria.OLDEST_FIRST, shares=Shares("zone", {"a": 1, "b": 0}))
    assert [one.id for one in chosen] == ["n0", "n4", "n5"]


def test_zones_with_hosts_of_their_own_count_those_and_no_others() -> None:
    rule = policy("zone_placement", zones=[{"name": "a", "hosts": ["h1"]}, {"name": "b"}])
    grouped = pipeline.grouped(in_zones("a", "b", "b", "c"), [rule])
    assert [member.zone for member in grouped] == [None, "a", "b", "c"]


def test_growth_that_finds_no_region_fails_only_where_that_was_asked_for() -> None:
    regions = [{"name": "eu", "cap": 4}]
    assert data(ask(OUT, policy("region_placement", regions=regions)))["creation"]["regions"] == {"eu": 1}
    members = [replace(one, region="eu") for one in some(4)]
    soft = ask(OUT, policy("region_placement", regions=regions), members=members)
    assert data(soft)["creation"] == {"count": 1, "regions": {}}
    hard = ask(OUT, policy("region_placement", regions=regions, hard=True), members=members)
    assert hard.fault is not None and "1 would find no region" in hard.fault


# --- updates ----------------------------------------------------------------------------------------------------------


def test_what_policies_say_of_updates_is_put_together() -> None:
    update = {"order": "start-first", "canary": {"percent": 10}}
    found = data(ask(ActionKind.CLUSTER_UPDATE, policy("batch", pause_time=5), updating(**update), inputs=NEW))
    assert found["update"] == {
        "min_in_service": 1, "max_batch_size": -1, "pause_time": 5, "order": "start-first", "monitor": 30,
        "ready_timeout": 300, "failure_ratio": 0.0, "on_failure": "rollback",
        "canary": {"count": None, "percent": 10, "promote_after": None},
    }  # fmt: skip


def test_members_that_must_not_overlap_cannot_start_first() -> None:
    strict = {"spinney.overlap": "at-most-one"}
    refused = ask(ActionKind.CLUSTER_UPDATE, updating(order="start-first"), inputs=NEW, config=strict)
    assert refused.fault is not None and "spinney.overlap" in refused.fault
    assert ask(ActionKind.CLUSTER_UPDATE, updating(), inputs=NEW, config=strict).fault is None
    assert data(ask(ActionKind.CLUSTER_UPDATE, updating(order="start-first"), config=strict)) == {
        "status": "OK", "reason": "The policies allow it.",
    }  # fmt: skip


# --- all together -----------------------------------------------------------------------------------------------------


def test_each_sees_what_those_before_it_have_decided() -> None:
    members = in_zones("a", "a", "a", "b")
    found = data(
        ask(
            IN,
            scaling(IN, number=2),
            policy("zone_placement", zones=[{"name": "a"}, {"name": "b"}]),
            policy("deletion", criteria="YOUNGEST_FIRST"),
            members=members,
        )
    )
    assert found["deletion"]["count"] == 2 and found["deletion"]["zones"] == {"a": 2, "b": 0}
    assert found["deletion"]["candidates"] == ["n0", "n1"]


def test_disabled_policies_and_those_for_other_actions_say_nothing() -> None:
    off = replace(scaling(OUT, number=9), enabled=False)
    found = ask(OUT, off, policy("batch"), scaling(IN), inputs={"count": 2})
    assert found.action.inputs["last_op"] is None and "creation" not in data(found)
    assert ask(ActionKind.CLUSTER_CHECK, policy("batch")).action.data == {}
