"""What happens to containers behind the service's back, and what it does about it."""

from __future__ import annotations

from typing import Any

from system.docker_side import GENERATION
from system.running import Service, fresh

HEALTH = {"interval": 1, "timeout": 1, "retries": 1}


def _only(service: Service, cluster: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The only member and its container."""
    (node,) = service.members(cluster)
    (container,) = service.docker.of_node(node["id"])
    return node, container


def test_a_killed_container_is_started_again(service: Service) -> None:
    cluster = service.active_cluster(service.profile())
    node, before = _only(service, cluster)
    started = service.docker.inspect(before["Id"])["State"]["StartedAt"]
    service.docker.kill(before["Id"])
    service.until(
        lambda: service.docker.inspect(before["Id"])["State"]["StartedAt"], lambda at: at != started, seconds=8
    )
    service.until_cluster_is("ACTIVE", cluster)
    healed, after = _only(service, cluster)
    assert after["Id"] == before["Id"] == healed["physical_id"]
    assert after["State"] == "running"
    assert healed["data"]["placement"]["generation"] == node["data"]["placement"]["generation"]
    seen = {event["action"]: event["status_reason"] for event in service.api.get(f"/events?oid={node['id']}")}
    assert "killed" in seen["CONTAINER_ENDED"]


def test_a_removed_container_is_made_anew_as_another_generation(service: Service) -> None:
    cluster = service.active_cluster(service.profile())
    node, before = _only(service, cluster)
    service.docker.remove(before["Id"])
    healed = service.until(lambda: service.members(cluster)[0], lambda n: n["physical_id"] not in (None, before["Id"]))
    service.until_cluster_is("ACTIVE", cluster)
    after = _only(service, cluster)[1]
    assert healed["id"] == node["id"]
    assert int(after["Labels"][GENERATION]) == int(before["Labels"][GENERATION]) + 1
    assert after["Labels"][GENERATION] == str(healed["data"]["placement"]["generation"])
    assert service.docker.state(after["Id"]) == "running"


def test_a_container_paused_by_somebody_else_goes_on(service: Service) -> None:
    cluster = service.active_cluster(service.profile())
    _, container = _only(service, cluster)
    service.docker.pause(container["Id"])
    service.until(lambda: service.docker.state(container["Id"]), lambda state: state == "running", seconds=12)
    service.until_cluster_is("ACTIVE", cluster)


def test_an_unhealthy_container_is_restarted(service: Service) -> None:
    check = {"test": ["CMD", "test", "!", "-e", "/tmp/sick"], **HEALTH}
    # Whatever made it sick is gone once it starts again.
    cluster = service.active_cluster(service.profile("sh", "-c", "rm -f /tmp/sick; sleep 600", healthcheck=check))
    node, container = _only(service, cluster)
    started = service.docker.inspect(container["Id"])["State"]["StartedAt"]
    assert service.docker.execute(container["Id"], "touch", "/tmp/sick")[0] == 0
    service.until(lambda: service.docker.inspect(container["Id"])["State"]["StartedAt"], lambda at: at != started)
    service.until_cluster_is("ACTIVE", cluster)
    seen = {event["action"]: event["status_reason"] for event in service.api.get(f"/events?oid={node['id']}")}
    assert "health check" in seen["CONTAINER_UNHEALTHY"]


def test_power_states_that_the_user_wants_are_left_alone(service: Service) -> None:
    # The second member shows that healing has looked at this host meanwhile.
    cluster = service.active_cluster(service.profile(), 2)
    subject, witness = service.members(cluster)
    container, other = subject["physical_id"], witness["physical_id"]
    for operation, state in (("stop", "exited"), ("start", "running"), ("pause", "paused"), ("unpause", "running")):
        action = service.finished(service.api.act(f"/nodes/{subject['id']}/ops", **{operation: {}}))
        assert action["status"] == "SUCCEEDED", action
        assert service.docker.state(container) == state
        if state in ("exited", "paused"):
            _kill_and_see_healed(service, other)
            assert service.docker.state(container) == state
            details = service.api.get(f"/nodes/{subject['id']}?show_details=true")["details"]
            assert (details["status"], details["container"]["state"]) == ("ACTIVE", state)
    assert service.until_cluster_is("ACTIVE", cluster)
    assert len(service.docker.ours()) == 2


def _kill_and_see_healed(service: Service, container: str) -> None:
    started = service.docker.inspect(container)["State"]["StartedAt"]
    service.docker.kill(container)
    service.until(lambda: service.docker.inspect(container)["State"]["StartedAt"], lambda at: at != started)


def test_without_self_healing_a_dead_member_is_told_and_left(service: Service) -> None:
    cluster = service.active_cluster(service.profile(), 2, config={"spinney.self_healing": False})
    victim, other = service.members(cluster)
    service.docker.kill(victim["physical_id"])
    shown = service.until_node_is("ERROR", victim["id"])
    assert "killed (exit code 137)" in shown["status_reason"]
    assert "1 active nodes" in service.until_cluster_is("WARNING", cluster)["status_reason"]
    assert service.docker.state(victim["physical_id"]) == "exited"
    assert service.docker.state(other["physical_id"]) == "running"
    assert service.finished(service.api.act(f"/clusters/{cluster}/actions", recover={}))["status"] == "SUCCEEDED"
    service.until_cluster_is("ACTIVE", cluster)


def test_containers_of_others_are_never_touched(service: Service) -> None:
    docker = service.docker
    # One has nothing of ours, one is of another deployment, one says that it is ours and bears a node's name alone.
    labels: tuple[dict[str, str], ...] = ({}, {"io.spinney.deployment": "another"}, {"io.spinney.node": "stranger"})
    foreign = [docker.run(fresh("foreign"), labels=one) for one in labels]
    try:
        cluster = service.active_cluster(service.profile())
        docker.kill(foreign[0])
        _kill_and_see_healed(service, _only(service, cluster)[0]["physical_id"])
        service.delete("cluster", cluster)
        assert [docker.state(one) for one in foreign] == ["exited", "running", "running"]
    finally:
        for one in foreign:
            docker.remove(one)
