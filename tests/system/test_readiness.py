"""Probes of containers on a real Docker engine: by a command, HTTP and TCP, from inside the container."""

from __future__ import annotations

from typing import Any

from system.running import Service

#: A web server that listens on the container's own loopback alone, and that can be ended without ending the container.
SERVER = "mkdir -p /tmp/www; httpd -f -p 127.0.0.1:8080 -h /tmp/www & echo $! >/tmp/pid; exec sleep 600"
PROBES = {
    "started": {"exec": "test -e /tmp/started", "interval": 1, "failures": 100},
    "ready": {"http": {"port": 8080, "path": "/ok"}, "interval": 1, "failures": 1},
    "alive": {"tcp": 8080, "interval": 1, "failures": 2},
}


def test_a_container_is_asked_by_command_http_and_tcp(service: Service) -> None:
    cluster = service.active_cluster(service.profile("sh", "-c", SERVER, probes=PROBES, init=True))
    (node,) = service.members(cluster)
    container = node["physical_id"]

    def until(ready: bool, reason: str) -> dict[str, Any]:
        def readiness() -> dict[str, Any]:
            found: dict[str, Any] = service.members(cluster)[0]["data"]["readiness"]
            return found

        return service.until(readiness, lambda found: found["ready"] == ready and reason in found["reason"], seconds=20)

    def run(*command: str) -> None:
        assert service.docker.execute(container, *command)[0] == 0

    until(False, "its started probe has not passed yet: test ended with exit code 1, wanted is 0")
    run("touch", "/tmp/started")
    until(False, "its ready probe has not passed yet: GET /ok at port 8080 answered 404, wanted is 200-399")
    run("touch", "/tmp/www/ok")
    until(True, "")
    run("rm", "/tmp/www/ok")
    until(False, "its ready probe failed: GET /ok at port 8080 answered 404")
    run("touch", "/tmp/www/ok")
    before = service.docker.inspect(container)["State"]["StartedAt"]
    run("sh", "-c", "kill $(cat /tmp/pid)")
    service.until(lambda: service.docker.inspect(container)["State"]["StartedAt"], lambda at: at != before)
    until(True, "")
    service.until_cluster_is("ACTIVE", cluster)
    told = {event["action"]: event["status_reason"] for event in service.api.get(f"/events?oid={node['id']}")}
    assert told["CONTAINER_UNHEALTHY"].startswith("its alive probe failed: TCP port 8080 takes no connection: ")
