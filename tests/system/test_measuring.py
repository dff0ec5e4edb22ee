"""The host helper on a real Docker engine: what the service measures with it, and how little it may do there."""

from __future__ import annotations

import http.server
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from system.docker_side import HELPER
from system.running import CONFIGURATION, Service, standalone

MEASURING = f"""{CONFIGURATION}
[egress]
allow = 127.0.0.0/8

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


class Exporter(http.server.BaseHTTPRequestHandler):
    """One of two cores is busy, all the time."""

    def do_GET(self) -> None:
        now = time.monotonic()
        told = [
            f'node_cpu_seconds_total{{cpu="0",mode="user"}} {now}',
            f'node_cpu_seconds_total{{cpu="1",mode="idle"}} {now}',
            "node_memory_MemTotal_bytes 8e9",
            "node_memory_MemAvailable_bytes 6e9",
        ]
        self.send_response(200)
        self.end_headers()
        self.wfile.write("\n".join(told).encode())

    def log_message(self, *_: object) -> None:
        pass


def test_a_host_that_tells_its_own_load_is_believed_and_needs_no_helper(measuring: Service) -> None:
    cluster = measuring.api.get("/clusters?name=local")[0]
    before = measuring.api.get(f"/profiles/{cluster['profile_id']}")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Exporter)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/metrics"
    properties = {**before["spec"]["properties"], "metrics_url": url}
    telling = measuring.api.create("profile", name="telling", spec={**before["spec"], "properties": properties})
    try:
        give(measuring, cluster["id"], telling["id"])
        host = measuring.until(
            lambda: measuring.api.get("/hosts")[0],
            lambda host: host["used"]["memory"] == 2_000_000_000 and host["used"]["cpu"] is not None,
        )
        assert host["used"]["cpu"] == pytest.approx(1.0, abs=0.2)
        assert (host["used"]["disk"], host["capacity"]["disk"]) == (None, None)
        measuring.until(lambda: helpers(measuring), lambda found: found == [])
        give(measuring, cluster["id"], before["id"])
        measuring.until(lambda: measuring.api.get("/hosts")[0]["used"]["disk"])
        assert len(helpers(measuring)) == 1
    finally:
        server.shutdown()
        server.server_close()


def give(service: Service, cluster: str, profile: str) -> None:
    """Another profile to the host cluster."""
    reply = service.api.call("PATCH", f"/clusters/{cluster}", {"cluster": {"profile_id": profile}})
    assert reply.status == 202, reply.body
    done = service.finished(reply.headers["location"].rpartition("/")[2])
    assert done["status"] == "SUCCEEDED", done["status_reason"]
