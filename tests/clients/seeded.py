"""A service with one of everything in it, as the examples of the API's description suppose it."""

from __future__ import annotations

import time
from typing import Any
from urllib.parse import urlsplit

from system.http_api import Api

#: What is posted, in this order, where the description has an example for it.
_EXAMPLES = ("profiles", "clusters", "nodes", "policies", "receivers", "secrets", "credentials")


def seed(url: str, password: str, endpoint: str = "unix:///m1") -> dict[str, list[str]]:
    """Make a host cluster ``metal`` with the host ``m1`` at that endpoint, and of the examples what later ones name.

    Returns words for the variables of paths.
    """
    port = urlsplit(url).port
    assert port is not None
    api = Api(port, password)
    furnish(api, endpoint)
    described = api.call("GET", "/openapi.json").body["paths"]
    for noun in _EXAMPLES:
        post = described.get(f"/v1/{noun}", {}).get("post", {})
        example = post.get("requestBody", {}).get("content", {}).get("application/json", {}).get("example")
        if example is not None:
            made = api.call("POST", f"/{noun}", example)
            assert made.status in (201, 202), (noun, made.body)
    until(lambda: api.get("/clusters/site")["status"] == "ACTIVE")
    site = api.get("/clusters/site")["id"]
    attach = {"policy_attach": {"policy_id": "spread"}}
    assert api.call("POST", f"/clusters/{site}/actions", attach).status == 202
    share = {"share": {"project_id": "other"}}
    assert api.call("POST", "/clusters/metal/shares", share).status == 201
    nouns = ("cluster", "node", "profile", "policy", "receiver", "secret", "credential", "action", "event")
    words = {noun: _ids(api, noun) for noun in nouns}
    return {
        **words,
        "host": _ids(api, "host"),
        "number": ["1", "2"],
        "path": ["details.status", "name", "data.placement.host_name"],
        "project": ["default", "other"],
        "type": ["container.dockerinc.docker-1.0", "senlin.policy.deletion-1.1"],
    }


def furnish(api: Api, endpoint: str) -> None:
    """Make what the examples suppose: the host cluster ``metal`` with the host ``m1`` at that endpoint, a policy ``spread``,
    and a cluster ``nightly`` that has had a run."""
    machine = {"type": "host.docker", "version": "1.0", "properties": {"endpoint": endpoint}}
    api.create("profile", name="machine", spec=machine)
    api.create("cluster", name="metal", profile_id="machine", desired_capacity=1, config={"node.name.format": "m1"})
    spread = {"type": "spinney.policy.placement", "version": "1.0", "properties": {}}
    reply = api.call("POST", "/policies", {"policy": {"name": "spread", "spec": spread}})
    assert reply.status == 201, reply.body
    until(lambda: api.call("GET", "/hosts/m1").status == 200 and api.get("/hosts/m1")["state"] == "ready")
    _have_run(api)


def _have_run(api: Api) -> None:
    properties = {"image": "busybox", "command": "true", "restart_policy": "none", "host_cluster": "metal"}
    ends = {"type": "container.dockerinc.docker", "version": "1.0", "properties": properties}
    api.create("profile", name="ends", spec=ends)
    job = {"type": "spinney.policy.job", "version": "1.0", "properties": {}}
    assert api.call("POST", "/policies", {"policy": {"name": "job", "spec": job}}).status == 201
    api.create("cluster", name="nightly", profile_id="ends", policies=[{"policy_id": "job"}])
    until(lambda: [run for run in api.get("/clusters/nightly/runs") if run["ended_at"] is not None])


def _ids(api: Api, noun: str) -> list[str]:
    plural = "policies" if noun == "policy" else f"{noun}s"
    return [one["id"] for one in api.get(f"/{plural}")][:20]


def until(condition: Any, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.05)
