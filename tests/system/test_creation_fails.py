"""Containers that cannot come to life: the reason names the cause and the remedy, and nothing stays behind."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket as sockets
import threading
from collections.abc import Iterator

import pytest

import docker_engine
from system.running import Service, fresh, spinney


class _EmptyRegistry(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path == "/v2/"
        body = json.dumps({} if found else {"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]})
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_HEAD = do_GET

    def log_message(self, *arguments: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def registry() -> Iterator[str]:
    """A registry on the loopback that holds no image."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _EmptyRegistry) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    with sockets.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def failure(service: Service, profile: str) -> str:
    """The reason, told by node, cluster, actions and event alike, for which a cluster of one never had its node."""
    cluster = service.cluster(profile, min_size=1, config={"spinney.self_healing": False})
    shown = service.until_cluster_is("ERROR", cluster)
    assert "0 active nodes are fewer than min_size 1" in shown["status_reason"]
    (node,) = service.members(cluster)
    reason = str(node["status_reason"])
    assert node["status"] == "ERROR"
    assert service.last_action(node["id"])["status_reason"] == reason
    action = service.last_action(cluster)
    assert action["status"] == "FAILED"
    told = [event["status_reason"] for event in service.api.get(f"/events?oid={cluster}&level=ERROR")]
    assert all(reason in text for text in (shown["status_reason"], action["status_reason"], *told))
    assert told
    return reason


def test_an_image_nobody_has(service: Service, registry: str) -> None:
    profile = service.profile(image=f"{registry}/nothing:7", pull_policy="missing")
    reason = failure(service, profile)
    assert f"image {registry}/nothing:7 exists neither on the host nor in its registry" in reason
    assert "correct its name and tag" in reason
    assert service.docker.ours() == []


def test_a_registry_out_of_reach_is_tried_again_before_it_is_given_up(service: Service) -> None:
    reason = failure(service, service.profile(image=f"127.0.0.1:{free_port()}/web:1", pull_policy="always"))
    assert "could not pull image" in reason
    assert "check that the host reaches the registry" in reason


def test_an_image_that_is_never_to_be_pulled(service: Service) -> None:
    reason = failure(service, service.profile(image="spinney-absent:none"))
    assert "the host has no image spinney-absent:none" in reason


@pytest.mark.parametrize("init", [True, False])
def test_a_command_the_image_does_not_have(service: Service, init: bool) -> None:
    reason = failure(service, service.profile("/bin/nosuch", "--flag", init=init))
    assert "correct command or entrypoint" in reason
    assert "/bin/nosuch" in reason


def test_a_command_that_ends_at_once_leaves_its_last_words(service: Service) -> None:
    reason = failure(service, service.profile("sh", "-c", "echo the port is missing >&2; exit 3"))
    assert "exit code 3" in reason
    assert "the port is missing" in reason


def test_the_command_line_tells_failure_from_success_by_what_is_there(service: Service) -> None:
    for profile, code in ((service.profile("/bin/nosuch"), 2), (service.profile(), 0)):
        name = fresh("cluster")
        asked = ("--profile", profile, "--desired", "1", "--wait", "--timeout", "30")
        said = spinney(service, "cluster", "create", name, *asked)
        assert said.returncode == code, said
        assert ("correct command or entrypoint" in " ".join(said.stderr.split())) == (code == 2), said.stderr


def test_a_command_that_ends_at_once_does_not_heal_for_ever_in_silence(service: Service) -> None:
    cluster = service.cluster(service.profile("sh", "-c", "exit 4"))
    service.until_cluster_is("WARNING", cluster)
    (node,) = service.members(cluster)
    service.until(
        lambda: service.api.get(f"/actions?target={node['id']}"),
        lambda found: sum(a["cause"] != "RPC Request" for a in found) >= 2,
    )
    assert "exit code 4" in service.api.get(f"/nodes/{node['id']}")["status_reason"]
    assert len(service.docker.of_node(node["id"])) == 1


def test_a_port_that_a_process_of_the_host_has(service: Service) -> None:
    with sockets.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        reason = failure(service, service.profile(ports=[f"{port}:80"]))
    assert f"port {port} is already in use on the host" in reason
    assert "choose another host port" in reason
    assert service.docker.ours() == []


def test_a_port_that_a_foreign_container_has_and_that_container_stays(service: Service) -> None:
    port = free_port()
    docker = service.docker
    network = docker.call("POST", "/networks/create", {"Name": fresh("foreign"), "Driver": "bridge"})["Id"]
    bindings = {"80/tcp": [{"HostPort": str(port)}]}
    foreign = docker.run(fresh("foreign"), NetworkMode=network, PortBindings=bindings)
    try:
        reason = failure(service, service.profile(ports=[f"{port}:80"]))
        assert docker.state(foreign) == "running"
    finally:
        docker.remove(foreign)
        docker.call("DELETE", f"/networks/{network}")
    assert f"port {port} is already in use on the host" in reason


def test_two_clusters_that_want_one_port_have_it_one_after_the_other(service: Service) -> None:
    port = free_port()
    profile = service.profile(ports=[f"{port}:80"])
    first = service.active_cluster(profile)
    second = service.cluster(profile)
    shown = service.until_cluster_is("WARNING", second)
    (waiting,) = service.members(second)
    assert f"port {port}" in waiting["status_reason"]
    assert "taken" in waiting["status_reason"]
    assert service.last_action(second)["status"] in ("SUCCEEDED", "FAILED"), shown
    assert service.docker.of_node(waiting["id"]) == []
    service.delete("cluster", first)
    service.until_cluster_is("ACTIVE", second)
    (placed,) = service.members(second)
    assert placed["id"] == waiting["id"]
    (container,) = service.docker.of_node(placed["id"])
    assert {p["PublicPort"] for p in container["Ports"]} == {port}


def test_a_port_freed_by_its_process_is_had_after_recovery(service: Service) -> None:
    with contextlib.ExitStack() as held:
        taken = held.enter_context(sockets.create_server(("0.0.0.0", 0)))
        port = taken.getsockname()[1]
        node = service.node(service.profile("httpd", "-f", "-p", "80", "-h", "/www", ports=[f"{port}:80"]))
        service.until_node_is("ERROR", node)
    assert service.finished(service.api.act(f"/nodes/{node}/actions", recover={}))["status"] == "SUCCEEDED"
    assert service.until_node_is("ACTIVE", node)["data"]["ports"][0]["host"] == port
    assert service.docker.inspect(service.docker.of_node(node)[0]["Id"])["Config"]["Image"] == docker_engine.IMAGE
