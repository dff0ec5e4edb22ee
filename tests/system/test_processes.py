"""API and engines as processes of their own on one state directory, and an engine that dies."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from system.docker_side import NODE
from system.running import CONFIGURATION, Program, Service, spinney

#: Seconds for which a dead engine holds its work.
LEASE = 3


class Apart:
    """``spinney api`` and any number of ``spinney engine``."""

    def __init__(self, folder: Path, socket: str) -> None:
        permitted = f"lease = {LEASE}\npoll_interval = 0.5\n\n[driver]\nunix_sockets = {socket}\n"
        self.service = Service(folder, socket, CONFIGURATION + permitted)
        self.engines: list[Program] = []

    def start_api(self) -> None:
        service = self.service
        service.program = Program(service.folder, "api", *service.arguments("--port=0"))

    def start_engine(self) -> Program:
        engine = Program(self.service.folder, "engine", *self.service.arguments())
        self.engines.append(engine)
        engine.until_says("spinney engine ready")
        return engine

    def close(self) -> None:
        for engine in self.engines:
            with contextlib.suppress(ProcessLookupError):
                engine.kill()
        self.service.close()


@pytest.fixture
def apart(docker_socket: str, tmp_path: Path) -> Iterator[Apart]:
    apart = Apart(tmp_path, docker_socket)
    try:
        apart.start_api()
        apart.start_engine()
        apart.service.connect()
        yield apart
    finally:
        apart.close()


def test_an_engine_that_dies_is_succeeded_within_its_lease(apart: Apart) -> None:
    service, docker = apart.service, apart.service.docker
    first = apart.engines[0]
    said = spinney(
        service, "host", "add", f"unix://{docker.socket}", "--name", "machine", "--cluster", "local", "--wait"
    )
    assert said.returncode == 0, said.stderr
    cluster = service.active_cluster(service.profile("sh", "-c", "echo from inside; sleep 600"), 2)
    node = service.members(cluster)[0]

    # What only an engine may ask the host, asked through the API process.
    assert service.api.call("GET", f"/nodes/{node['id']}/logs").body == "from inside\n"
    assert service.api.get(f"/nodes/{node['id']}/stats")["memory"] > 0
    shown = spinney(service, "node", "show", "--details", "-o", "json", node["name"])
    assert shown.returncode == 0, shown.stderr
    assert re.search(r'"state": ?"running"', shown.stdout)

    second = apart.start_engine()
    action = service.api.act(f"/clusters/{cluster}/actions", scale_out={"count": 4})
    service.until(docker.ours, lambda seen: len(seen) >= 3)
    first.kill()
    assert second.until(lambda: service.api.get(f"/actions/{action}"), _is_final, seconds=30)["status"] == "SUCCEEDED"
    members = service.members(cluster)
    assert len(members) == 6
    assert Counter(c["Labels"][NODE] for c in docker.ours()) == Counter(member["id"] for member in members)

    # The second one watches the host now, and answers for it.
    victim = node["physical_id"]
    docker.kill(victim)
    service.until(lambda: docker.state(victim), lambda state: state == "running")
    assert service.api.call("GET", f"/nodes/{members[-1]['id']}/logs?tail=1").body == "from inside\n"
    names = [found["status"] for found in service.api.get("/services")]
    assert names.count("up") == 1 or names.count("enabled") >= 1, service.api.get("/services")

    # Without any engine, work waits and looking says why.
    assert second.terminate() == 0
    refused = service.api.call("GET", f"/nodes/{node['id']}/stats")
    assert refused.status == 503
    assert "spinney engine" in refused.fault
    deletion = service.api.call("DELETE", f"/clusters/{cluster}").headers["location"].rpartition("/")[2]
    assert service.api.get(f"/actions/{deletion}")["status"] == "READY"
    apart.start_engine()
    service.until(lambda: service.api.call("GET", f"/clusters/{cluster}").status, lambda status: status == 404)
    service.expect_nothing_left()


def _is_final(action: dict[str, str]) -> bool:
    return action["status"] in ("SUCCEEDED", "FAILED", "CANCELLED")
