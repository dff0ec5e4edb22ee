"""The policy types that are not about placement: what they take, refuse and default to."""

from __future__ import annotations

from typing import Any

import pytest

from spinney.errors import ESchema, InvalidSpec
from spinney.policies.deletion import DeletionProperties
from spinney.policies.registry import POLICY_TYPES, ValidatedPolicy, support_status, validate_spec

DELETION, SCALING, BATCH, HEALTH, LB = (
    f"senlin.policy.{name}" for name in ("deletion", "scaling", "batch", "health", "loadbalance")
)
POOL = {"pool": {"subnet": "s"}, "vip": {"subnet": "s"}}
_POLL = {"type": "NODE_STATUS_POLLING"}


def take(type_: str, version: str = "1.0", **properties: Any) -> ValidatedPolicy:
    return validate_spec({"type": type_, "version": version, "properties": properties})


def watched(*modes: Any, **detection: Any) -> dict[str, Any]:
    return {"detection": {"detection_modes": list(modes), **detection}, "recovery": {}}


@pytest.mark.parametrize(
    ("type_", "given", "defaults"),
    [
        (
            DELETION,
            {},
            {
                "criteria": "RANDOM",
                "destroy_after_deletion": True,
                "grace_period": 0,
                "reduce_desired_capacity": True,
                "hooks": None,
            },
        ),
        (
            SCALING,
            {"event": "CLUSTER_SCALE_IN"},
            {
                "event": "CLUSTER_SCALE_IN",
                "adjustment": {
                    "type": "CHANGE_IN_CAPACITY",
                    "number": 1,
                    "min_step": 1,
                    "best_effort": False,
                    "cooldown": 0,
                },
            },
        ),
        (BATCH, {}, {"min_in_service": 1, "max_batch_size": -1, "pause_time": 60}),
        (
            HEALTH,
            {"detection": {}, "recovery": {}},
            {
                "detection": {
                    "interval": 60,
                    "node_update_timeout": 300,
                    "recovery_conditional": "ANY_FAILED",
                    "detection_modes": [],
                },
                "recovery": {"actions": [], "fencing": [], "node_delete_timeout": 20, "node_force_recreate": False},
            },
        ),
    ],
)
def test_defaults(type_: str, given: dict[str, Any], defaults: dict[str, Any]) -> None:
    assert take(type_, **given).properties.model_dump(mode="json") == defaults


@pytest.mark.parametrize(
    ("type_", "given", "words"),
    [
        (DELETION, {"criteria": "BAD"}, "properties.criteria: 'BAD' is not allowed"),
        (DELETION, {"grace_period": -1}, "properties.grace_period: -1"),
        (DELETION, {"hooks": {"type": "mail"}}, "properties.hooks.type: 'mail'"),
        (DELETION, {"hooks": {"type": "webhook", "params": {"url": "ftp://x"}}}, "properties.hooks.params.url"),
        (SCALING, {}, "properties.event: this is required"),
        (SCALING, {"event": "CLUSTER_RESIZE"}, "properties.event: 'CLUSTER_RESIZE'"),
        (SCALING, {"event": "CLUSTER_SCALE_IN", "adjustment": {"type": "MORE"}}, "properties.adjustment.type: 'MORE'"),
        (SCALING, {"event": "CLUSTER_SCALE_IN", "adjustment": {"number": "x"}}, "properties.adjustment.number: 'x'"),
        (BATCH, {"min_in_service": "many"}, "properties.min_in_service: 'many'"),
        (HEALTH, {"detection": {}}, "properties.recovery: this is required"),
        (HEALTH, watched({"type": "GUESS"}), "properties.detection.detection_modes[0].type: 'GUESS'"),
        (HEALTH, {"detection": {}, "recovery": {"actions": [{"name": "REBOOT"}] * 2}}, "at most 1 action"),
        (HEALTH, {"detection": {}, "recovery": {"fencing": ["STORAGE"]}}, "properties.recovery.fencing[0]"),
        (LB, {"pool": {}, "vip": {"subnet": "s"}}, "properties.pool.subnet: this is required"),
        (LB, {**POOL, "loadbalancer": "x"}, "has it from version 1.1 on, and the specification's is 1.0"),
        (LB, {**POOL, "health_monitor": {"type": "SMELL"}}, "properties.health_monitor.type: 'SMELL'"),
    ],
)
def test_what_violates_the_schema(type_: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(ESchema) as caught:
        take(type_, **given)
    assert words in caught.value.message


def test_what_caused_a_refusal_carries_no_value_into_a_log() -> None:
    with pytest.raises(ESchema) as caught:
        take(DELETION, criteria="s3cret", hooks={"timeout": 1, "params": {"secret": ["s3cret"]}})
    assert caught.value.__cause__ is not None and "s3cret" not in str(caught.value.__cause__)


@pytest.mark.parametrize(
    ("type_", "given"),
    [
        (DELETION, {"hooks": {"type": "webhook", "params": {"url": "https://x.example/y", "secret": "s/k"}}}),
        *(("spinney.policy.update", {"on_failure": what}) for what in ("rollback", "pause", "continue")),
        ("spinney.policy.update", {"canary": {"count": 1}}),
        ("spinney.policy.update", {"canary": {"percent": 5}}),
    ],
)
def test_what_is_taken(type_: str, given: dict[str, Any]) -> None:
    assert given.items() <= take(type_, **given).properties.model_dump(exclude_unset=True).items()


@pytest.mark.parametrize(
    ("type_", "given", "words"),
    [
        ("spinney.policy.update", {"canary": {}}, "give either count or percent"),
        ("spinney.policy.update", {"canary": {"count": 1, "percent": 5}}, "give either count or percent"),
        (DELETION, {"hooks": {"type": "webhook"}}, "properties.hooks.params.url: a webhook needs one"),
        (DELETION, {"hooks": {"params": {"secret": "s"}}}, "properties.hooks.params.secret: only a webhook is signed"),
        (SCALING, {"event": "CLUSTER_SCALE_IN", "adjustment": {"number": 0}}, "properties.adjustment.number: 0"),
        (SCALING, {"event": "CLUSTER_SCALE_IN", "adjustment": {"min_step": -1}}, "properties.adjustment.min_step: -1"),
        (SCALING, {"event": "CLUSTER_SCALE_IN", "adjustment": {"cooldown": -1}}, "properties.adjustment.cooldown: -1"),
        (BATCH, {"max_batch_size": 0}, "properties.max_batch_size: 0 would update nobody"),
        (HEALTH, watched({"type": "LIFECYCLE_EVENTS"}, _POLL), "LIFECYCLE_EVENTS stands alone"),
        (HEALTH, watched(_POLL, _POLL), "properties.detection.detection_modes[1]: it is the same as [0]"),
        (LB, {"pool": {"subnet": "s"}, "vip": {}}, "properties.vip: neither subnet nor network is given"),
    ],
)
def test_what_does_not_go_together(type_: str, given: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        take(type_, **given)
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("key", "since"), [("loadbalancer", "1.1"), ("availability_zone", "1.2"), ("flavor_id", "1.3")]
)
def test_later_keys_are_shown_with_their_version_and_taken_from_it_on(key: str, since: str) -> None:
    for version in ("1.0", "1.1", "1.2", "1.3"):
        assert POLICY_TYPES[f"{LB}-{version}"].schema()[key]["min_version"] == since
        if version >= since:
            take(LB, version, **POOL, **{key: "x"})
        else:
            with pytest.raises(ESchema):
                take(LB, version, **POOL, **{key: "x"})


def test_an_empty_hook_is_none() -> None:
    for hooks, there in (({}, False), ({"timeout": 1}, True)):
        found = take(DELETION, hooks=hooks).properties
        assert isinstance(found, DeletionProperties) and (found.hook is not None) == there


def test_all_versions_of_a_type_and_since_when_they_are_supported() -> None:
    assert support_status(HEALTH) == {
        "1.0": [{"status": "EXPERIMENTAL", "since": "2017.02"}, {"status": "SUPPORTED", "since": "2018.06"}],
        "1.1": [{"status": "SUPPORTED", "since": "2018.09"}],
        "1.2": [{"status": "SUPPORTED", "since": "2020.09"}],
    }
    assert [entries[0]["since"] for entries in support_status(LB).values()] == [
        "2016.04",
        "2018.01",
        "2020.02",
        "2020.03",
    ]
    assert list(support_status(DELETION)) == ["1.0", "1.1"]


@pytest.mark.parametrize(
    ("type_", "given", "words"),
    [
        (HEALTH, {"detection": {}, "recovery": {}}, "names no detection mode"),
        (LB, POOL, "have no effect"),
        (DELETION, {"hooks": {"timeout": 9}}, "No queue backend is configured"),
        (DELETION, {"hooks": {"type": "webhook", "params": {"url": "https://a"}}}, ""),
        (DELETION, {}, ""),
    ],
)
def test_what_cannot_be_done_here_is_said(type_: str, given: dict[str, Any], words: str) -> None:
    found = take(type_, **given)
    remark = found.kind.remark
    assert remark is not None
    said = remark(found.properties)
    assert words in said and bool(words) == bool(said)
