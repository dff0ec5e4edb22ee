"""``--wait`` of every command that has it: what was asked for is there when the command ends.

The retired client looks every five seconds, so several of them run side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import pytest

from clients.oracle import Oracle, policy
from clients.shell import Openstack

AFFINITY = policy("senlin.policy.affinity")


def _create(openstack: Openstack, oracle: Oracle) -> None:
    name = oracle.name("waited")
    made = openstack.json(f"cluster create --profile {oracle.profile()['id']} --desired-capacity 1 --wait {name}")
    assert made["status"] == "ACTIVE" and len(oracle.containers(made["id"])) == 1


def _delete(openstack: Openstack, oracle: Oracle) -> None:
    cluster = oracle.cluster(1)
    openstack.run(f"cluster delete --force --wait {cluster['id']}")
    assert oracle.gone(f"clusters/{cluster['id']}") and oracle.containers(cluster["id"]) == {}


def _update(openstack: Openstack, oracle: Oracle) -> None:
    cluster, name = oracle.cluster(1), oracle.name("waited")
    shown = openstack.run(f"cluster update --name {name} --wait {cluster['id']}").table()
    assert shown["name"] == oracle.get(f"clusters/{cluster['id']}")["name"] == name


def _size(command: str, size: int) -> Callable[[Openstack, Oracle], None]:
    def run(openstack: Openstack, oracle: Oracle) -> None:
        cluster = oracle.cluster(2)
        ran = openstack.run(f"cluster {command} --wait {cluster['name']}")
        assert ran.out.startswith("Request accepted by action: ")
        assert ran.table()["desired_capacity"] == str(size)
        assert len(oracle.containers(cluster["id"])) == size

    return run


def _on_cluster(command: str) -> Callable[[Openstack, Oracle], None]:
    def run(openstack: Openstack, oracle: Oracle) -> None:
        cluster = oracle.cluster(1)
        openstack.run(f"cluster {command} --wait {cluster['name']}")
        newest = oracle.get(f"actions?target={cluster['id']}&sort=created_at:desc&limit=1")[0]
        assert (newest["status"], newest["action"] != "CLUSTER_CREATE") == ("SUCCEEDED", True)

    return run


def _members(openstack: Openstack, oracle: Oracle) -> None:
    cluster, loose = oracle.cluster(1), oracle.node()
    openstack.run(f"cluster members add --nodes {loose['id']} --wait {cluster['name']}")
    assert loose["id"] in oracle.get(f"clusters/{cluster['id']}")["nodes"]
    openstack.run(f"cluster members del --nodes {loose['id']} --wait {cluster['name']}")
    assert oracle.get(f"clusters/{cluster['id']}")["nodes"] == cluster["nodes"]


def _replace(openstack: Openstack, oracle: Oracle) -> None:
    cluster, loose = oracle.cluster(1), oracle.node()
    openstack.run(f"cluster members replace --nodes {cluster['nodes'][0]}={loose['id']} --wait {cluster['name']}")
    assert oracle.get(f"clusters/{cluster['id']}")["nodes"] == [loose["id"]]


def _policy(openstack: Openstack, oracle: Oracle) -> None:
    cluster, made = oracle.cluster(1), oracle.make("policy", name=oracle.name("apart"), spec=AFFINITY)
    openstack.run(f"cluster policy attach --policy {made['name']} --wait {cluster['name']}")
    assert [one["policy_id"] for one in oracle.get(f"clusters/{cluster['id']}/policies")] == [made["id"]]
    openstack.run(f"cluster policy detach --policy {made['name']} --wait {cluster['name']}")
    assert oracle.get(f"clusters/{cluster['id']}/policies") == []


STORIES = (
    (_create, _delete, _update),
    (_size("resize --capacity 3", 3), _size("expand", 3), _size("shrink", 1)),
    (_on_cluster("check"), _on_cluster("recover"), _on_cluster("op --operation restart")),
    (_members, _replace),
    (_policy,),
)


def test_waiting(openstack: Openstack, another_openstack: Callable[[], Openstack], oracle: Oracle) -> None:
    def tell(stories: Sequence[Callable[[Openstack, Oracle], None]]) -> None:
        with another_openstack() as one:
            for story in stories:
                story(one, oracle)

    together = [tuple(chain(*STORIES))] if openstack.is_ours else STORIES
    with ThreadPoolExecutor(len(together)) as pool:
        for told in [pool.submit(tell, stories) for stories in together]:
            told.result()


def test_what_fails_is_told(openstack: Openstack, oracle: Oracle) -> None:
    if not openstack.is_ours:
        pytest.skip("the retired client shows the cluster, however the action ended")
    cluster = oracle.cluster(0)
    two = [oracle.make("policy", name=oracle.name("twin"), spec=AFFINITY) for _ in range(2)]
    openstack.run(f"cluster policy attach --policy {two[0]['id']} --wait {cluster['name']}")
    ran = openstack.run(f"cluster policy attach --policy {two[1]['id']} --wait {cluster['name']}", 1)
    assert "FAILED" in ran.err and "at most one policy" in ran.err
