"""openstacksdk without ``clustering_default_microversion``: it sends no version, so everything is as in 1.0."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from openstack import exceptions

from clients.oracle import Oracle, container, policy
from clients.sdk import active, connect, finished
from clients.service import Service

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")


@pytest.fixture(scope="module")
def base(service: Service, oracle: Oracle) -> Iterator[Any]:
    made = connect(service)
    yield made.clustering
    made.close()


def test_a_cluster_lives(base: Any, oracle: Oracle) -> None:
    profile = base.create_profile(name=oracle.name("old"), spec=container())
    made = base.create_cluster(name=oracle.name("old"), profile_id=profile.id, desired_capacity=1, max_size=3)
    shown = active(base, made.id)
    assert oracle.containers(made.id).keys() == set(shown.node_ids)
    assert base.get_node(shown.node_ids[0]).tainted is None  # since 1.13
    finished(base, base.scale_out_cluster(shown))
    assert len(oracle.containers(made.id)) == 2
    creation = next(iter(base.actions(target_id=made.id, action="CLUSTER_CREATE")))
    assert creation.cluster_id is None  # since 1.14
    assert finished(base, base.delete_cluster(made.id, force_delete=True)).status == "SUCCEEDED"
    assert oracle.gone(f"clusters/{made.id}")


def test_types_are_named_with_their_versions(base: Any) -> None:
    assert "container.dockerinc.docker-1.0" in [kind.name for kind in base.profile_types()]
    assert "senlin.policy.affinity-1.0" in [kind.name for kind in base.policy_types()]


def test_what_came_later_is_refused(base: Any, oracle: Oracle) -> None:
    cluster = oracle.cluster(1)
    with pytest.raises(exceptions.BadRequestException):
        base.validate_profile(spec=container())
    with pytest.raises(exceptions.BadRequestException):
        base.validate_policy(spec=policy("senlin.policy.affinity"))
    with pytest.raises(exceptions.BadRequestException):
        list(base.collect_cluster_attrs(cluster["id"], "name"))
    assert base.list_profile_type_operations("container.dockerinc.docker-1.0")["code"] == 400
    with pytest.raises(exceptions.BadRequestException):
        base.adopt_node(identity="unix:///x", type="host.docker-1.0", name="x")
    assert base.replace_nodes_in_cluster(cluster["id"], {cluster["nodes"][0]: "x"})["error"]["type"] == (
        "MethodVersionNotFound"
    )
    assert base.perform_operation_on_cluster(cluster["id"], "restart")["code"] == 400
    assert base.perform_operation_on_node(cluster["nodes"][0], "restart")["code"] == 400
    with pytest.raises(exceptions.BadRequestException):
        base.update_action(oracle.last_action(cluster["id"])["id"], status="CANCELLED")


def test_what_came_later_is_left_out(base: Any, oracle: Oracle) -> None:
    cluster, other = oracle.cluster(1), oracle.profile(environment={"COLOUR": "green"})
    (member,) = cluster["nodes"]
    removed = finished(base, base.remove_nodes_from_cluster(cluster["id"], [member], destroy_after_deletion=True))
    assert removed.status == "SUCCEEDED" and oracle.container(member).state == "running"  # since 1.4
    cluster = oracle.cluster(1)
    base.update_cluster(cluster["id"], profile_id=other["id"], profile_only=True)  # since 1.6
    assert oracle.last_action(cluster["id"])["status"] == "SUCCEEDED"
    assert [one["profile_id"] for one in oracle.members(cluster["id"])] == [other["id"]]
