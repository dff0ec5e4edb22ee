"""The wire below the nouns: media types, discovery, and every method and path with the status of its success."""

from __future__ import annotations

import re
from typing import Any

import pytest

from api.client import Client
from api.contract import ask, contents
from api.world import World, run

SPEC = {"type": "container.dockerinc.docker", "version": "1.0", "properties": {"image": "a", "host_cluster": "farm"}}
DELETION = {"type": "senlin.policy.deletion", "version": "1.0", "properties": {}}
RECEIVER = {"name": "r", "type": "webhook", "cluster_id": "c1", "action": "CLUSTER_CHECK"}
HOST = {"identity": "unix:///var/run/docker.sock", "type": "host.docker-1.0"}

ENDPOINTS: list[tuple[str, str, Any, int]] = [
    ("GET", "/build-info", None, 200),
    ("GET", "/services", None, 200),
    ("GET", "/profile-types", None, 200),
    ("GET", "/profile-types/container.dockerinc.docker-1.0", None, 200),
    ("GET", "/profile-types/container.dockerinc.docker-1.0/ops", None, 200),
    ("GET", "/policy-types", None, 200),
    ("GET", "/policy-types/senlin.policy.scaling-1.0", None, 200),
    ("GET", "/profiles", None, 200),
    ("POST", "/profiles", {"profile": {"name": "p", "spec": SPEC}}, 201),
    ("POST", "/profiles/validate", {"profile": {"spec": SPEC}}, 200),
    ("GET", "/profiles/web", None, 200),
    ("PATCH", "/profiles/web", {"profile": {"name": "x"}}, 200),
    ("DELETE", "/profiles/spare", None, 204),
    ("GET", "/policies", None, 200),
    ("POST", "/policies", {"policy": {"name": "p", "spec": DELETION}}, 201),
    ("POST", "/policies/validate", {"policy": {"spec": DELETION}}, 200),
    ("GET", "/policies/loose", None, 200),
    ("PATCH", "/policies/loose", {"policy": {"name": "x"}}, 200),
    ("DELETE", "/policies/loose", None, 204),
    ("GET", "/clusters", None, 200),
    ("POST", "/clusters", {"cluster": {"name": "c", "profile_id": "web"}}, 202),
    ("GET", "/clusters/c1", None, 200),
    ("PATCH", "/clusters/c1", {"cluster": {"name": "x"}}, 202),
    ("DELETE", "/clusters/c1", None, 202),
    ("POST", "/clusters/c1/actions", {"check": {}}, 202),
    ("POST", "/clusters/c1/ops", {"restart": {}}, 202),
    ("GET", "/clusters/c1/attrs/name", None, 200),
    ("GET", "/clusters/c1/policies", None, 200),
    ("GET", "/clusters/c1/policies/bound", None, 200),
    ("GET", "/nodes", None, 200),
    ("POST", "/nodes", {"node": {"name": "n", "profile_id": "web"}}, 202),
    ("POST", "/nodes/adopt", HOST, 200),
    ("POST", "/nodes/adopt-preview", HOST, 200),
    ("GET", "/nodes/orphan", None, 200),
    ("PATCH", "/nodes/orphan", {"node": {"name": "x"}}, 202),
    ("DELETE", "/nodes/orphan", None, 202),
    ("POST", "/nodes/orphan/actions", {"check": {}}, 202),
    ("POST", "/nodes/orphan/ops", {"restart": {}}, 202),
    ("GET", "/actions", None, 200),
    ("GET", "/actions/{action}", None, 200),
    ("PATCH", "/actions/{action}", {"action": {"status": "CANCELLED"}}, 202),
    ("GET", "/receivers", None, 200),
    ("POST", "/receivers", {"receiver": RECEIVER}, 201),
    ("GET", "/receivers/grow", None, 200),
    ("PATCH", "/receivers/grow", {"receiver": {"name": "x"}}, 200),
    ("DELETE", "/receivers/grow", None, 204),
    ("GET", "/events", None, 200),
]
ASYNC = [row for row in ENDPOINTS if row[3] == 202 and row[1] != "/actions/{action}"]


@pytest.fixture
def furnished(world: World) -> World:
    world.cluster(world.profile("machine", "host.docker-1.0"), "farm")
    profile = world.profile("web")
    world.profile("spare")
    cluster = world.cluster(profile, members=1)
    world.node(profile, "orphan")
    world.policy("bound", on=cluster)
    world.policy("loose")
    world.receiver(cluster)
    return world


def path_of(world: World, path: str) -> str:
    if "{action}" not in path:
        return path
    world.node(world.profile("p"), "n")
    return path.format(action=ask(world, "POST", "/nodes/n/actions", {"check": {}}).action)


@pytest.mark.parametrize(("method", "path", "body", "status"), ENDPOINTS)
def test_every_endpoint_answers_with_its_status(
    furnished: World, method: str, path: str, body: Any, status: int
) -> None:
    answer = ask(furnished, method, path_of(furnished, path), body)
    assert answer.status == status, answer.body
    assert re.fullmatch("req-[0-9a-f-]{36}", answer.headers["x-openstack-request-id"])
    if answer.body:
        assert answer.headers["content-type"].startswith("application/json")
    assert (answer.body == b"") == (status == 204 or ("{action}" in path and method == "PATCH"))
    assert ("location" in answer.headers) == ((method, path, body, status) in ASYNC)
    assert "link" not in answer.headers


@pytest.mark.parametrize(("method", "path", "body", "status"), ASYNC)
def test_what_takes_time_says_where_to_look(furnished: World, method: str, path: str, body: Any, status: int) -> None:
    location = ask(furnished, method, path, body).headers["location"]
    assert location.startswith("/v1/actions/")
    assert contents(ask(furnished, "GET", location.removeprefix("/v1")))["status"] == "READY"


@pytest.mark.parametrize("path", sorted({path for _, path, _, _ in ENDPOINTS}))
def test_putting_and_slashes_at_the_end_are_nowhere(furnished: World, path: str) -> None:
    where = path_of(furnished, path)
    assert ask(furnished, "PUT", where, {}).error[:2] == (404, "HTTPNotFound")
    assert ask(furnished, "GET", f"{where}/").error[:2] == (404, "HTTPNotFound")


@pytest.mark.parametrize(
    ("media_type", "read"),
    [
        ("application/json", True),
        ("application/json; charset=utf-8", True),
        ("APPLICATION/JSON", True),
        ("text/plain", True),
        ("", True),
        ("application/xml", False),
        ("application/x-www-form-urlencoded", False),
    ],
)
def test_what_a_body_may_call_itself(furnished: World, media_type: str, read: bool) -> None:
    body = b'{"cluster": {"name": "c", "profile_id": "web"}}'
    answer = run(lambda: furnished.client.request("POST", "/v1/clusters", body, headers={"content-type": media_type}))
    if read:
        assert answer.status == 202
    else:
        assert answer.error[:2] == (400, "HTTPBadRequest")
    deleted = run(
        lambda: furnished.client.request(
            "DELETE", "/v1/nodes/orphan", b'{"force": true}', headers={"content-type": media_type}
        )
    )
    inputs = contents(ask(furnished, "GET", f"/actions/{deleted.action}"))["inputs"]
    assert inputs == ({"force": True} if read else {}), "what is no JSON is no body"


def test_bodies_up_to_a_mebibyte(furnished: World) -> None:
    def body(size: int) -> bytes:
        start = b'{"cluster": {"name": "c", "profile_id": "web", "metadata": {"k": "'
        return start + b"x" * (size - len(start) - 4) + b'"}}}'

    assert run(lambda: furnished.client.request("POST", "/v1/clusters", body(1048576))).status == 202
    too_large = run(lambda: furnished.client.request("POST", "/v1/clusters", body(1048577)))
    assert too_large.error[:2] == (400, "RequestLimitExceeded")


VENDOR = "application/vnd.openstack.clustering-v1"


@pytest.mark.parametrize(
    ("path", "accept", "status"),
    [
        ("/", "*/*", 300),
        ("/", "application/json", 300),
        ("/versions", "application/json", 300),
        ("/v1", "application/json", 200),
        ("/v1/", "application/json", 200),
        ("/vx", "", 300),
        ("/vx", "*/*", 300),
        ("/v2", "*/*", 300),
        ("/vx", "application/json", 404),
        ("/vx/clusters", "text/html", 404),
        ("/clusters", VENDOR, 200),
        ("/clusters", f"{VENDOR}.14", 200),
        ("/nowhere", VENDOR, 404),
        ("/clusters", "application/json", 404),
    ],
)
def test_discovery(furnished: World, path: str, accept: str, status: int) -> None:
    answer = run(lambda: furnished.client.request("GET", path, headers={"accept": accept}))
    assert answer.status == status
    if status == 300:
        (document,) = answer.json["versions"]
        assert list(answer.json) == ["versions"]
        assert {"id", "status", "updated", "min_version", "max_version", "media-types", "links"} <= set(document)
        assert document["media-types"] == [{"base": "application/json", "type": f"{VENDOR}+json"}]
        assert [link["rel"] for link in document["links"]] == ["self", "help"]


@pytest.mark.parametrize(
    ("path", "status"), [("/", 300), ("/versions", 300), ("/v1", 200), ("/v1/", 200), ("/v1/clusters", 401)]
)
def test_discovery_asks_for_no_credentials(world: World, path: str, status: int) -> None:
    anonymous = Client(world.client.app, authorization="Basic x")
    assert run(lambda: anonymous.get(path)).status == status
