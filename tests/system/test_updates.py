"""Updates on a real Docker engine: what a container may use is changed while it runs."""

from __future__ import annotations

from system.running import Service, spinney


def test_what_a_container_may_use_is_changed_while_it_runs_and_back(service: Service) -> None:
    first = service.profile("sleep", "1000", memory="64m", cpu=0.25)
    cluster = service.active_cluster(first, 2)
    before = {node["id"]: node["physical_id"] for node in service.members(cluster)}
    started = {one: service.docker.inspect(one)["State"]["StartedAt"] for one in before.values()}
    wider = service.profile("sleep", "1000", memory="96m", cpu=0.5, restart_policy="on-failure:3")
    planned = service.api.call("POST", f"/clusters/{cluster}/plan", {"update": {"profile_id": wider}}).body["plan"]
    assert {step["manner"] for step in planned["steps"]} == {"in-place"}

    updated = service.api.call("PATCH", f"/clusters/{cluster}", {"cluster": {"profile_id": wider}})
    service.finished(updated.headers["location"].rpartition("/")[2])
    assert {node["id"]: node["physical_id"] for node in service.members(cluster)} == before
    for container in before.values():
        seen = service.docker.inspect(container)
        config = seen["HostConfig"]
        assert (config["Memory"], config["NanoCpus"]) == (96 << 20, 500_000_000)
        assert config["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 3}
        assert seen["State"]["StartedAt"] == started[container]

    back = spinney(service, "cluster", "rollback", cluster, "--wait")
    assert back.returncode == 0, back.stderr
    assert {node["physical_id"] for node in service.members(cluster)} == set(before.values())
    assert {service.docker.inspect(one)["HostConfig"]["Memory"] for one in before.values()} == {64 << 20}
    rows = service.api.get(f"/clusters/{cluster}/revisions")
    assert [(row["number"], row["reason"]) for row in rows] == [(3, "rollback to 1"), (2, "update"), (1, "created")]
