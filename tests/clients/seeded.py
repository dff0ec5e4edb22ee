"""A service with one of everything in it, as the examples of the API's description suppose it."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from system.http_api import Api

#: What is posted, in this order, where the description has an example for it.
_EXAMPLES = ("profiles", "clusters", "nodes", "receivers", "secrets")


def seed(url: str, password: str, endpoint: str = "unix:///m1") -> Api:
    """Make a host cluster ``metal`` with the host ``m1`` at that endpoint, and of the examples what later ones name."""
    port = urlsplit(url).port
    assert port is not None
    api = Api(port, password)
    machine = {"type": "host.docker", "version": "1.0", "properties": {"endpoint": endpoint}}
    api.create("profile", name="machine", spec=machine)
    api.create("cluster", name="metal", profile_id="machine", desired_capacity=1, config={"node.name.format": "m1"})
    spread = {"type": "spinney.policy.placement", "version": "1.0", "properties": {}}
    reply = api.call("POST", "/policies", {"policy": {"name": "spread", "spec": spread}})
    assert reply.status == 201, reply.body
    _until(lambda: api.call("GET", "/hosts/m1").status == 200 and api.get("/hosts/m1")["state"] == "ready")
    described = api.call("GET", "/openapi.json").body["paths"]
    for noun in _EXAMPLES:
        post = described.get(f"/v1/{noun}", {}).get("post", {})
        example = post.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        if example is not None:
            made = api.call("POST", f"/{noun}", example)
            assert made.status in (201, 202), (noun, made.body)
    _until(lambda: api.get("/clusters/site")["status"] == "ACTIVE")
    return api


def _until(condition: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)
