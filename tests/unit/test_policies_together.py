"""Several policies on one cluster: who is asked when, what each has to say, and what becomes of the members then."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain import fanout
from spinney.domain.action import ActionKind
from spinney.domain.cluster import Cluster
from spinney.domain.fanout import Begin, Refusal
from spinney.domain.member import Member
from spinney.domain.node import NodeStatus
from spinney.domain.victims import Criteria
from spinney.policies.pipeline import Checked
from spinney.policies.registry import POLICY_TYPES
from unit.test_policy_checks import IN, NEW, OUT, RESIZE, ask, data, gone, in_zones, policy, scaling, some, updating

LIMIT = 20
DEL_NODES, NODE_DELETE, UPDATE = ActionKind.CLUSTER_DEL_NODES, ActionKind.NODE_DELETE, ActionKind.CLUSTER_UPDATE
TO_THREE = {"adjustment_type": "EXACT_CAPACITY", "number": 3}


def begun(checked: Checked, members: Sequence[Member], **fields: Any) -> Begin | Refusal:
    """What becomes of the action that the policies have been asked about."""
    assert checked.fault is None, checked.fault
    cluster = Cluster(id="c", name="web", profile_id="p", **{"desired_capacity": len(members), **fields})
    return fanout.begin(cluster, checked.action, members, limit=LIMIT)


# --- who is asked -----------------------------------------------------------------------------------------------------

_SCALING = ("scaling", "region_placement", "zone_placement")
#: The table of docs/policies/README.md, "Who is asked when"; a job refuses, and has tests of its own.
ASKED: Mapping[ActionKind, tuple[str, ...]] = {
    OUT: _SCALING,
    IN: (*_SCALING, "deletion"),
    RESIZE: (*_SCALING[1:], "deletion"),
    DEL_NODES: ("deletion",),
    NODE_DELETE: ("deletion",),
    UPDATE: ("batch", "update"),
    ActionKind.CLUSTER_DELETE: ("lifecycle",),
}


@pytest.mark.parametrize("kind", list(ActionKind))
def test_who_is_asked_before_which_action_and_in_which_order(kind: ActionKind) -> None:
    asked = sorted(
        (one for one in POLICY_TYPES.values() if kind in one.before_kinds and not one.runs),
        key=lambda one: one.priority,
    )
    names = [one.name.rpartition(".")[2] for one in asked]
    assert tuple(name for name, _ in groupby(names)) == ASKED.get(kind, ())
    told = {one.name.rpartition(".")[2] for one in POLICY_TYPES.values() if kind in one.stamped_after}
    assert told == ({"scaling", "autoscaling"} if kind in (IN, OUT) else set())


# --- scaling ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "members", "adjustment", "count"),
    [
        (OUT, 5, {"type": "CHANGE_IN_PERCENTAGE", "number": 50}, 2),
        (IN, 5, {"type": "CHANGE_IN_PERCENTAGE", "number": 50}, 2),
        (OUT, 0, {"type": "CHANGE_IN_PERCENTAGE", "number": 50}, 1),
        (OUT, 0, {"type": "EXACT_CAPACITY", "number": 3}, 3),
        (IN, 5, {"type": "EXACT_CAPACITY", "number": 0.9}, 5),
        (OUT, 5, {"number": 2.9}, 2),
        (OUT, 5, {"number": 9, "min_step": 12}, 9),
        (IN, 5, {"type": "CHANGE_IN_PERCENTAGE", "number": 10, "min_step": 9, "best_effort": True}, 5),
        (OUT, 18, {"number": 9, "best_effort": True}, 2),
        (OUT, LIMIT, {"number": 9, "best_effort": True}, 0),
    ],
)
def test_what_a_step_comes_to(kind: ActionKind, members: int, adjustment: dict[str, Any], count: int) -> None:
    checked = ask(kind, scaling(kind, **adjustment), members=members)
    assert data(checked)["creation" if kind is OUT else "deletion"]["count"] == count
    outcome = begun(checked, some(members))
    assert isinstance(outcome, Begin)
    assert outcome.cluster.desired_capacity == (members + count if kind is OUT else members - count)
    assert (outcome.create, len(outcome.children)) == ((count, 0) if kind is OUT else (0, count))


def test_of_two_for_one_event_the_last_has_the_say_and_each_may_refuse() -> None:
    two, nine = scaling(OUT, number=2), scaling(OUT, number=9)
    assert data(ask(OUT, nine, two))["creation"] == {"count": 2}
    assert data(ask(OUT, two, nine))["creation"] == {"count": 9}
    assert data(ask(OUT, two, nine, inputs={"count": 3}))["creation"] == {"count": 3}, "a count is a count for both"
    refused = ask(OUT, nine, two, max_size=8)
    assert refused.fault is not None and "max_size (8)" in refused.fault, "also where the last would not"
    cooling = ask(OUT, scaling(OUT, last_op=99.0, cooldown=60), two)
    assert cooling.fault is not None and "cooldown ends in 59 s" in cooling.fault


def test_a_count_of_another_policy_does_not_come_over_to_the_other_event() -> None:
    found = data(ask(IN, scaling(OUT, number=3), scaling(IN, number=2), policy("deletion")))
    assert found["deletion"]["count"] == 2 == len(found["deletion"]["candidates"]) and "creation" not in found


# --- deletion ---------------------------------------------------------------------------------------------------------


def _aged() -> list[Member]:
    """Six, the oldest first, the youngest of the youngest profile; the fourth is broken, the fifth was never made."""
    members = [replace(one, created_at=10.0 + one.index, profile_created_at=50.0 - one.index) for one in some(6)]
    members[3] = replace(members[3], status=NodeStatus.ERROR)
    members[4] = replace(members[4], created_at=None, status=NodeStatus.INIT)
    return members


@pytest.mark.parametrize(
    ("kind", "inputs"), [(IN, {"count": 3}), (RESIZE, TO_THREE), (RESIZE, {**TO_THREE, "strict": False})]
)
@pytest.mark.parametrize(
    ("criteria", "third"), [("OLDEST_FIRST", "n0"), ("YOUNGEST_FIRST", "n5"), ("OLDEST_PROFILE_FIRST", "n5")]
)
def test_the_bad_go_before_any_criteria(kind: ActionKind, inputs: dict[str, Any], criteria: str, third: str) -> None:
    members = _aged()
    checked = ask(kind, policy("deletion", criteria=criteria), members=members, inputs=inputs)
    assert gone(checked) == ["n3", "n4", third]
    outcome = begun(checked, members)
    assert isinstance(outcome, Begin)
    assert [child.node_id for child in outcome.children] == ["n3", "n4", third]
    assert outcome.cluster.desired_capacity == 3


def test_lots_are_drawn_when_the_bad_have_gone() -> None:
    found = gone(ask(IN, policy("deletion"), members=_aged(), inputs={"count": 3}))
    assert found[:2] == ["n3", "n4"] and found[2] in {"n0", "n1", "n2", "n5"}


@pytest.mark.parametrize("hooked", [True, False])
@pytest.mark.parametrize("grace", [0, 7])
@pytest.mark.parametrize("destroy", [True, False])
@pytest.mark.parametrize(
    ("kind", "inputs", "lowers"),
    [
        (IN, {"count": 2}, True),
        (RESIZE, {"adjustment_type": "CHANGE_IN_CAPACITY", "number": -2}, True),
        (DEL_NODES, {"candidates": ["n3", "n0"], "count": 2, "destroy_after_deletion": True}, False),
    ],
)
@pytest.mark.parametrize("reduce", [True, False])
def test_how_they_go(
    kind: ActionKind, inputs: dict[str, Any], lowers: bool, destroy: bool, grace: int, hooked: bool, reduce: bool
) -> None:
    """Whether they are deleted, how long they get to stop, who waits, and whether fewer are wanted from then on."""
    flags: dict[str, Any] = {
        "destroy_after_deletion": destroy,
        "grace_period": grace,
        "reduce_desired_capacity": reduce,
    }
    hooks = {"hooks": {"timeout": 9, "params": {"queue": "q"}}} if hooked else {}
    members = [replace(one, made=one.index != 3) for one in some(4)]
    members[3] = replace(members[3], status=NodeStatus.ERROR)
    members[:3] = [replace(one, created_at=float(one.index)) for one in members[:3]]
    checked = ask(kind, policy("deletion", criteria="OLDEST_FIRST", **flags, **hooks), members=members, inputs=inputs)
    outcome = begun(checked, members)
    assert isinstance(outcome, Begin)
    by_id = {child.node_id: child for child in outcome.children}
    assert by_id.keys() == {"n0", "n3"}, "the broken and the oldest"
    assert {child.action for child in outcome.children} == {NODE_DELETE if destroy else ActionKind.NODE_LEAVE}
    assert {child.inputs.get("stop_timeout") for child in outcome.children} == {7 if grace and destroy else None}
    assert (by_id["n0"].held, by_id["n3"].held) == (hooked and kind is not DEL_NODES, False), "whoever serves waits"
    assert outcome.cluster.desired_capacity == (2 if lowers or reduce else 4)


def test_containers_that_are_stopped_first_wait_with_the_stop_and_have_the_grace_period() -> None:
    rule = policy("deletion", criteria="OLDEST_FIRST", grace_period=7, hooks={"timeout": 9, "params": {"queue": "q"}})
    members = [replace(one, made=True, host_id="h") for one in some(3)]
    checked = ask(IN, rule, members=members, inputs={"count": 2})
    outcome = begun(checked, members, config={"cluster.stop_node_before_delete": True})
    assert isinstance(outcome, Begin)
    assert [(child.action, child.held) for child in outcome.children] == [(ActionKind.NODE_OPERATION, True)] * 2
    assert all(child.inputs == {"operation": "stop", "params": {"timeout": 7}} for child in outcome.children)
    assert [(child.action, child.held) for child in outcome.later] == [(NODE_DELETE, False)] * 2


def test_with_both_versions_the_second_chooses_anew_and_hooks_of_either_hold() -> None:
    hooks = {"timeout": 9, "params": {"queue": "q"}}
    first = policy("deletion", criteria="OLDEST_FIRST", hooks=hooks)
    found = data(ask(IN, first, policy("deletion", criteria="YOUNGEST_FIRST", grace_period=3), members=_aged()[:3]))
    assert found["deletion"]["candidates"] == ["n2"] and found["deletion"]["grace_period"] == 3
    assert found["hooks"]["timeout"] == 9


# --- how many, from where, and who ------------------------------------------------------------------------------------


def _placed(*where: str) -> list[Member]:
    """By zone, the oldest first; the region is the zone's first letter."""
    return [replace(one, region=(one.zone or "?")[0], created_at=float(one.index)) for one in in_zones(*where)]


def test_with_regions_and_zones_the_regions_say_who_leaves() -> None:
    regions = policy("region_placement", regions=[{"name": "a"}, {"name": "b"}])
    zones = policy("zone_placement", zones=[{"name": "a1"}, {"name": "a2"}, {"name": "b1"}])
    members = _placed("a1", "a1", "a2", "a2", "b1", "b1")
    found = ask(IN, regions, zones, policy("deletion", criteria="YOUNGEST_FIRST"), members=members, inputs={"count": 2})
    deletion = data(found)["deletion"]
    assert (deletion["regions"], deletion["zones"]) == ({"a": 2, "b": 0}, {"a1": 1, "a2": 1, "b1": 0})
    assert gone(found) == ["n3", "n2"], "the regions know no zones: both go from the one with the youngest"
    grown = data(ask(OUT, regions, zones, members=members, inputs={"count": 2}))["creation"]
    assert grown == {"count": 2, "regions": {"b": 2}, "zones": {"a1": 1, "a2": 1}}


_where = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=12)


@given(_where, st.integers(1, 14), st.integers(0, 6), st.sampled_from(list(Criteria)), st.data())
def test_how_many_then_from_where_then_who(
    where: list[str], number: int, least: int, criteria: Criteria, draw: st.DataObject
) -> None:
    """With best effort: as many as the sizes allow; each zone gives what it is to give; the bad of a zone first."""
    bad = draw.draw(st.sets(st.integers(0, len(where) - 1)))
    members = [replace(one, status=NodeStatus.ERROR) if one.index in bad else one for one in in_zones(*where)]
    rules = (
        scaling(IN, number=number, best_effort=True),
        policy("zone_placement", zones=[{"name": "a", "weight": 200}, {"name": "b"}]),
        policy("deletion", criteria=criteria.value),
    )
    checked = ask(IN, *rules, members=members, min_size=least)
    deletion = data(checked)["deletion"]
    going = deletion["candidates"]
    assert deletion["count"] == len(going) == len(set(going)) == max(min(number, len(where) - least), 0)
    by_id = {one.id: one for one in members}
    given_up = Counter(by_id[node].zone for node in going)
    assert all(given_up[zone] >= count for zone, count in deletion["zones"].items())
    for zone in "ab":
        staying = [one for one in members if one.zone == zone and one.id not in going]
        if any(one.index in bad for one in staying):
            assert all(by_id[node].index in bad for node in going if by_id[node].zone == zone)
    outcome = begun(checked, members, min_size=least)
    assert isinstance(outcome, Begin) and [child.node_id for child in outcome.children] == going


def test_a_refusal_anywhere_ends_the_asking_and_names_its_policy() -> None:
    full = policy("region_placement", regions=[{"name": "a", "cap": 4}], hard=True)
    members = _placed("a1", "a1", "a1", "a1")
    refused = ask(OUT, scaling(OUT, number=2), full, members=members)
    assert refused.fault is not None and refused.fault.startswith(
        "policy 'my region_placement' does not allow it: of 2"
    )
    assert refused.action.data["status"] == "ERROR" and refused.action.data["creation"] == {"count": 2}
    assert ask(OUT, scaling(OUT, number=2, best_effort=True), full, members=members, max_size=4).fault is None


@pytest.mark.parametrize("off", range(5))
def test_any_of_them_may_be_disabled_and_the_others_go_on(off: int) -> None:
    members = in_zones("a", "a", "a", "b")
    rules = [
        scaling(IN, number=2, last_op=10.0, cooldown=5),
        policy("zone_placement", zones=[{"name": "a"}, {"name": "b"}]),
        policy("deletion", criteria="OLDEST_FIRST"),
        policy("batch"),
        updating(),
    ]
    rules[off] = replace(rules[off], enabled=False)
    deletion = data(ask(IN, *rules, members=members)).get("deletion", {})
    assert deletion.get("count") == (1 if off == 0 else 2)
    assert ("zones" in deletion, "candidates" in deletion) == (off != 1, off != 2)
    paced = data(ask(UPDATE, *rules, inputs=NEW)).get("update", {})
    assert ("pause_time" in paced, "order" in paced) == (off != 3, off != 4)
