"""Who did what is written down, and nothing that opens anything."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.client import PASSWORD, Client
from api.world import OURS, START, World, run
from api.world import world as make_world
from spinney.api.app import Api
from spinney.api.audit import AuditFile
from spinney.api.wire import Call, Reply, Route, json_reply
from spinney.clock import iso
from spinney.errors import BadRequest


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    file = AuditFile(str(tmp_path / "audit.log"))
    file.open()
    yield tmp_path / "audit.log"
    file.close()


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_a_change_has_a_line_that_says_who_did_what_to_what(world: World, log: Path) -> None:
    profile = world.profile()

    async def body() -> None:
        made = await world.client.post("/v1/clusters", {"cluster": {"name": "c", "profile_id": profile.id}})
        cluster = made.json["cluster"]["id"]
        deleted = await world.client.delete(f"/v1/clusters/{cluster}?force=true")
        create, delete = lines(log)
        assert create == {
            "time": iso(world.clock.moment),
            "request_id": made.headers["x-openstack-request-id"],
            "user": "admin",
            "project": "ours",
            "domain": None,
            "roles": ["admin", "manager", "member", "reader"],
            "address": "127.0.0.1",
            "method": "POST",
            "path": "/v1/clusters",
            "rule": "clusters:create",
            "targets": [cluster],
            "status": 202,
            "action": made.action,
            "repeated": False,
            "notes": [],
        }
        assert (delete["path"], delete["targets"]) == (f"/v1/clusters/{cluster}", [cluster])
        assert (delete["status"], delete["action"]) == (deleted.status, deleted.action)

    assert world.clock.moment > START
    run(body)


def test_reading_leaves_no_line_but_where_it_is_denied(world: World, log: Path) -> None:
    async def body() -> None:
        assert (await world.client.get("/v1/clusters")).status == 200
        assert (await world.client.get("/v1/clusters/absent")).status == 404
        assert lines(log) == []
        assert (await world.client.as_user("nobody").get("/v1/clusters")).status == 403
        assert (await world.client.as_user("wrong").get("/v1/clusters")).status == 401
        denied, unknown = lines(log)
        assert (denied["status"], denied["user"], denied["rule"]) == (403, "nobody", "clusters:index")
        assert (unknown["status"], unknown["user"], unknown["address"]) == (401, None, "127.0.0.1")

    run(body)


def test_a_repetition_is_told_from_the_first(world: World, log: Path) -> None:
    body = {"cluster": {"name": "c", "profile_id": world.profile().id}}

    async def main() -> None:
        for _ in range(2):
            await world.client.request("POST", "/v1/clusters", body, headers={"idempotency-key": "k"})
        assert [line["repeated"] for line in lines(log)] == [False, True]

    run(main)


def test_nothing_secret_is_written(world: World, log: Path) -> None:
    async def handler(call: Call) -> Reply:
        raise BadRequest(f"no {call.word}")

    client = Client(
        world.app([Route("POST", "things/{token}", handler, "clusters:get", "For this test")]), version=OURS
    )
    data = {"credential": {"name": "hub", "type": "registry", "data": {"password": "canary"}}}

    async def body() -> None:
        await world.client.at(OURS).post("/v1/credentials", data)
        await world.client.post("/v1/clusters?sig=canary", {"cluster": {"name": "canary"}})
        assert (await client.post("/v1/things/canary")).status == 400

    run(body)
    assert lines(log)[-1]["path"] == "/v1/things/***"
    assert len(lines(log)) == 3
    assert "canary" not in log.read_text()
    assert PASSWORD not in log.read_text()


def test_handlers_add_what_is_worth_knowing(world: World, log: Path) -> None:
    async def handler(call: Call) -> Reply:
        call.audited.append("grant gpu was used")
        return json_reply({})

    client = Client(world.app([Route("POST", "things", handler, "clusters:get", "For this test")]), version=OURS)

    async def body() -> None:
        await client.post("/v1/things")

    run(body)
    assert lines(log)[0]["notes"] == ["grant gpu was used"]


def test_what_was_answered_before_it_ended_is_told_again_at_its_end(tmp_path: Path, log: Path) -> None:
    go_on = asyncio.Event()

    async def slow(call: Call) -> Reply:
        await go_on.wait()
        return json_reply({})

    async def body(app: Api) -> None:
        client = Client(app, version=OURS)
        assert (await client.post("/v1/things")).status == 503
        go_on.set()
        for _ in range(20):
            await asyncio.sleep(0)

    with make_world(tmp_path, handler_timeout=0.01) as world:
        run(lambda: body(world.app([Route("POST", "things", slow, "clusters:get", "For this test")])))
    early, late = lines(log)
    assert (early["status"], late["status"]) == (503, 200)
    assert early["request_id"] == late["request_id"]


def test_a_file_that_was_moved_away_is_begun_anew(world: World, log: Path) -> None:
    body = {"cluster": {"name": "c", "profile_id": world.profile().id}}

    async def main() -> None:
        await world.client.post("/v1/clusters", body)

    run(main)
    log.rename(log.with_suffix(".1"))
    run(main)
    assert len(lines(log)) == len(lines(log.with_suffix(".1"))) == 1


def test_a_name_cannot_begin_a_line_of_its_own(world: World, log: Path) -> None:
    async def body() -> None:
        await world.client.request("DELETE", '/v1/clusters/x%0A{"user":"admin"}')
        await world.client.request("DELETE", "/v1/x%0Ay")

    run(body)
    assert len(lines(log)) == 2


def test_without_a_file_lines_go_where_the_log_goes(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        with caplog.at_level(logging.INFO, "spinney.audit"):
            await world.client.post("/v1/clusters", {"cluster": {}})

    run(body)
    assert '"rule":"clusters:create"' in caplog.text
