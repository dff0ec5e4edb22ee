"""What holds for every request: discovery, versions, errors at both levels, bodies, ids."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.client import Client
from api.world import OURS, World, run
from api.world import world as make_world
from spinney.errors import SpinneyError


def test_discovery_needs_no_credentials_and_names_where_it_was_reached(world: World) -> None:
    async def body() -> None:
        anonymous = Client(world.client.app, version=None, authorization="Basic x")
        for path in ("/", "/versions", "/vx"):
            answer = await anonymous.request("GET", path, headers={"accept": "*/*"})
            assert answer.status == 300
            (document,) = answer.json["versions"]
            assert (document["id"], document["status"]) == ("1.0", "CURRENT")
            assert (document["min_version"], document["max_version"]) == ("1.0", "1.14")
            assert document["links"][0] == {"rel": "self", "href": "http://api.example:8777/v1"}
        for path in ("/v1", "/v1/"):
            answer = await anonymous.get(path)
            assert answer.status == 200
            assert answer.json["version"]["id"] == "1.0"
            assert answer.json["spinney"] == {"min_version": "1.0", "max_version": "1.0"}
        assert (await anonymous.request("GET", "/vx", headers={"accept": "application/json"})).error[:2] == (
            404,
            "HTTPNotFound",
        )

    run(body)


@pytest.mark.parametrize(
    ("headers", "href"),
    [
        ({"x-forwarded-proto": "https", "x-forwarded-host": "cloud.example"}, "https://cloud.example/v1"),
        ({"x-forwarded-prefix": "/clustering"}, "http://api.example:8777/clustering/v1"),
        ({"host": "evil/<script>"}, "http://127.0.0.1:8777/v1"),
        ({"x-forwarded-proto": "javascript"}, "http://api.example:8777/v1"),
    ],
)
def test_links_lead_where_the_client_came_from(tmp_path: Path, headers: dict[str, str], href: str) -> None:
    async def body(client: Client) -> None:
        answer = await client.request("GET", "/v1", headers=headers)
        assert answer.json["version"]["links"][0]["href"] == href

    with make_world(tmp_path, trusted_proxies=("127.0.0.0/8",)) as behind:
        run(lambda: body(behind.client))


def test_forwarding_headers_of_strangers_are_not_believed(world: World) -> None:
    async def body() -> None:
        headers = {"x-forwarded-proto": "https", "x-forwarded-host": "cloud.example", "x-forwarded-prefix": "/x"}
        answer = await world.client.request("GET", "/v1", headers=headers)
        assert answer.json["version"]["links"][0]["href"] == "http://api.example:8777/v1"

    run(body)


def test_every_answer_protects_browsers_from_itself(world: World) -> None:
    async def body() -> None:
        for answer in (
            await world.client.get("/v1"),
            await world.client.get("/v1/clusters"),
            await world.client.get("/v1/clusters/absent"),
            await world.client.as_user("wrong").get("/v1/clusters"),
        ):
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert "server" not in answer.headers
            assert "strict-transport-security" not in answer.headers  # it was no TLS

    run(body)


def test_a_vendor_accept_header_stands_for_the_version_in_the_path(world: World) -> None:
    async def body() -> None:
        headers = {"accept": "application/vnd.openstack.clustering-v1"}
        assert (await world.client.request("GET", "/clusters", headers=headers)).json == {"clusters": []}

    run(body)


@pytest.mark.parametrize(
    ("header", "status", "kind", "echoed"),
    [
        (None, 200, None, "clustering 1.0"),
        ("compute 2.1", 200, None, "clustering 1.0"),
        ("clustering latest", 200, None, "clustering 1.14"),
        ("compute 2.1, clustering 1.5", 200, None, "clustering 1.5"),
        ("clustering 1.14, spinney 1.0", 200, None, "clustering 1.14, spinney 1.0"),
        ("spinney latest", 200, None, "clustering 1.0, spinney 1.0"),
        ("clustering 1.15", 406, "InvalidGlobalAPIVersion", None),
        ("clustering 2.0", 406, "InvalidGlobalAPIVersion", None),
        ("spinney 1.999", 406, "InvalidGlobalAPIVersion", None),
        ("clustering 1.01", 400, "HTTPBadRequest", None),
        ("clustering 0.9", 400, "HTTPBadRequest", None),
        ("clustering x", 400, "HTTPBadRequest", None),
        ("clustering", 400, "HTTPBadRequest", None),
    ],
)
def test_versions(world: World, header: str | None, status: int, kind: str | None, echoed: str | None) -> None:
    async def body() -> None:
        answer = await world.client.at(header).get("/v1/clusters")
        assert answer.status == status
        if kind is not None:
            assert answer.error[1] == kind
        assert answer.headers.get("openstack-api-version") == echoed
        assert answer.headers["vary"] == "OpenStack-API-Version"

    run(body)


@pytest.mark.parametrize(
    ("method", "path", "since"),
    [
        ("POST", "/v1/profiles/validate", 2),
        ("GET", "/v1/clusters/x/attrs/name", 2),
        ("POST", "/v1/policies/validate", 2),
        ("GET", "/v1/profile-types/x/ops", 4),
        ("POST", "/v1/clusters/x/ops", 4),
        ("POST", "/v1/nodes/x/ops", 4),
        ("POST", "/v1/nodes/adopt", 7),
        ("POST", "/v1/nodes/adopt-preview", 7),
        ("PATCH", "/v1/actions/x", 12),
    ],
)
def test_methods_that_came_later_are_refused_before_anything_else(
    world: World, method: str, path: str, since: int
) -> None:
    async def body() -> None:
        answer = await world.client.at(f"clustering 1.{since - 1}").request(method, path, b"not even JSON")
        assert answer.error[:2] == (400, "MethodVersionNotFound")
        assert f"1.{since}" in answer.error[2]
        later = await world.client.at(f"clustering 1.{since}").request(method, path, b"not even JSON")
        assert later.error[1] != "MethodVersionNotFound"

    run(body)


def test_what_is_ours_is_not_there_without_asking_for_it(world: World) -> None:
    async def body() -> None:
        assert (await world.client.get("/v1/hosts")).error[:2] == (404, "HTTPNotFound")
        assert (await world.client.at(OURS).get("/v1/hosts")).json == {"hosts": []}

    run(body)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/nothing"),
        ("GET", "/v1/clusters/"),
        ("PUT", "/v1/clusters/x"),
        ("OPTIONS", "/v1/clusters"),
        ("GET", "/v1/clusters/x/metadata"),
        ("GET", "/v1/clusters/x/actions/y/z"),
    ],
)
def test_anything_else_is_not_found(world: World, method: str, path: str) -> None:
    assert run(lambda: world.client.request(method, path)).error[:2] == (404, "HTTPNotFound")


def test_credentials_come_before_versions_and_routes(world: World) -> None:
    async def body() -> None:
        anonymous = Client(world.client.app, version="clustering 99.9", authorization="Basic x")
        answer = await anonymous.get("/v1/nothing")
        assert answer.error[:2] == (401, "Unauthorized")
        assert answer.headers["www-authenticate"].startswith("Basic realm=")

    run(body)


@pytest.mark.parametrize(
    ("site", "status"),
    [
        (None, 201),
        ("http://testserver", 201),
        ("http://testserver:80", 201),
        ("https://testserver", 403),
        ("http://testserver:81", 403),
        ("http://testserver.evil.example", 403),
        ("http://evil.example", 403),
        ("http://[", 403),
        ("null", 403),
    ],
)
def test_pages_of_other_sites_change_nothing(world: World, site: str | None, status: int) -> None:
    """A browser sends a password that was typed into it with whatever a page asks it to send."""
    spec = {"type": "senlin.policy.deletion", "version": "1.0", "properties": {}}
    headers = {"host": "testserver"} | ({} if site is None else {"origin": site})
    asked = {"policy": {"name": "p", "spec": spec}}
    answer = run(lambda: world.client.request("POST", "/v1/policies", asked, headers=headers))
    assert answer.status == status


def test_every_answer_has_a_request_id_of_its_own(world: World) -> None:
    async def body() -> None:
        ids = [
            (await world.client.get(path)).headers["x-openstack-request-id"]
            for path in ("/", "/v1", "/v1/clusters", "/v1/x")
        ]
        assert len(set(ids)) == 4
        assert all(re.fullmatch("req-[0-9a-f-]{36}", one) for one in ids)

    run(body)


@pytest.mark.parametrize(
    ("raw", "headers", "words"),
    [
        (b"", {}, "key"),
        (b"[1]", {}, "JSON object"),
        (b"{", {}, "not JSON"),
        (b'{"cluster": {', {}, "not JSON"),
        (b'{"cluster": "\xff"}', {}, "not JSON"),
        (b'{"name": "x"}', {}, "no key 'cluster'"),
        (b'{"cluster": []}', {}, "a map"),
        (b'{"cluster": {"name": "x", "profile_id": "p"}}', {"content-type": "application/xml"}, "application/json"),
        (b'{"cluster": ' + b'{"a":' * 100 + b"1" + b"}" * 101, {}, "deeper than 64"),
    ],
)
def test_bodies_that_are_none(world: World, raw: bytes, headers: dict[str, str], words: str) -> None:
    answer = run(lambda: world.client.request("POST", "/v1/clusters", raw, headers=headers))
    assert answer.error[:2] == (400, "HTTPBadRequest")
    assert words in answer.error[2]


def test_large_bodies_are_refused_without_being_read(world: World) -> None:
    async def body() -> None:
        large = b'{"cluster": "' + b"x" * 2**21 + b'"}'
        for headers in ({}, {"content-length": ""}):  # announced, and in chunks
            answer = await world.client.request("POST", "/v1/clusters", large, headers=headers)
            assert answer.error[:2] == (400, "RequestLimitExceeded")

    run(body)


def test_a_fault_of_ours_says_nothing_but_where_to_look(world: World, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> float:
        raise ZeroDivisionError("a secret")

    async def body() -> None:
        world.clock.now = fail
        answer = await world.client.get("/v1/clusters")
        assert answer.error[:2] == (500, "InternalError")
        assert b"secret" not in answer.body
        assert answer.headers["x-openstack-request-id"] in answer.error[2]
        assert answer.headers["x-openstack-request-id"] in caplog.text

    run(body)


def test_all_errors_have_a_status_that_exists() -> None:
    from http import HTTPStatus

    def descend(kind: type[SpinneyError]) -> list[type[SpinneyError]]:
        return [kind, *(sub for child in kind.__subclasses__() for sub in descend(child))]

    assert all(HTTPStatus(kind.status) for kind in descend(SpinneyError))
