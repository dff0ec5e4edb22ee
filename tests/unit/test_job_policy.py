"""The job policy: what it takes, refuses and comes to, and what it does not let users do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.cluster import Cluster
from spinney.domain.cron import Cron
from spinney.domain.member import Member
from spinney.domain.node import NodeStatus
from spinney.domain.run_schedule import JobRules, Missed, Overlap, Schedule
from spinney.domain.runs import RunRules
from spinney.errors import ESchema, InvalidSpec
from spinney.policies.attaching import Attached, Target, enabling, hindrance
from spinney.policies.base import Members
from spinney.policies.checking import Failed, Look
from spinney.policies.job import JobProperties, before, job_rules
from spinney.policies.registry import ValidatedPolicy, validate_spec


def take(**properties: Any) -> ValidatedPolicy:
    return validate_spec({"type": "spinney.policy.job", "version": "1.0", "properties": properties})


def rules(**properties: Any) -> JobRules:
    found = take(**properties).properties
    assert isinstance(found, JobProperties)
    return job_rules(found)


def test_by_default_one_member_does_it_once_and_at_once() -> None:
    assert rules() == JobRules(
        run=RunRules(
            parallelism=1, completions=1, retries=3, initial=10.0, ceiling=360.0, timeout=None, lost_after=120.0
        ),
        overlap=Overlap.FORBID,
        keep_runs=5,
        keep_seconds=604800.0,
        schedule=None,
        start=True,
    )


def test_everything_said() -> None:
    schedule = {
        "cron": "30 2 * * *",
        "timezone": "Europe/Berlin",
        "missed": "all",
        "overlap": "allow",
        "deadline": 600,
    }
    found = rules(
        parallelism=4,
        completions=9,
        retries=0,
        backoff={"initial": 2, "ceiling": 8},
        timeout=3600,
        lost_after=30,
        keep={"runs": 1, "seconds": 0},
        schedule=schedule,
        start=False,
    )
    assert found == JobRules(
        run=RunRules(4, 9, 0, 2.0, 8.0, 3600, 30.0, beside=True, deadline=600),
        overlap=Overlap.ALLOW,
        keep_runs=1,
        keep_seconds=0.0,
        schedule=Schedule(Cron("30 2 * * *", "Europe/Berlin"), Missed.ALL),
        start=False,
    )


@pytest.mark.parametrize(
    ("properties", "says"),
    [
        ({"parallelism": 0}, "properties.parallelism: 0 is not allowed: a whole number from 1 to 1000"),
        ({"completions": 10001}, "properties.completions: 10001 is not allowed"),
        ({"retries": -1}, "properties.retries: -1 is not allowed"),
        ({"backoff": {"initial": 9, "ceiling": 3}}, "properties.backoff.initial: 9 is more than ceiling (3): lower it"),
        ({"backoff": {"factor": 3}}, "properties.backoff.factor: there is no such key"),
        ({"timeout": 0}, "properties.timeout: 0 is not allowed"),
        ({"timeout": None}, "properties.timeout: null is not allowed: leave the key out"),
        ({"keep": {"runs": 0}}, "properties.keep.runs: 0 is not allowed"),
        ({"schedule": {}}, "properties.schedule.cron: this is required"),
        (
            {"schedule": {"cron": "61 * * * *"}},
            "properties.schedule.cron: '61 * * * *' is not allowed: its minute '61'",
        ),
        (
            {"schedule": {"cron": "@daily", "timezone": "Berlin"}},
            "properties.schedule.timezone: 'Berlin' is not allowed",
        ),
        ({"schedule": {"cron": "@daily", "missed": "never"}}, "one of skip, once, all"),
        ({"schedule": {"cron": "@daily", "overlap": "queue"}}, "one of forbid, allow, replace"),
        ({"schedule": {"cron": "@daily", "deadline": 5}}, "properties.schedule.deadline: 5 is not allowed"),
        (
            {"schedule": {"cron": "@daily", "missed": "all", "overlap": "replace"}},
            "properties.schedule.missed: 'all' makes no sense where each run replaces the one before (overlap): say once",
        ),
        ({"paralelism": 2}, "did you mean 'parallelism'?"),
    ],
)
def test_what_it_refuses(properties: dict[str, Any], says: str) -> None:
    with pytest.raises((ESchema, InvalidSpec)) as refused:
        take(**properties)
    assert says in str(refused.value)


def _look(kind: ActionKind, members: int = 1, **inputs: Any) -> Look:
    asked = Action(
        id="a", name="a", target="c", action=kind, cause=Cause.REQUEST, status=ActionStatus.RUNNING, status_reason="",
        inputs=inputs,
    )  # fmt: skip
    there = [Member(str(i), "m", NodeStatus.ACTIVE, i) for i in range(members)]
    return Look(Cluster(id="c", name="c", profile_id="p"), asked, there, 1000, 0.0)


@pytest.mark.parametrize(
    ("kind", "inputs", "members", "refused"),
    [
        (ActionKind.CLUSTER_SCALE_OUT, {"count": 1}, 0, True),
        (ActionKind.CLUSTER_RESIZE, {"max_size": 5}, 0, True),
        (ActionKind.CLUSTER_RECOVER, {}, 1, True),
        (ActionKind.CLUSTER_DEL_NODES, {"candidates": ["0"]}, 1, True),
        (ActionKind.CLUSTER_UPDATE, {"new_profile_id": "q"}, 1, True),
        (ActionKind.CLUSTER_UPDATE, {"new_profile_id": "q", "profile_only": True}, 1, False),
        (ActionKind.CLUSTER_UPDATE, {"new_profile_id": "q"}, 0, False),
        (ActionKind.CLUSTER_UPDATE, {"name": "other"}, 1, False),
    ],
)
def test_what_users_may_not_do_to_such_a_cluster(
    kind: ActionKind, inputs: dict[str, Any], members: int, refused: bool
) -> None:
    found = before(JobProperties(), _look(kind, members, **inputs))
    assert isinstance(found, Failed) is refused
    assert refused or found == {}


def test_no_update_is_to_a_profile_that_starts_containers_again() -> None:
    look = _look(ActionKind.CLUSTER_UPDATE, 0, new_profile_id="q", profile_only=True)
    found = before(JobProperties(), replace(look, restarts=lambda: "always"))
    assert isinstance(found, Failed) and "restart_policy none or on-failure" in found.reason


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, None),
        ({"restarts": lambda: "on-failure"}, None),
        ({"restarts": lambda: "always"}, "restart_policy none or on-failure"),
        ({"min_size": 1}, "min_size 1, desired_capacity 0"),
        ({"desired_capacity": 2}, "resize it to 0 first"),
        ({"strangers": lambda: 2}, "2 of the cluster's members are of no run: resize it to 0 first"),
        ({"max_size": 0}, "max_size (0): set it to -1"),
        ({"members": Members.HOSTS}, "is for clusters of containers"),
    ],
)
def test_which_clusters_may_have_it(fields: dict[str, Any], says: str | None) -> None:
    target = Target("t", **{"members": Members.CONTAINERS, "restarts": lambda: "none", **fields})
    nightly = Attached("p", "nightly", take(), enabled=False)
    found = hindrance(nightly, target, [])
    assert found is None if says is None else found is not None and says in found
    if "members" not in fields:  # what it is made of never changes; all else may, while the policy is disabled
        again = enabling(nightly, target, [nightly])
        assert again == (found and found.replace("attached", "enabled"))
