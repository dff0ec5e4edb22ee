"""What really happened: read over plain HTTP and on the simulated hosts, with nothing of the client that is being tried."""

from __future__ import annotations

import base64
import itertools
import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

from clients.service import Service
from spinney.domain.container import Container

FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")


class Oracle:
    def __init__(self, service: Service) -> None:
        self.service = service
        self._names = itertools.count(1)
        token = base64.b64encode(f"admin:{service.password}".encode()).decode()
        self._headers = {
            "Authorization": f"Basic {token}",
            "Content-Type": "application/json",
            "OpenStack-API-Version": "clustering 1.14, spinney latest",
        }
        self.adopt("metal")

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.service.url}/v1/{path}", data, self._headers, method=method)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")

    def get(self, path: str) -> Any:
        """What stands in the envelope."""
        status, value = self.ask("GET", path)
        assert status == 200, value
        (found,) = value.values()
        return found

    def gone(self, path: str) -> bool:
        return self.ask("GET", path)[0] == 404

    def make(self, noun: str, **fields: Any) -> Any:
        status, value = self.ask("POST", f"{noun}s" if noun != "policy" else "policies", {noun: fields})
        assert status in (201, 202), value
        return value[noun]

    def name(self, what: str) -> str:
        """A name that nothing else has."""
        return f"{what}-{next(self._names)}"

    def adopt(self, name: str) -> Any:
        body = {"identity": f"unix:///{name}", "type": "host.docker-1.0", "name": name}
        status, value = self.ask("POST", "nodes/adopt", body)
        assert status == 200, value
        return value["node"]

    def profile(self, **properties: Any) -> Any:
        return self.make("profile", name=self.name("profile"), spec=container(**properties))

    def cluster(self, size: int = 2, **fields: Any) -> Any:
        """A cluster of containers on ``metal``, once it is ACTIVE."""
        fields = {"name": self.name("cluster"), "max_size": 5, "desired_capacity": size, **fields}
        if "profile_id" not in fields:
            fields["profile_id"] = self.profile()["id"]
        made = self.make("cluster", **fields)
        return until(lambda: (found := self.get(f"clusters/{made['id']}"))["status"] == "ACTIVE" and found)

    def node(self, **fields: Any) -> Any:
        """A node of its own, once it is ACTIVE."""
        fields = {"name": self.name("node"), **fields}
        if "profile_id" not in fields:
            fields["profile_id"] = self.profile()["id"]
        made = self.make("node", **fields)
        return until(lambda: (found := self.get(f"nodes/{made['id']}"))["status"] == "ACTIVE" and found)

    def done(self, action_id: str, status: str = "SUCCEEDED") -> Any:
        """The action once it is final, which must be as told."""
        found = until(lambda: (one := self.get(f"actions/{action_id}"))["status"] in FINAL and one)
        assert found["status"] == status, found
        return found

    def last_action(self, target: str) -> Any:
        """The newest action on a cluster or node, once it is final."""
        newest = self.get(f"actions?target={target}&sort=created_at:desc&limit=1")[0]
        return until(lambda: (one := self.get(f"actions/{newest['id']}"))["status"] in FINAL and one)

    def members(self, cluster: str) -> list[Any]:
        return list(self.get(f"nodes?cluster_id={cluster}&sort=index"))

    def containers(self, cluster: str, host: str = "metal") -> dict[str, Container]:
        """What the host really has of a cluster, by node."""
        return self._labelled("io.spinney.cluster", cluster, host)

    def container(self, node: str, host: str = "metal") -> Container:
        (found,) = self._labelled("io.spinney.node", node, host).values()
        return found

    def _labelled(self, label: str, value: str, host: str) -> dict[str, Container]:
        found = self.service.hosts.engines[host].core.containers({label: value}, time.time())
        return {one.labels["io.spinney.node"]: one for one in found}


def container(**properties: Any) -> dict[str, Any]:
    """The specification of a profile of containers on ``metal``."""
    properties = {"image": "busybox", "command": "sleep 100000", "host_node": "metal", **properties}
    return {"type": "container.dockerinc.docker", "version": 1.0, "properties": properties}


def policy(kind: str, **properties: Any) -> dict[str, Any]:
    return {"type": kind, "version": 1.0, "properties": properties}


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    """What the condition gives once it gives something."""
    end, nothing = time.monotonic() + seconds, threading.Event()
    while not (found := condition()):
        assert time.monotonic() < end, "it did not come true in time"
        nothing.wait(0.05)
    return found
