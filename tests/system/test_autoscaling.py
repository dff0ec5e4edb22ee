"""Autoscaling on a real Docker engine: what containers use and tell, and what comes of it."""

from __future__ import annotations

import json
import urllib.parse
from typing import Any

import pytest

from system.running import Service, fresh, spinney

#: It is always busy, and tells how much waits for it.
BUSY = "mkdir -p /tmp/www; echo 'waiting{queue=\"a\"} 9' > /tmp/www/metrics; httpd -p 9102 -h /tmp/www; while :; do :; done"
WAITING = 'scrape:9102/metrics#waiting{queue="a"}:shared'
QUEUE = {"port": 9102, "name": "waiting", "labels": {"queue": "a"}}
TARGETS = [
    {"metric": "cpu", "target": 200},
    {"metric": "memory", "target": 100},
    {"metric": "network_in", "target": 1e9},
    {"metric": "scrape", "target": 3, "aggregation": "shared", "scrape": QUEUE},
]


def policy(service: Service, **properties: Any) -> str:
    spec = {
        "type": "spinney.policy.autoscaling",
        "version": "1.0",
        "properties": {"interval": 5, "warmup": 0, **properties},
    }
    reply = service.api.call("POST", "/policies", {"policy": {"name": fresh("policy"), "spec": spec}})
    assert reply.status == 201, reply.body
    return str(reply.body["policy"]["id"])


def attach(service: Service, cluster: str, policy_id: str) -> None:
    reply = service.api.call("POST", f"/clusters/{cluster}/actions", {"policy_attach": {"policy_id": policy_id}})
    assert reply.status == 202, reply.body
    service.until(lambda: service.last_action(cluster), lambda action: action["status"] == "SUCCEEDED")


def latest(service: Service, cluster: str) -> dict[str, Any]:
    return dict(next(iter(service.api.get(f"/clusters/{cluster}/scaling-decisions?sort=at:desc&limit=1")), {}))


@pytest.mark.integration
def test_what_containers_use_and_tell_makes_them_more(service: Service) -> None:
    profile = service.profile(
        "sh", "-c", BUSY, cpu={"limit": 0.1, "reservation": 0.05}, memory={"limit": "64m"}, tmpfs=["/tmp"]
    )
    cluster = service.active_cluster(profile)
    attach(service, cluster, policy(service, max=3, targets=TARGETS))
    service.until(lambda: len(service.members(cluster)), lambda count: count == 3)

    def known() -> dict[str, float | None]:
        reasons = latest(service, cluster)["reasons"]
        return {one["data"]["metric"]: one["data"]["figure"] for one in reasons if one["kind"] in ("target", "unknown")}

    def of_three(found: dict[str, float | None]) -> bool:
        """Not yet those that have made it grow."""
        return len(found) == 4 and None not in found.values() and found[WAITING] == 3.0

    figures = service.until(known, of_three)
    assert 50 < (figures["cpu"] or 0) < 150, "of a tenth of a core"
    assert 0 < (figures["memory"] or 0) < 50
    assert (figures["network_in"] or 0.0) >= 0
    name = urllib.parse.quote(WAITING)
    history = service.api.get(f"/clusters/{cluster}/metrics?name={name}")
    assert {one["value"] for one in history} <= {9.0, None} and 9.0 in {one["value"] for one in history}
    told = spinney(service, "autoscale", "explain", cluster)
    assert told.returncode == 0 and "waiting (scraped) of the whole cluster is 9" in told.stdout, told
    tested = spinney(service, "autoscale", "backtest", "--cluster", cluster, "--policy", policy(
        service, max=3, targets=[{"metric": "memory", "target": 50}]
    ), "-o", "json")  # fmt: skip
    assert tested.returncode == 0 and json.loads(tested.stdout)["evaluations"] >= 1, tested
