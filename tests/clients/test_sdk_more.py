"""openstacksdk: receivers, history, errors and names that mean several things; and no method without a test."""

from __future__ import annotations

import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from openstack import exceptions
from openstack.clustering.v1._proxy import Proxy

from clients.oracle import Oracle, container
from clients.sdk import finished

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")


def test_every_method_has_a_test() -> None:
    tests = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_sdk*.py"))
    methods = [name for name, what in vars(Proxy).items() if not name.startswith("_") and callable(what)]
    assert len(methods) > 60
    assert [name for name in methods if not re.search(rf"\bcloud\.{name}\(", tests)] == []


def test_receivers(cloud: Any, oracle: Oracle) -> None:
    cluster, name = oracle.cluster(1), oracle.name("receiver")
    given = {"type": "webhook", "cluster_id": cluster["name"], "action": "CLUSTER_SCALE_OUT", "params": {"count": 2}}
    made = cloud.create_receiver(name=name, **given)
    assert oracle.get(f"receivers/{made.id}")["cluster_id"] == made.cluster_id == cluster["id"]
    assert cloud.get_receiver(made.id).params == {"count": 2}
    assert cloud.find_receiver(name, ignore_missing=False).id == made.id
    with urllib.request.urlopen(urllib.request.Request(made.channel["alarm_url"], method="POST")) as answer:
        assert answer.status == 202
    assert oracle.last_action(cluster["id"])["status"] == "SUCCEEDED"
    assert len(oracle.containers(cluster["id"])) == 3

    filters = {"type": "webhook", "action": "CLUSTER_SCALE_OUT", "cluster_id": cluster["id"], "user_id": "admin"}
    assert [one.id for one in cloud.receivers(name=name, sort="name:desc", **filters)] == [made.id]
    changed = cloud.update_receiver(made, name=f"{name}-again", params={"count": 1})
    assert oracle.get(f"receivers/{made.id}")["name"] == changed.name == f"{name}-again"
    cloud.delete_receiver(made, ignore_missing=False)
    assert oracle.gone(f"receivers/{made.id}")
    with pytest.raises(exceptions.NotFoundException):
        cloud.delete_receiver(made.id, ignore_missing=False)
    assert cloud.delete_receiver(made.id) is None
    with pytest.raises(exceptions.BadRequestException, match="nothing"):
        cloud.create_receiver(name=name, **{**given, "cluster_id": "nothing"})


def test_events(cloud: Any, oracle: Oracle) -> None:
    cluster = oracle.cluster(0)
    filters = {"obj_id": cluster["id"], "obj_type": "CLUSTER", "obj_name": cluster["name"], "level": "INFO"}
    found = list(cloud.events(action="CLUSTER_CREATE", sort="status:desc", global_project=False, **filters))
    assert [(one.status, one.obj_name) for one in found] == [("start", cluster["name"]), ("end", cluster["name"])]
    shown = cloud.get_event(found[0].id)
    assert (shown.obj_id, shown.level, shown.cluster_id) == (cluster["id"], "INFO", cluster["id"])
    assert shown.generated_at.endswith("Z")
    with pytest.raises(exceptions.NotFoundException):
        cloud.get_event("0" * 8)


def test_metadata_never_had_a_path(cloud: Any, oracle: Oracle) -> None:
    cluster = cloud.get_cluster(oracle.cluster(0)["id"])
    with pytest.raises(exceptions.NotFoundException):
        cloud.fetch_cluster_metadata(cluster)
    with pytest.raises(exceptions.NotFoundException):
        cloud.get_cluster_metadata(cluster)
    with pytest.raises(exceptions.NotFoundException):
        cloud.set_cluster_metadata(cluster, a="b")
    with pytest.raises(exceptions.NotFoundException):
        cloud.delete_cluster_metadata(cluster, ["a"])


def test_a_running_action_is_cancelled(cloud: Any, oracle: Oracle) -> None:
    host = oracle.adopt(oracle.name("slow"))
    profile = oracle.profile(host_node=host["name"])
    cluster = oracle.make("cluster", name=oracle.name("stuck"), profile_id=profile["id"], desired_capacity=1)
    (creation,) = cloud.actions(target_id=cluster["id"], action="CLUSTER_CREATE")
    cloud.update_action(creation.id, status="CANCELLED")
    assert oracle.last_action(cluster["id"])["status"] == "CANCELLED"


def test_one_name_for_two(cloud: Any, oracle: Oracle) -> None:
    name = oracle.name("twins")
    two = {oracle.cluster(0, name=name)["id"] for _ in range(2)}
    assert {one.id for one in cloud.clusters(name=name, status="ACTIVE", sort="created_at")} == two
    with pytest.raises(exceptions.DuplicateResource):
        cloud.find_cluster(name, ignore_missing=False)
    with pytest.raises(exceptions.BadRequestException):
        cloud.get_cluster(name)
    assert cloud.find_cluster("nothing", ignore_missing=True) is None
    assert cloud.find_policy("nothing", ignore_missing=True) is None
    assert cloud.find_profile("nothing", ignore_missing=True) is None
    assert cloud.find_node("nothing", ignore_missing=True) is None


def test_pages_follow_each_other(cloud: Any, oracle: Oracle) -> None:
    name = oracle.name("paged")
    made = {oracle.make("profile", name=name, spec=container())["id"] for _ in range(5)}
    found = [one.id for one in cloud.profiles(name=name, limit=2, sort="name,created_at:desc")]
    assert len(found) == 5 and set(found) == made


def test_a_profile_of_another_kind_is_put_under_a_cluster(cloud: Any, oracle: Oracle) -> None:
    cluster, other = oracle.cluster(1), oracle.profile(environment={"COLOUR": "green"})
    before = oracle.containers(cluster["id"])
    updated = cloud.update_cluster(cluster["id"], profile_id=other["id"], profile_only=True)
    assert updated.id == cluster["id"]
    assert oracle.last_action(cluster["id"])["action"] == "CLUSTER_UPDATE"
    assert oracle.get(f"clusters/{cluster['id']}")["profile_id"] == other["id"]
    assert {one.id for one in oracle.containers(cluster["id"]).values()} == {one.id for one in before.values()}


def test_an_update_of_the_profile_reaches_the_containers(cloud: Any, oracle: Oracle) -> None:
    cluster, other = oracle.cluster(2), oracle.profile(environment={"COLOUR": "green"})
    before = {one.id for one in oracle.containers(cluster["id"]).values()}
    cloud.update_cluster(cluster["id"], profile_id=other["name"])
    assert oracle.last_action(cluster["id"])["status"] == "SUCCEEDED"
    assert {one["profile_id"] for one in oracle.members(cluster["id"])} == {other["id"]}
    assert before.isdisjoint(one.id for one in oracle.containers(cluster["id"]).values())


def test_force(cloud: Any, oracle: Oracle) -> None:
    cluster = oracle.cluster(1)
    assert finished(cloud, cloud.delete_cluster(cluster["id"], force_delete=True)).status == "SUCCEEDED"
    assert oracle.gone(f"clusters/{cluster['id']}") and oracle.containers(cluster["id"]) == {}
    with pytest.raises(exceptions.NotFoundException):
        cloud.delete_cluster(cluster["id"], ignore_missing=False)
    with pytest.raises(exceptions.NotFoundException):
        cloud.delete_node("nothing", ignore_missing=False)


def test_waiting_for_what_does_not_come(cloud: Any, oracle: Oracle) -> None:
    cluster = cloud.get_cluster(oracle.cluster(0)["id"])
    with pytest.raises(exceptions.ResourceFailure):
        cloud.wait_for_status(cluster, "WARNING", ["ACTIVE"], 0.1, 5)
    with pytest.raises(exceptions.ResourceTimeout):
        cloud.wait_for_delete(cluster, 0.1, 0.3)
