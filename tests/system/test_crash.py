"""The service dies, or is asked to end, in the middle of its work; and what keeps two of them apart."""

from __future__ import annotations

import contextlib
import socket as sockets
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from system.docker_side import NODE
from system.running import Program, Service, standalone


@pytest.fixture
def mortal(docker_socket: str, tmp_path: Path) -> Iterator[Service]:
    """A service that the test may end as it likes."""
    with standalone(tmp_path, docker_socket) as service:
        yield service
        service.clear()
        service.expect_nothing_left()


@pytest.mark.parametrize("way", ["killed", "asked"])
def test_a_service_that_ends_in_the_middle_of_scaling_goes_on_when_it_is_back(mortal: Service, way: str) -> None:
    service, docker = mortal, mortal.docker
    cluster = service.active_cluster(service.profile(), 1)
    action = service.api.act(f"/clusters/{cluster}/actions", scale_out={"count": 5})
    service.until(docker.ours, lambda seen: len(seen) >= 2)
    if way == "killed":
        service.program.kill()
    else:
        assert service.program.terminate() == 0
        assert "Traceback" not in service.program.output
    service.start()
    assert service.finished(action)["status"] == "SUCCEEDED"
    service.until_cluster_is("ACTIVE", cluster)
    members = service.members(cluster)
    assert len(members) == 6
    assert Counter(c["Labels"][NODE] for c in docker.ours()) == Counter(node["id"] for node in members)
    assert {c["Id"] for c in docker.ours()} == {node["physical_id"] for node in members}
    assert {c["State"] for c in docker.ours()} == {"running"}
    # One that died while nobody watched is seen at the start.
    if way == "killed":
        service.program.kill()
        victim = members[0]["physical_id"]
        docker.kill(victim)
        service.start()
        service.until(lambda: docker.state(victim), lambda state: state == "running")


def test_one_state_directory_has_one_service(running: Service) -> None:
    second = Program(running.folder, "standalone", *running.arguments("--port=0"))
    assert second.wait() == 1
    assert f"another service runs on {running.state_dir}" in " ".join(second.output.split())
    assert "Traceback" not in second.output
    assert running.api.get("/build-info")


def test_one_port_has_one_service(tmp_path: Path) -> None:
    with sockets.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        asked = ("standalone", f"--state-dir={tmp_path / 'state'}", f"--port={port}", "--no-local-host")
        refused = Program(tmp_path, *asked)
        assert refused.wait() == 1
    said = " ".join(refused.output.split())
    assert f"cannot serve at 127.0.0.1:{port}" in said
    assert "choose another --port" in said
    assert "Traceback" not in said


def test_a_configuration_that_is_wrong_names_the_option(tmp_path: Path) -> None:
    (tmp_path / "wrong.conf").write_text("[engine]\nlease = soon\n")
    asked = ("standalone", f"--state-dir={tmp_path / 'state'}", f"--config-file={tmp_path / 'wrong.conf'}")
    refused = Program(tmp_path, *asked)
    assert refused.wait() == 1
    assert "lease" in refused.output and "soon" in refused.output
    assert "Traceback" not in refused.output


def test_the_state_directory_and_the_password_are_for_their_owner_alone(service: Service) -> None:
    assert stat.S_IMODE(service.state_dir.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in service.state_dir.iterdir()}
    assert {"password", "clouds.yaml", "spinney.db", "lock"} <= modes.keys()
    assert {name: mode for name, mode in modes.items() if mode & 0o077} == {}
    password = (service.state_dir / "password").read_text().strip()
    assert len(password) >= 24
    service.node(service.profile("nonsense"))
    service.api.call("GET", "/clusters", headers={"Authorization": "Basic bm9ib2R5Om5vdGhpbmc="})
    said = service.program.output + Path(f"/proc/{service.program.process.pid}/cmdline").read_text()
    said += Path(f"/proc/{service.program.process.pid}/environ").read_text()
    assert password not in said
    for container in service.docker.ours():
        assert password not in str(service.docker.inspect(container["Id"]))


def test_an_unknown_user_is_told_nothing(service: Service) -> None:
    for header in ("Basic bm9ib2R5Om5vdGhpbmc=", "Bearer x", "Basic %%%"):
        reply = service.api.call("GET", "/clusters", headers={"Authorization": header})
        assert reply.status == 401, (header, reply.body)
        assert "local" not in str(reply.body)


def test_a_half_sent_request_leaves_nothing_and_nobody_waiting(service: Service) -> None:
    port = int(service.program.until_says(r"127\.0\.0\.1:(\d+)/v1"))
    with contextlib.closing(sockets.create_connection(("127.0.0.1", port), 5)) as cut:
        cut.sendall(b"POST /v1/clusters HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
    assert service.api.get("/build-info")
