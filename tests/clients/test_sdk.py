"""openstacksdk's ``conn.clustering``, unmodified, against the whole service: the referee of Senlin's part of the wire."""

from __future__ import annotations

from typing import Any

import pytest
from openstack import exceptions

from clients.oracle import Oracle, container, policy, until
from clients.sdk import active, finished
from clients.service import Service

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")


@pytest.fixture
def profile(cloud: Any, request: pytest.FixtureRequest) -> Any:
    return cloud.create_profile(name=request.node.name[:60], spec=container())


@pytest.fixture
def cluster(cloud: Any, profile: Any) -> Any:
    made = cloud.create_cluster(name=profile.name, profile_id=profile.name, desired_capacity=2, max_size=5)
    return active(cloud, made.id)


def test_what_the_service_says_of_itself(cloud: Any) -> None:
    assert cloud.get_build_info().api == {"revision": "1.0"}
    (service,) = list(cloud.services())
    assert (service.state, service.status) == ("up", "enabled")


def test_types(cloud: Any) -> None:
    assert [kind.name for kind in cloud.profile_types()] == ["container.dockerinc.docker"]
    shown = cloud.get_profile_type("container.dockerinc.docker-1.0")
    assert shown.schema["image"]["type"] == "String"
    assert "restart" in cloud.list_profile_type_operations("container.dockerinc.docker-1.0")["operations"]
    parts = "affinity batch deletion health loadbalance region_placement scaling zone_placement"
    assert {kind.name for kind in cloud.policy_types()} == {f"senlin.policy.{part}" for part in parts.split()}
    assert cloud.get_policy_type("spinney.policy.placement-1.0").schema["strategy"]["default"] == "spread"
    with pytest.raises(exceptions.NotFoundException):
        cloud.get_policy_type("senlin.policy.bogus-1.0")


def test_profiles(cloud: Any, profile: Any) -> None:
    assert cloud.get_profile(profile.id).spec == container()
    assert cloud.find_profile(profile.name, ignore_missing=False).id == profile.id
    assert cloud.validate_profile(spec=container()).name == "validated_profile"
    changed = cloud.update_profile(profile, name="other-name", metadata={"a": "b"})
    assert (changed.name, changed.metadata) == ("other-name", {"a": "b"})
    assert profile.id in [one.id for one in cloud.profiles(sort="name:desc", limit=1)]
    cloud.delete_profile(profile, ignore_missing=False)
    with pytest.raises(exceptions.NotFoundException, match="could not be found"):
        cloud.get_profile(profile.id)
    with pytest.raises(exceptions.BadRequestException, match=r"properties\.bogus"):
        cloud.create_profile(name="x", spec=container(bogus=1))


def test_a_cluster_lives(cloud: Any, profile: Any, oracle: Oracle) -> None:
    made = cloud.create_cluster(name="lives", profile_id=profile.id, min_size=1, max_size=4, desired_capacity=2)
    assert made.status == "INIT" and made.location
    shown = active(cloud, "lives")
    assert len(shown.node_ids) == 2 and shown.created_at
    containers = oracle.containers(made.id)
    assert containers.keys() == set(shown.node_ids) and {one.state for one in containers.values()} == {"running"}
    for node in cloud.nodes(cluster_id="lives"):
        details = cloud.get_node(node.id, details=True).details
        assert details["status"] == "ACTIVE" and details["container"]["state"] == "running"
    updated = cloud.update_cluster(shown, name="lives-on", metadata={"k": "v"})
    assert updated.id == made.id
    until(lambda: cloud.find_cluster("lives-on"))
    assert cloud.get_cluster("lives-on").metadata == {"k": "v"}
    assert any(event.obj_id == made.id for event in cloud.events(cluster_id=made.id))
    with pytest.raises(exceptions.ConflictException):
        cloud.delete_profile(profile)
    action = cloud.delete_cluster("lives-on")
    assert cloud.get_action(action.id).action == "CLUSTER_DELETE"
    until(lambda: cloud.find_cluster("lives-on", ignore_missing=True) is None)
    assert oracle.containers(made.id) == {}


def test_sizes(cloud: Any, cluster: Any, oracle: Oracle) -> None:
    assert finished(cloud, cloud.scale_out_cluster(cluster, 2)).status == "SUCCEEDED"
    assert len(active(cloud, cluster).node_ids) == len(oracle.containers(cluster.id)) == 4
    assert finished(cloud, cloud.scale_in_cluster(cluster.id)).status == "SUCCEEDED"
    assert len(active(cloud, cluster).node_ids) == len(oracle.containers(cluster.id)) == 3
    resize = {"adjustment_type": "EXACT_CAPACITY", "number": 1, "min_size": 0, "strict": True}
    assert finished(cloud, cloud.resize_cluster(cluster, **resize)).status == "SUCCEEDED"
    assert len(active(cloud, cluster).node_ids) == len(oracle.containers(cluster.id)) == 1
    refused = cloud.resize_cluster(cluster, adjustment_type="EXACT_CAPACITY", number=9)
    assert "action" not in refused and refused["code"] == 400
    assert "max_size (5)" in refused["error"]["message"]


def test_members(cloud: Any, cluster: Any, profile: Any, oracle: Oracle) -> None:
    loose = cloud.create_node(name="loose", profile_id=profile.id)
    until(lambda: cloud.get_node(loose.id).status == "ACTIVE")
    assert cloud.get_node(loose.id).index == -1 and cloud.get_node(loose.id).cluster_id == ""
    joined = finished(cloud, cloud.add_nodes_to_cluster(cluster, [loose.id]))
    assert joined.status == "SUCCEEDED" and joined.outputs["nodes_added"] == [loose.id]
    assert loose.id in cloud.get_cluster(cluster).node_ids
    left = finished(cloud, cloud.remove_nodes_from_cluster(cluster, [loose.id], destroy_after_deletion=False))
    assert left.status == "SUCCEEDED"
    assert cloud.get_node(loose.id).cluster_id == ""
    old = cloud.get_cluster(cluster).node_ids[0]
    replaced = finished(cloud, cloud.replace_nodes_in_cluster(cluster, {old: loose.id}))
    assert replaced.status == "SUCCEEDED"
    assert loose.id in cloud.get_cluster(cluster).node_ids and cloud.get_node(old).cluster_id == ""
    assert {one["id"] for one in oracle.members(cluster.id)} == set(cloud.get_cluster(cluster).node_ids)
    cloud.delete_node(old)
    until(lambda: cloud.find_node(old, ignore_missing=True) is None)


def test_health_and_operations(cloud: Any, cluster: Any, oracle: Oracle) -> None:
    assert finished(cloud, cloud.check_cluster(cluster)).status == "SUCCEEDED"
    assert finished(cloud, cloud.recover_cluster(cluster, check=True)).status == "SUCCEEDED"
    assert finished(cloud, cloud.perform_operation_on_cluster(cluster, "restart", wait_time="1")).status == "SUCCEEDED"
    collected = {one.node_id: one.attr_value for one in cloud.collect_cluster_attrs(cluster.id, "details.status")}
    assert collected == dict.fromkeys(cloud.get_cluster(cluster).node_ids, "ACTIVE")
    node = cloud.get_cluster(cluster).node_ids[0]
    assert finished(cloud, cloud.check_node(node)).status == "SUCCEEDED"
    assert finished(cloud, cloud.perform_operation_on_node(node, "pause")).status == "SUCCEEDED"
    assert cloud.get_node(node, details=True).details["container"]["state"] == oracle.container(node).state == "paused"
    assert finished(cloud, cloud.perform_operation_on_node(node, "unpause")).status == "SUCCEEDED"
    before = oracle.container(node).id
    assert finished(cloud, cloud.recover_node(node, operation="RECREATE")).status == "SUCCEEDED"
    assert cloud.get_node(node).physical_id == oracle.container(node).id != before
    refused = cloud.perform_operation_on_node(node, "explode")
    assert refused["code"] == 400


def test_nodes(cloud: Any, profile: Any, oracle: Oracle) -> None:
    made = cloud.create_node(name="single", profile_id=profile.name, role="master", metadata={"a": "b"})
    until(lambda: cloud.get_node("single").status == "ACTIVE")
    assert cloud.find_node(made.id[:8]).id == made.id and oracle.container(made.id).state == "running"
    cloud.update_node(made, name="renamed", tainted=True)
    until(lambda: cloud.find_node("renamed", ignore_missing=True))
    shown = cloud.get_node("renamed")
    assert (shown.role, shown.metadata, shown.tainted, shown.profile_name) == ("master", {"a": "b"}, True, profile.name)
    action = finished(cloud, cloud.delete_node("renamed", force_delete=True))
    assert action.status == "SUCCEEDED"


def test_adopting(cloud: Any, service: Service) -> None:
    preview = cloud.adopt_node(preview=True, identity="unix:///spare", type="host.docker-1.0")
    assert preview["node_profile"]["node_preview"]["properties"]["endpoint"] == "unix:///spare"
    node = cloud.adopt_node(identity="unix:///spare", type="host.docker-1.0", name="spare")
    assert (node.status, node.name) == ("ACTIVE", "spare")
    assert node.physical_id and "spare" in service.hosts.engines


def test_paging_stops(cloud: Any, cluster: Any) -> None:
    finished(cloud, cloud.scale_out_cluster(cluster, 3))
    names = [node.name for node in cloud.nodes(cluster_id=cluster.id, limit=2, sort="name:asc")]
    assert names == sorted(names) and len(names) == 5
    assert len(list(cloud.actions(limit=3))) > 3


def test_actions(cloud: Any, cluster: Any) -> None:
    found = [action for action in cloud.actions(target_id=cluster.id) if action.target_id == cluster.id]
    assert [action.action for action in found] == ["CLUSTER_CREATE"]
    (creation,) = found
    assert creation.start_at < creation.end_at and creation.depends_on == [] and creation.depended_by == []
    assert cloud.get_action(creation.id).cluster_id == cluster.id
    with pytest.raises(exceptions.ConflictException):
        cloud.update_action(creation.id, status="CANCELLED")


def test_policies(cloud: Any) -> None:
    asked = policy("senlin.policy.zone_placement", zones=[{"name": "a"}, {"name": "b", "weight": 50}])
    made = cloud.create_policy(name="zones", spec=asked)
    assert (made.type, made.spec) == ("senlin.policy.zone_placement-1.0", asked)
    assert cloud.get_policy("zones").id == cloud.find_policy(made.id[:8], ignore_missing=False).id == made.id
    assert [one.id for one in cloud.policies(name="zones", type=made.type, sort="name:asc", limit=1)] == [made.id]
    assert cloud.validate_policy(spec=asked).name == "validated_policy"
    assert cloud.update_policy(made, name="weighed").name == "weighed"
    with pytest.raises(exceptions.HttpException) as raised:
        cloud.create_policy(name="x", spec=policy("senlin.policy.zone_placement", bogus=1))
    assert raised.value.status_code == 500 and "properties.bogus" in str(raised.value)
    cloud.delete_policy("weighed", ignore_missing=False)
    with pytest.raises(exceptions.NotFoundException):
        cloud.get_policy(made.id)


def test_a_policy_on_a_cluster(cloud: Any, cluster: Any) -> None:
    made = cloud.create_policy(name="apart", spec=policy("senlin.policy.affinity"))
    assert finished(cloud, cloud.attach_policy_to_cluster(cluster, made.id, enabled=True)).status == "SUCCEEDED"
    (bound,) = list(cloud.cluster_policies(cluster, is_enabled=True))
    assert (bound.policy_id, bound.policy_name, bound.policy_type) == (made.id, "apart", "senlin.policy.affinity-1.0")
    assert cloud.get_cluster_policy("apart", cluster.id).is_enabled
    assert finished(cloud, cloud.update_cluster_policy(cluster, "apart", enabled=False)).status == "SUCCEEDED"
    assert not cloud.get_cluster_policy(made.id, cluster.id).is_enabled
    assert list(cloud.cluster_policies(cluster, is_enabled=True)) == []
    with pytest.raises(exceptions.ConflictException):
        cloud.delete_policy(made)
    twin = cloud.create_policy(name="twin", spec=made.spec)
    failed = finished(cloud, cloud.attach_policy_to_cluster(cluster, "twin"))
    assert failed.status == "FAILED" and "at most one policy" in failed.status_reason
    assert finished(cloud, cloud.detach_policy_from_cluster(cluster, made.id)).status == "SUCCEEDED"
    assert list(cloud.cluster_policies(cluster)) == []
    with pytest.raises(exceptions.NotFoundException, match="is not attached"):
        cloud.get_cluster_policy("apart", cluster.id)
    for one in (made, twin):
        cloud.delete_policy(one, ignore_missing=False)


def test_bindings_and_metadata_that_do_not_exist(cloud: Any, cluster: Any) -> None:
    assert list(cloud.cluster_policies(cluster)) == []
    with pytest.raises(exceptions.NotFoundException):
        cloud.get_cluster_policy("nope", cluster)
    assert cloud.attach_policy_to_cluster(cluster, "nope")["code"] == 400
    assert cloud.detach_policy_from_cluster(cluster, "nope")["code"] == 400
    assert cloud.update_cluster_policy(cluster, "nope", enabled=True)["code"] == 400


def test_waiting_as_the_sdk_waits(cloud: Any, profile: Any) -> None:
    made = cloud.create_cluster(name="waited", profile_id=profile.id, desired_capacity=1)
    found = cloud.wait_for_status(cloud.get_cluster(made.id), "ACTIVE", ["ERROR"], interval=0.1, wait=20)
    assert found.status == "ACTIVE"
    cloud.delete_cluster("waited")
    cloud.wait_for_delete(found, interval=0.1, wait=20)


def test_a_body_of_two_mebibytes_and_names_with_odd_characters(service: Service, connection: Any, cloud: Any) -> None:
    answer = cloud.post("/clusters", json={"cluster": {"name": "x" * 2**21}})
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "RequestLimitExceeded"
    made = cloud.create_profile(name="森~林", spec=container())
    assert cloud.find_profile("森~林", ignore_missing=False).id == made.id
    assert cloud.find_profile("a b/c?d#e%", ignore_missing=True) is None
