"""When somebody is asked before a container stops, and what becomes of the stay: values alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.lifecycle import (
    Answer,
    Hook,
    OnTimeout,
    Transition,
    about_to_stop,
    begin,
    stay_of,
    told_already,
    waited,
    with_stay,
)
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.errors import ESchema, InvalidSpec
from spinney.policies.lifecycle import LifecycleProperties
from spinney.policies.registry import validate_spec

NODE = Node(
    id="n", name="web-1", profile_id="p", cluster_id="c", status=NodeStatus.ACTIVE, physical_id="old", init_at=0.0,
    user="u", project="p",
)  # fmt: skip
HOOK = Hook("https://ask.example", "", 60, OnTimeout.ABANDON)


def action(kind: str, cause: Cause = Cause.DERIVED, data: Any = None, **inputs: Any) -> Action:
    return Action(
        id="a", name="a", target="n", action=ActionKind(f"NODE_{kind}"), cause=cause, status=ActionStatus.RUNNING,
        status_reason="", inputs=inputs, data=data or {},
    )  # fmt: skip


LEFT = {"left": {"container": "older", "host": "h"}}
#: The action, whether two containers may overlap, and what it is about to stop.
CASES: list[tuple[Action, bool, str | None]] = [
    (action("DELETE"), True, "old"),
    (action("DELETE", Cause.REQUEST), True, "old"),
    (action("DELETE", force=True), True, None),
    (action("EVICT", Cause.HEALING), True, "old"),
    (action("CREATE"), True, None),
    (action("CHECK"), True, None),
    (action("LEAVE"), True, None),
    (action("UPDATE", name="x"), True, None),
    (action("UPDATE", new_profile_id="q"), True, "old"),
    (action("UPDATE", new_profile_id="q", manner="stop-first"), True, "old"),
    (action("UPDATE", new_profile_id="q", manner="start-first"), True, None),
    (action("UPDATE", new_profile_id="q", manner="start-first", data=LEFT), True, "older"),
    (action("UPDATE", new_profile_id="q", manner="in-place"), True, None),
    (action("UPDATE", new_profile_id="q", manner="replace"), True, None),
    (action("MOVE", Cause.HEALING), True, None),
    (action("MOVE", Cause.HEALING), False, "old"),
    (action("MOVE", Cause.HEALING, data=LEFT), True, "older"),
    (action("RECOVER", Cause.REQUEST), True, "old"),
    (action("RECOVER", Cause.REQUEST, check=True), True, None),
    (action("RECOVER", Cause.HEALING), True, None),
    (action("OPERATION", operation="stop"), True, "old"),
    (action("OPERATION", operation="restart"), True, "old"),
    (action("OPERATION", operation="pause"), True, None),
]


@pytest.mark.parametrize(("asked", "overlap", "expected"), CASES)
def test_what_is_about_to_stop(asked: Action, overlap: bool, expected: str | None) -> None:
    assert about_to_stop(asked, NODE, one_at_a_time=not overlap, in_place=False) == expected


@pytest.mark.parametrize(
    "node",
    [
        replace(NODE, status=NodeStatus.ERROR),
        replace(NODE, status=NodeStatus.INIT),
        replace(NODE, physical_id=None),
        replace(NODE, power=PowerState.STOPPED),
        replace(NODE, power=PowerState.PAUSED),
    ],
)
def test_what_does_not_serve_is_not_asked_about(node: Node) -> None:
    assert about_to_stop(action("DELETE"), node, one_at_a_time=False, in_place=False) is None


def test_an_update_in_place_stops_nothing() -> None:
    update = action("UPDATE", new_profile_id="q")
    assert about_to_stop(update, NODE, one_at_a_time=False, in_place=True) is None


@pytest.mark.parametrize(
    ("ready_at", "answer", "abandoned"),
    [(130.0, Answer.COMPLETED, False), (159.9, Answer.COMPLETED, False), (160.0, Answer.TIMED_OUT, True)],
)
def test_a_stay_ends_in_time_or_not(ready_at: float, answer: Answer, abandoned: bool) -> None:
    stay = begin(HOOK, 100.0)
    assert stay.deadline == 160.0 and not stay.over and not stay.abandoned
    ended = stay.ended(replace(action("DELETE"), ready_at=ready_at), 165.0)
    assert (ended.answer, ended.over, ended.abandoned, ended.lasted) == (answer, True, abandoned, 65.0)
    going_on = begin(replace(HOOK, on_timeout=OnTimeout.CONTINUE), 100.0)
    assert not going_on.ended(replace(action("DELETE"), ready_at=ready_at), 165.0).abandoned


def test_stays_are_kept_with_the_action_each_for_itself() -> None:
    first = begin(HOOK, 100.0).ended(action("UPDATE"), 110.0)
    data = with_stay({"generation": 2}, Transition.TERMINATION, first)
    data = with_stay(data, Transition.LAUNCH, begin(HOOK, 120.0).ended(action("UPDATE"), 125.0))
    assert data["generation"] == 2 and stay_of(data, Transition.TERMINATION) == first
    assert waited(action("UPDATE", data=data)) == 15.0
    assert stay_of({}, Transition.LAUNCH) is None and waited(action("UPDATE")) == 0.0


def test_who_was_asked_about_by_a_deletion_policy_is_not_asked_about_again() -> None:
    assert told_already(action("DELETE", Cause.HOOKED))
    assert not told_already(action("DELETE", Cause.DERIVED))
    stay = with_stay({}, Transition.LAUNCH, begin(HOOK, 0.0))
    assert not told_already(action("UPDATE", Cause.HOOKED, data=stay))


def spec(**properties: Any) -> dict[str, Any]:
    return {"type": "spinney.policy.lifecycle", "version": "1.0", "properties": properties}


def test_what_a_specification_leaves_out() -> None:
    properties = validate_spec(spec(after_start={"params": {"url": "https://a.example"}})).properties
    assert isinstance(properties, LifecycleProperties) and properties.before_stop is None
    assert properties.after_start is not None
    assert properties.after_start.hook() == Hook("https://a.example", "", 300, OnTimeout.CONTINUE)
    assert Hook.of(HOOK.stored()) == HOOK


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({}, "before_stop and after_start are both missing"),
        ({"before_stop": {}}, "properties.before_stop.params: this is required"),
        (
            {"before_stop": {"params": {"url": "ftp://x"}}},
            "properties.before_stop.params.url: 'ftp://x' is not allowed",
        ),
        ({"before_stop": {"params": {"url": "http://x"}, "type": "zaqar"}}, "before_stop.type: 'zaqar' is not allowed"),
        ({"before_stop": {"params": {"url": "http://x"}, "timeout": 0}}, "before_stop.timeout: 0 is not allowed"),
        ({"after_start": {"params": {"url": "http://x"}, "on_timeout": "stop"}}, "on_timeout: 'stop' is not allowed"),
    ],
)
def test_specifications_that_cannot_be(properties: dict[str, Any], says: str) -> None:
    with pytest.raises((ESchema, InvalidSpec)) as refused:
        validate_spec(spec(**properties))
    assert says in refused.value.message
