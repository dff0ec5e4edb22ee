"""Logs, statistics, and what containers may do and use, as the Docker engine has it."""

from __future__ import annotations

import json
from itertools import islice

from system.running import Service, spinney

TALK = "echo out; echo err >&2; i=0; while sleep 0.2; do i=$((i+1)); echo tick $i; done"


def test_logs_of_nodes_and_clusters(service: Service) -> None:
    cluster = service.active_cluster(service.profile("sh", "-c", TALK), 2)
    first, second = service.members(cluster)
    logs = f"/nodes/{first['id']}/logs"
    text = service.until(lambda: service.api.call("GET", logs).body, lambda said: "tick 2" in (said or ""))
    assert {"out", "err", "tick 1"} <= set(text.splitlines())
    assert service.api.call("GET", f"{logs}?stdout=false").body == "err\n"
    assert "err" not in service.api.call("GET", f"{logs}?stderr=false").body.splitlines()
    assert len(service.api.call("GET", f"{logs}?tail=1").body.splitlines()) == 1
    with service.api.lines(f"{logs}?follow=true&tail=0") as lines:
        seen = [int(line.removeprefix("tick ")) for line in islice(lines, 3)]
    assert seen == [seen[0], seen[0] + 1, seen[0] + 2]

    with service.api.lines(f"/clusters/{cluster}/logs?tail=3") as lines:
        records = [json.loads(line) for line in lines]
    assert {record["node_id"] for record in records} == {first["id"], second["id"]}
    assert all(record["stream"] == "stdout" and record["line"].startswith("tick") for record in records)
    assert all(record["time"].endswith("Z") for record in records)

    service.docker.pause(second["physical_id"])
    shown = spinney(service, "logs", "--tail", "2", first["name"])
    assert (shown.returncode, len(shown.stdout.splitlines())) == (0, 2), shown


def test_the_log_of_a_member_without_a_container_says_why_and_the_rest_goes_on(service: Service) -> None:
    cluster = service.active_cluster(service.profile("sh", "-c", TALK), 2, config={"spinney.self_healing": False})
    gone, other = service.members(cluster)
    service.docker.remove(gone["physical_id"])
    service.until_node_is("ERROR", gone["id"])
    with service.api.lines(f"/clusters/{cluster}/logs?tail=1") as lines:
        records = {record["node_id"]: record for record in map(json.loads, lines)}
    assert records[gone["id"]]["error"]
    assert records[other["id"]]["line"]


def test_statistics_are_what_the_containers_use(service: Service) -> None:
    profile = service.profile(memory={"limit": "64m", "reservation": "16m"})
    cluster = service.active_cluster(profile, 2)
    samples = {sample["node_id"]: sample for sample in service.api.get(f"/clusters/{cluster}/stats")}
    assert samples.keys() == {node["id"] for node in service.members(cluster)}
    for sample in samples.values():
        assert sample["memory_limit"] == 64 * 2**20
        assert 0 < sample["memory"] < 64 * 2**20
        assert sample["pids"] >= 1
    assert service.api.get(f"/nodes/{min(samples)}/stats")["memory_limit"] == 64 * 2**20
    shown = spinney(service, "stats", "-o", "json", cluster)
    assert shown.returncode == 0, shown.stderr
    assert {sample["node_id"] for sample in json.loads(shown.stdout)} == samples.keys()


def test_a_container_has_its_limits_and_none_of_the_dangerous_rights(service: Service) -> None:
    profile = service.profile(
        cpu={"limit": 0.5, "reservation": 0.1},
        memory={"limit": "48m", "reservation": "16m"},
        pids_limit=33,
        ulimits={"nofile": {"soft": 100, "hard": 200}},
        read_only=True,
        tmpfs={"/scratch": "size=1m"},
        environment={"GREETING": "hello"},
        labels={"app": "web"},
        user="1000:1000",
        cap_add=["NET_BIND_SERVICE"],
    )
    node = service.until_node_is("ACTIVE", service.node(profile))
    found = service.docker.inspect(node["physical_id"])
    config, given = found["Config"], found["HostConfig"]
    assert (given["NanoCpus"], given["Memory"], given["PidsLimit"]) == (500_000_000, 48 * 2**20, 33)
    assert given["MemorySwap"] == given["Memory"]
    assert {"Name": "nofile", "Soft": 100, "Hard": 200} in given["Ulimits"]
    assert given["ReadonlyRootfs"] is True
    assert "size=1048576" in given["Tmpfs"]["/scratch"]
    assert config["User"] == "1000:1000"
    assert "GREETING=hello" in config["Env"]
    assert config["Labels"]["app"] == "web"
    assert given["CapDrop"] == ["ALL"]
    assert all("SYS_" not in name and "RAW" not in name for name in given["CapAdd"])
    assert any("no-new-privileges" in option for option in given["SecurityOpt"])
    assert not any("unconfined" in option for option in given["SecurityOpt"])
    assert given["Privileged"] is False
    assert given["Init"] is True
    assert not given["Binds"] and not given["Devices"] and not given.get("Mounts")
    namespaces = (given["PidMode"], given["UTSMode"], given["UsernsMode"], given["IpcMode"])
    assert not {"host", "shareable"} & set(namespaces)
    assert given["LogConfig"]["Config"].keys() >= {"max-size", "max-file"}
    assert given["RestartPolicy"]["Name"] in ("", "no")
    (network,) = service.docker.networks()
    assert given["NetworkMode"] in (network["Name"], network["Id"])
    assert found["NetworkSettings"]["Networks"].keys() == {network["Name"]}
    said = service.docker.execute(node["physical_id"], "sh", "-c", "touch /x; id -u; ulimit -n; cat /proc/1/status")[1]
    assert "Read-only file system" in said
    assert {"1000", "100"} <= set(said.split())
    assert "NoNewPrivs:\t1" in said
