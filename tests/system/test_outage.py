"""A Docker engine that goes away, for a while or in the middle of work, and what is its own and what is not."""

from __future__ import annotations

from collections import Counter

from system.conftest import Outpost
from system.docker_side import DEPLOYMENT, GENERATION, NODE, PROJECT
from system.running import fresh, spinney


def test_a_host_that_is_gone_is_suspect_and_what_was_forgotten_there_is_reaped_later(outpost: Outpost) -> None:
    service, docker = outpost.service, outpost.service.docker
    profile = service.profile()
    doomed, kept = service.active_cluster(profile, 2), service.active_cluster(profile, 1)
    outpost.engine.stop()
    host = service.until_host_is("suspect")
    assert host["state_reason"]
    refused = service.api.call("GET", f"/nodes/{service.members(doomed)[0]['id']}/stats")
    assert refused.status == 503
    assert "answer" in refused.fault or "reach" in refused.fault

    said = spinney(service, "cluster", "delete", "--force", "--wait", doomed)
    assert said.returncode == 0, said.stderr
    assert service.api.call("GET", f"/clusters/{doomed}").status == 404

    waiting = service.cluster(profile)
    (node,) = service.until(lambda: service.members(waiting))
    service.until(lambda: service.api.get(f"/nodes/{node['id']}")["status_reason"], lambda why: "suspect" in why)

    outpost.engine.start()
    service.until_host_is("ready")
    service.until_cluster_is("ACTIVE", kept)
    service.until_cluster_is("ACTIVE", waiting)
    owners = {service.members(kept)[0]["id"], node["id"]}
    found = service.until(docker.ours, lambda seen: {c["Labels"][NODE] for c in seen} == owners)
    assert [c["State"] for c in found] == ["running", "running"]


def test_a_docker_engine_that_crashes_while_a_cluster_is_made(outpost: Outpost) -> None:
    service, docker = outpost.service, outpost.service.docker
    cluster = service.cluster(service.profile(), 6)
    service.until(docker.ours, lambda seen: len(seen) >= 2)
    outpost.engine.kill()
    assert service.api.get(f"/clusters/{cluster}")["status"] == "CREATING"
    outpost.engine.start()
    service.until_cluster_is("ACTIVE", cluster)
    members = service.members(cluster)
    assert [node["status"] for node in members] == ["ACTIVE"] * 6
    owned = service.until(docker.ours, lambda seen: len(seen) == 6)
    assert Counter(c["Labels"][NODE] for c in owned) == Counter(node["id"] for node in members)
    service.until(docker.ours, lambda seen: {c["State"] for c in seen} == {"running"})
    assert {c["Id"] for c in docker.ours()} == {node["physical_id"] for node in service.members(cluster)}


def test_what_bears_our_label_and_no_row_owns_is_removed_and_nothing_else(outpost: Outpost) -> None:
    service, docker = outpost.service, outpost.service.docker
    (node,) = service.members(service.active_cluster(service.profile()))
    ours = {DEPLOYMENT: docker.deployment, PROJECT: "default", GENERATION: "1"}
    orphan = docker.run(fresh("orphan"), labels={**ours, NODE: "00000000-0000-4000-8000-000000000000"})
    # An older generation of a node that lives.
    twin = docker.run(fresh("twin"), labels={**ours, NODE: node["id"], GENERATION: "0"})
    foreign = [docker.run(fresh("foreign"), labels=labels) for labels in ({}, {**ours, DEPLOYMENT: "another"})]
    try:
        outpost.engine.kill()  # a gap in its events makes the service look
        outpost.engine.start()
        service.until(docker.ours, lambda seen: not {orphan, twin} & {c["Id"] for c in seen})
        assert [docker.inspect(one)["Config"]["Labels"].get(PROJECT) for one in foreign] == [None, "default"]
        service.until_node_is("ACTIVE", node["id"])
        assert [c["Id"] for c in docker.of_node(node["id"])] == [node["physical_id"]]
    finally:
        for one in foreign:
            docker.remove(one)


def test_a_deletion_on_a_host_that_is_gone_says_so_and_ends_when_the_host_is_back(outpost: Outpost) -> None:
    service = outpost.service
    node = service.until_node_is("ACTIVE", service.node(service.profile()))["id"]
    outpost.engine.stop()
    service.until_host_is("suspect")
    action = service.api.call("DELETE", f"/nodes/{node}").headers["location"].rpartition("/")[2]
    told = service.until(lambda: service.api.get(f"/actions/{action}")["status_reason"], lambda why: "answer" in why)
    assert "check that it and its Docker engine are up" in told
    assert service.api.call("GET", f"/nodes/{node}").status == 200
    outpost.engine.start()
    assert service.finished(action)["status"] == "SUCCEEDED"
    assert service.api.call("GET", f"/nodes/{node}").status == 404
