"""What an autoscaling policy takes and refuses, what it comes to, and to which clusters it can be attached."""

from __future__ import annotations

from typing import Any

import pytest

from spinney.domain.autoscale.rules import Aggregation, Metric, Rate, Rules, Scrape, Signal
from spinney.errors import ESchema, InvalidSpec
from spinney.policies.attaching import Attached, Target, hindrance
from spinney.policies.autoscaling import AutoscalingProperties, autoscaling
from spinney.policies.base import Members
from spinney.policies.registry import validate_spec

CPU = {"metric": "cpu", "target": 70}
REQUESTS = {"metric": "requests", "target": 50}
STEP = {"metric": "cpu", "at_least": 80, "adjustment": {"number": 1}}
NIGHT = {"name": "night", "cron": "0 22 * * *", "min": 1}


def taken(type_: str = "spinney.policy.autoscaling", version: str = "1.0", **properties: Any) -> Attached:
    spec = {"type": type_, "version": version, "properties": properties}
    return Attached("1", "grow", validate_spec(spec))


def rules(**properties: Any) -> Rules:
    found = taken(**properties).policy.properties
    assert isinstance(found, AutoscalingProperties)
    return autoscaling(found)


def test_what_little_is_needed_and_what_it_comes_to() -> None:
    of = rules(max=10, targets=[CPU])
    assert (of.minimum, of.maximum, of.interval, of.warmup, of.patience) == (1, 10, 15, 30, 300)
    assert (of.up.window, of.down.window, of.up.tolerance) == (0, 300, 0.1)
    assert of.up.rates == (Rate(15, percent=100), Rate(15, members=4))
    assert of.targets[0].signal == Signal(Metric.CPU)


def test_a_schedule_may_go_beyond_the_policy_with_a_max_of_its_own_and_a_metric_be_looked_at_in_two_ways() -> None:
    of = rules(max=5, targets=[CPU, {**CPU, "aggregation": "maximum"}], schedules=[{**NIGHT, "min": 8, "max": 9}])
    assert (of.schedules[0].maximum, len(of.targets)) == (9, 2)


def test_signals() -> None:
    scrape = {"port": 9102, "name": "jobs_total", "labels": {"queue": "a", "env": "x"}, "kind": "counter"}
    of = rules(max=5, targets=[{"metric": "scrape", "target": 3, "aggregation": "shared", "scrape": scrape}, REQUESTS])
    jobs = Scrape(9102, "jobs_total", "/metrics", (("env", "x"), ("queue", "a")), counter=True)
    assert [one.signal for one in of.targets] == [
        Signal(Metric.SCRAPE, Aggregation.SHARED, jobs),
        Signal(Metric.REQUESTS, Aggregation.SHARED),
    ]
    assert of.signals[0].name == 'scrape:9102/metrics#jobs_total{env="x",queue="a"}:rate:shared'
    long = Scrape(1, "n", labels=(("l", "v" * 500),)).key
    assert len(long) <= 200 and long != Scrape(1, "n", labels=(("l", "v" * 501),)).key


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "properties.max: this is required"),
        ({"max": 5}, "properties: nothing would ever happen: give targets, steps or schedules"),
        ({"max": 5, "min": 6, "targets": [CPU]}, "properties.min: 6 is more than max (5): lower it"),
        ({"max": 5, "target": [CPU]}, "did you mean 'targets'?"),
        ({"max": 5, "interval": 4, "targets": [CPU]}, "properties.interval: 4 is not allowed"),
        ({"max": 5, "targets": [{"metric": "cpus", "target": 1}]}, "'cpus' is not allowed: one of cpu, cpu_reserved"),
        ({"max": 5, "targets": [{"metric": "cpu", "target": 0}]}, "properties.targets[0].target: 0"),
        ({"max": 5, "targets": [{"metric": "scrape", "target": 1}]}, "targets[0].scrape: metric scrape needs it"),
        (
            {"max": 5, "targets": [{**CPU, "scrape": {"port": 1, "name": "a"}}]},
            "belongs to metric scrape and not to cpu",
        ),
        (
            {"max": 5, "targets": [{"metric": "scrape", "target": 1, "scrape": {"name": "a"}}]},
            "scrape.port: this is required",
        ),
        ({"max": 5, "targets": [{**REQUESTS, "aggregation": "average"}]}, "requests are counted for the whole cluster"),
        (
            {"max": 5, "steps": [{"metric": "cpu", "adjustment": {"number": 1}}]},
            "one of at_least and below is required",
        ),
        ({"max": 5, "steps": [{**STEP, "below": 80}]}, "steps[0].at_least: 80 is not less than below (80): lower it"),
        ({"max": 5, "steps": [{**STEP, "below": 70}]}, "steps[0].at_least: 80 is not less than below (70): lower it"),
        ({"max": 5, "steps": [{**STEP, "adjustment": {"number": 0}}]}, "adjustment.number: 0 changes nothing"),
        (
            {"max": 5, "steps": [{**STEP, "adjustment": {"type": "EXACT_CAPACITY", "number": -1}}]},
            "-1 is no size: give 0 or more",
        ),
        (
            {"max": 5, "steps": [STEP] * 21},
            "properties.steps: a list is not allowed: at most 20 steps, and here are 21",
        ),
        ({"max": 5, "schedules": [{"name": "x", "cron": "0 8 * * *"}]}, "give min, max or desired"),
        ({"max": 5, "schedules": [{**NIGHT, "cron": "0 25 * * *"}]}, "its hour '25' is not understood"),
        ({"max": 5, "schedules": [{**NIGHT, "timezone": "Mars"}]}, "the name of a time zone"),
        ({"max": 5, "schedules": [{**NIGHT, "desired": 9, "max": 4}]}, "desired: 9 is more than max (4): lower it"),
        ({"max": 5, "schedules": [NIGHT, NIGHT]}, "schedules[1].name: 'night' is the name of another one"),
        ({"max": 5, "schedules": [{**NIGHT, "min": 50}]}, "schedules[0].min: 50 is more than properties.max (5)"),
        (
            {"max": 5, "schedules": [{"name": "x", "cron": "* * * * *", "desired": 50}]},
            "schedules[0].desired: 50 is more than properties.max (5): lower it, raise that, or give the schedule a max",
        ),
        (
            {"max": 5, "targets": [CPU, {**CPU, "target": 50}]},
            "targets[1]: cpu has a target in targets[0] already (70, here 50)",
        ),
        ({"max": 5, "targets": [CPU], "up": {"rates": [{"period": 5}]}}, "exactly one of members and percent"),
        ({"max": 5, "targets": [CPU], "min": 0}, "properties.min: 0 is allowed only with scale_to_zero: true"),
        ({"max": 5, "schedules": [{**NIGHT, "min": 0}]}, "schedules[0].min: 0 is allowed only with scale_to_zero"),
        ({"max": 5, "targets": [CPU], "min": 0, "scale_to_zero": True}, "nothing would wake the cluster again"),
        (
            {"max": 5, "schedules": [{"name": "x", "cron": "0 8 * * *", "max": 3}], "min": 0, "scale_to_zero": True},
            "nothing would wake the cluster again",
        ),
    ],
)
def test_what_is_refused(given: dict[str, Any], said: str) -> None:
    with pytest.raises((ESchema, InvalidSpec)) as refused:
        taken(**given)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    "given",
    [
        {"targets": [REQUESTS]},
        {"targets": [CPU], "schedules": [NIGHT]},
        {"targets": [CPU], "schedules": [{"name": "day", "cron": "0 8 * * *", "desired": 2}]},
        {"steps": [{**STEP, "metric": "requests"}]},
    ],
)
def test_zero_where_something_wakes_it(given: dict[str, Any]) -> None:
    assert rules(max=5, min=0, scale_to_zero=True, **given).scale_to_zero


@pytest.mark.parametrize("number", [-100_000, 100_000])
def test_how_far_a_step_may_go(number: int) -> None:
    assert rules(max=5, steps=[{**STEP, "adjustment": {"number": number}}]).steps[0].number == number
    with pytest.raises(ESchema, match="a number from -100000 to 100000"):
        taken(max=5, steps=[{**STEP, "adjustment": {"number": number * 1.001}}])


@pytest.mark.parametrize(
    ("min_size", "max_size", "said"),
    [
        (0, -1, None),
        (2, 10, None),
        (0, 1, "its min (2) is more than the cluster's max_size (1); raise that, or lower min"),
        (11, -1, "its max (10) is less than the cluster's min_size (11); lower that, or raise max"),
    ],
)
def test_the_clusters_sizes(min_size: int, max_size: int, said: str | None) -> None:
    cluster = Target("container.dockerinc.docker-1.0", Members.CONTAINERS, min_size, max_size)
    fault = hindrance(taken(min=2, max=10, targets=[CPU]), cluster, [])
    assert (fault is None) if said is None else (fault is not None and said in fault)


def test_host_clusters_have_none_and_no_cluster_has_two() -> None:
    new = taken(max=10, targets=[CPU])
    assert "is for clusters of containers" in (hindrance(new, Target("host.docker-1.0", Members.HOSTS), []) or "")
    assert "at most one policy" in (hindrance(new, Target("c", Members.CONTAINERS), [new]) or "")


def test_who_counts_requests_is_asked_for() -> None:
    new = taken(max=5, targets=[REQUESTS])
    balancing = taken("senlin.policy.loadbalance", pool={"subnet": "s"}, vip={"subnet": "s"})
    assert "no senlin.policy.loadbalance policy" in new.remark([])
    assert new.remark([balancing]) == ""
    assert taken(max=5, targets=[CPU]).remark([]) == ""
