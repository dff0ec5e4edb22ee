"""The host helper on a real Docker engine: what the service measures with it, and how little it may do there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from system.docker_side import HELPER
from system.running import CONFIGURATION, Service, standalone

MEASURING = f"""{CONFIGURATION}
[hosts]
helper = plain
sample_interval = 0.3
average_over = 1
"""


@pytest.fixture(scope="module")
def measuring(docker_socket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with standalone(tmp_path_factory.mktemp("measuring"), docker_socket, MEASURING) as service:
        yield service


def until_measured(service: Service) -> dict[str, Any]:
    return service.until(lambda: service.api.get("/hosts")[0], lambda host: host["used"]["cpu"] is not None)


def helpers(service: Service) -> list[dict[str, Any]]:
    return [found for found in service.docker.everything() if HELPER in found["Labels"]]


def want(service: Service, mode: str) -> None:
    cluster = service.api.get("/clusters?name=local")[0]["id"]
    reply = service.api.call("PATCH", f"/clusters/{cluster}", {"cluster": {"config": {"spinney.helper": mode}}})
    assert reply.status == 202, reply.body
    service.until(lambda: service.api.get("/hosts")[0]["helper"], lambda found: found == mode)


def test_the_host_is_measured(measuring: Service) -> None:
    host = until_measured(measuring)
    assert host["helper"] == "plain"
    assert 0 <= host["used"]["cpu"] <= (os.cpu_count() or 1)
    told = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    total = int(told["MemTotal"].split()[0]) * 1024
    assert 0 < host["used"]["memory"] < total
    assert 0 < host["used"]["disk"] < host["capacity"]["disk"]


def test_what_runs_there_may_nothing(measuring: Service) -> None:
    until_measured(measuring)
    (helper,) = helpers(measuring)
    state = measuring.docker.inspect(helper["Id"])["State"]
    status = Path(f"/proc/{state['Pid']}/status")
    if not status.exists():
        pytest.skip("the Docker engine is on another machine, or its processes cannot be seen from here")
    told = dict(line.split(":", 1) for line in status.read_text().splitlines())
    assert told["Uid"].split() == ["65534"] * 4
    assert {told[name].strip() for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb")} == {"0" * 16}
    assert told["NoNewPrivs"].strip() == "1"
    assert int(told["VmRSS"].split()[0]) < 1024


def test_one_that_is_killed_is_there_again(measuring: Service) -> None:
    until_measured(measuring)
    (helper,) = helpers(measuring)
    measuring.docker.kill(helper["Id"])
    measuring.until(lambda: [one["State"] for one in helpers(measuring)], lambda states: states == ["running"])
    measuring.docker.remove(helper["Id"])
    measuring.until(lambda: [one["State"] for one in helpers(measuring)], lambda states: states == ["running"])


def test_the_full_one_measures_containers_and_none_leaves_nothing(measuring: Service) -> None:
    want(measuring, "full")
    busy = measuring.profile("sh", "-c", "while :; do :; done", cpu={"limit": 0.5, "reservation": 0.1})
    node = measuring.node(busy)
    measuring.until_node_is("ACTIVE", node)
    # Of the network control groups tell nothing, the Docker engine does.
    stats = measuring.until(
        lambda: measuring.api.get(f"/nodes/{node}/stats"),
        lambda found: found["rx_bytes"] is None and found["cpu"] is not None,
    )
    assert 0 < stats["cpu"] < 0.75
    assert 0 < stats["memory"] < stats["memory_limit"] and stats["pids"] >= 1
    assert stats["sampled_at"] is not None
    measuring.delete("node", node)
    want(measuring, "none")
    measuring.until(lambda: helpers(measuring), lambda found: found == [])
    want(measuring, "plain")
