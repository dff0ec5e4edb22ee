"""Members behind a load balancer of the service's own, on several real hosts, under a load that never asks twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from balancer_image import balancer_archive
from system.fleet import Fleet, fleet_of
from system.load import Load
from testbed.bed import Bed

pytestmark = pytest.mark.integration

SERVE = "mkdir -p /tmp/www && hostname >/tmp/www/index.html && exec httpd -f -p 80 -h /tmp/www"
PORT = 8088


@pytest.fixture(scope="module")
def standing(standing_bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("balanced")
    archive = folder / "balancer.tar"
    archive.write_bytes(balancer_archive())
    more = f"\n[balancer]\nimage_archive = {archive}\ndrain_time = 10\nslots = 4\nmemory = {64 * 2**20}\n"
    with fleet_of(standing_bed, folder, more) as fleet:
        yield fleet
    standing_bed.mend()


@pytest.fixture
def fleet(standing: Fleet) -> Iterator[Fleet]:
    yield standing
    standing.use_every_host()
    standing.clear()
    standing.until(standing.containers, lambda found: not any(found.values()))


def balanced(fleet: Fleet, size: int) -> tuple[str, str]:
    """A cluster of web servers behind a load balancer, and its policy."""
    cluster = fleet.active_cluster(fleet.profile("sh", "-c", SERVE, ports=["80"], memory="32m"), size)
    policy = fleet.policy(
        {
            "type": "senlin.policy.loadbalance",
            "version": "1.3",
            "properties": {"pool": {"subnet": "-"}, "vip": {"subnet": "-", "protocol_port": PORT}},
        }
    )
    action = fleet.api.act(f"/clusters/{cluster}/actions", policy_attach={"policy_id": policy})
    assert fleet.finished(action)["status"] == "SUCCEEDED"
    until_balanced(fleet, cluster, size)
    return cluster, policy


def until_balanced(fleet: Fleet, cluster: str, size: int) -> dict[str, Any]:
    def look() -> dict[str, Any]:
        (found,) = fleet.api.get(f"/clusters/{cluster}/balancers")
        return dict(found)

    def done(found: dict[str, Any]) -> bool:
        return [one["state"] for one in found["members"]] == ["in"] * size and found["state"] == "active"

    return fleet.until(look, done)


def url(fleet: Fleet, cluster: str, policy: str) -> str:
    address = fleet.api.get(f"/clusters/{cluster}")["data"]["loadbalancers"][policy]["vip_address"]
    return f"http://{address}:{PORT}/"


def scaled(fleet: Fleet, cluster: str, size: int) -> None:
    resize = {"adjustment_type": "EXACT_CAPACITY", "number": size}
    done = fleet.finished(fleet.api.act(f"/clusters/{cluster}/actions", resize=resize))
    assert done["status"] == "SUCCEEDED", done
    until_balanced(fleet, cluster, size)


def updated(fleet: Fleet, cluster: str) -> None:
    profile = fleet.profile("sh", "-c", SERVE, ports=["80"], memory="32m", environment={"EDITION": "2"})
    reply = fleet.api.call("PATCH", f"/clusters/{cluster}", {"cluster": {"profile_id": profile}})
    assert reply.status == 202, reply.body
    done = fleet.finished(reply.headers["location"].rpartition("/")[2])
    assert done["status"] == "SUCCEEDED", done


def test_no_request_fails_while_members_come_and_go_and_hosts_are_drained(fleet: Fleet) -> None:
    cluster, policy = balanced(fleet, 3)
    (balancer,) = fleet.api.get(f"/clusters/{cluster}/balancers")
    node = fleet.api.get(f"/nodes/{balancer['node_id']}")
    assert (node["role"], node["cluster_id"]) == ("balancer", "")
    with Load(url(fleet, cluster, policy), rate=200) as load:
        scaled(fleet, cluster, 10)  # more than there are places for: it begins anew
        scaled(fleet, cluster, 4)
        (first, *_) = fleet.members(cluster)
        restarted = fleet.finished(fleet.api.act(f"/nodes/{first['id']}/ops", restart={}))
        assert restarted["status"] == "SUCCEEDED"
        until_balanced(fleet, cluster, 4)
        updated(fleet, cluster)
        until_balanced(fleet, cluster, 4)
        elsewhere = [m["data"]["placement"]["host_name"] for m in fleet.members(cluster)]
        away = next(name for name in elsewhere if name != node["data"]["placement"]["host_name"])
        fleet.tell("host", "drain", away, "--wait")
        until_balanced(fleet, cluster, 4)
    assert load.result["failed"] == 0 and load.result["sent"] > 500, load.result
    assert load.result["answers"] >= 10, load.result
    (balancer,) = fleet.api.get(f"/clusters/{cluster}/balancers")
    assert balancer["requests"] > 500 and balancer["state"] == "active"
