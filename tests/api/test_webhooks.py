"""Starting what receivers are for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from api.client import Answer
from api.world import OURS, World, run
from spinney.config import WebhookSettings
from spinney.domain import webhook
from spinney.store import tables

Made = dict[str, Any]


async def make(world: World, action: str = "CLUSTER_SCALE_OUT", **values: Any) -> Made:
    given = {"name": "r", "type": "webhook", "cluster_id": "c1", "action": action, **values}
    answer = await world.client.at(OURS).post("/v1/receivers", {"receiver": given})
    assert answer.status == 201, answer.body
    found: Made = answer.json["receiver"]
    return found


async def post(world: World, url: str, body: Any = None, version: str | None = None, **headers: str) -> Answer:
    """As an alarm tool does: no credentials, no version."""
    path = url.partition("://")[2].partition("/")[2]
    named = {name.lower(): value for name, value in headers.items()}
    return await world.client.at(version).request("POST", f"/{path}", body, headers={"authorization": "", **named})


def bare(made: Made) -> str:
    return str(made["channel"]["alarm_url"]).partition("&secret=")[0]


def signed(world: World, made: Made, body: bytes = b"", at: float = 0.0, secret: str | None = None) -> dict[str, str]:
    key = (secret or made["channel"]["secret"]).encode()
    target = b"/v1" + bare(made).encode().partition(b"/v1")[2]
    return webhook.signed_headers(key, "POST", target, int(world.clock.now() + at), body)


@pytest.fixture
def lenient(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, webhook=WebhookSettings(allow_open_urls=True))
    yield made
    made.store.close()


@pytest.fixture
def ready(world: World) -> World:
    world.cluster(world.profile(), members=2)
    return world


def test_the_alarm_url_alone_is_enough(ready: World) -> None:
    async def body() -> None:
        made = await make(ready, params={"count": 2})
        answer = await post(ready, made["channel"]["alarm_url"])
        assert answer.json == {"action": answer.action} and ready.rung == 1
        action = ready.action(answer.action)
        assert (action.action, action.inputs) == ("CLUSTER_SCALE_OUT", {"count": 2})
        assert (action.user, action.project, action.target) == ("admin", "ours", made["cluster_id"])
        assert action.name == f"webhook_{made['id'][:8]}"

    run(body)


@pytest.mark.parametrize("how", ["bearer", "header", "query", "signed"])
def test_each_proof_starts_it_and_a_wrong_one_does_not(ready: World, how: str) -> None:
    async def attempt(made: Made, secret: str) -> Answer:
        if how == "bearer":
            return await post(ready, bare(made), authorization=f"Bearer {secret}")
        if how == "header":
            return await post(ready, bare(made), **{webhook.SECRET: secret})
        if how == "query":
            return await post(ready, f"{bare(made)}&secret={secret}")
        return await post(ready, bare(made), **signed(ready, made, secret=secret))

    async def body() -> None:
        made = await make(ready)
        assert (await attempt(made, "x" * 43)).error[:2] == (404, "ResourceNotFound")
        assert (await attempt(made, made["channel"]["secret"])).status == 202

    run(body)


def test_all_refusals_are_alike_and_cost_the_same(ready: World) -> None:
    """Status, words and number of statements."""

    async def body() -> None:
        made = await make(ready)
        closed = await make(ready, name="off", enabled=False)
        expired = await make(ready, name="old", expires_at="2030-01-01T00:00:00Z")
        unknown = {**made, "id": ready.ids.new()}
        unknown["channel"] = {**made["channel"], "alarm_url": bare(made).replace(made["id"], unknown["id"])}
        old = signed(ready, made, at=-webhook.TOLERANCE - 1)
        for table, id in ((tables.receiver, expired["id"]),):
            ready.change(table, id, expires_at=1.0)
        right = {webhook.SECRET: made["channel"]["secret"]}
        attempts: list[tuple[Made, dict[str, str]]] = [
            (made, {}),
            (made, {webhook.SECRET: "wrong"}),
            (made, {webhook.SECRET: ""}),
            (made, {"authorization": "Bearer wrong"}),
            (made, old),
            (made, signed(ready, made, at=webhook.TOLERANCE + 1)),
            (made, signed(ready, made, b"another body")),
            (made, {**right, webhook.SIGNATURE: "v1=garbled"}),
            (made, {**right, webhook.SIGNATURE: "v1=" + "0" * 64}),
            (closed, {webhook.SECRET: closed["channel"]["secret"]}),
            (expired, {webhook.SECRET: expired["channel"]["secret"]}),
            (unknown, right),
            (unknown, signed(ready, unknown)),
        ]
        seen = set()
        for one, headers in attempts:
            with counted(ready) as statements:
                answer = await post(ready, bare(one), **headers)
            status, kind, text = answer.error
            seen.add((status, kind, text.replace(one["id"], "ID"), len(statements)))
        assert seen == {(404, "ResourceNotFound", "The receiver 'ID' could not be found.", 1)}
        word = await post(ready, "http://h/v1/webhooks/r/trigger?V=2", **right)  # by name: ids only
        assert word.error[:2] == (404, "ResourceNotFound")

    run(body)


class counted:
    """The statements that are sent to the database meanwhile."""

    def __init__(self, world: World) -> None:
        self.engine, self.seen = world.store.engine, list[str]()

    def __enter__(self) -> list[str]:
        sa.event.listen(self.engine, "before_cursor_execute", self._count)
        return self.seen

    def __exit__(self, *_: object) -> None:
        sa.event.remove(self.engine, "before_cursor_execute", self._count)

    def _count(self, connection: Any, cursor: Any, statement: str, *_: object) -> None:
        if not statement.startswith("BEGIN"):
            self.seen.append(statement)


def test_a_signed_request_is_obeyed_once(ready: World) -> None:
    async def body() -> None:
        made = await make(ready, "CLUSTER_CHECK")
        headers = signed(ready, made)
        first = await post(ready, bare(made), **headers)
        ready.end(first.action)
        assert (await post(ready, bare(made), **headers)).error[:2] == (404, "ResourceNotFound")
        ready.clock.moment += 1
        assert (await post(ready, bare(made), **signed(ready, made))).status == 202

    run(body)


def test_of_the_same_signed_request_at_the_same_time_one_is_obeyed(ready: World) -> None:
    async def body() -> None:
        made = await make(ready, "CLUSTER_CHECK")
        headers = signed(ready, made)
        answers = await asyncio.gather(*(post(ready, bare(made), **headers) for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [202, 404, 404, 404, 404]

    run(body)


def test_a_signed_request_that_was_refused_for_a_conflict_may_come_again(ready: World) -> None:
    async def body() -> None:
        made = await make(ready, "CLUSTER_CHECK")
        first = await post(ready, made["channel"]["alarm_url"])
        headers = signed(ready, made)
        assert (await post(ready, bare(made), **headers)).error[:2] == (409, "ActionConflict")
        ready.end(first.action)
        assert (await post(ready, bare(made), **headers)).status == 202

    run(body)


def test_the_signature_covers_path_query_and_body(ready: World) -> None:
    async def body() -> None:
        made = await make(ready)
        sent = json.dumps({"count": 3}).encode()
        headers = signed(ready, made, sent)
        for url, content in (
            (bare(made), json.dumps({"count": 4}).encode()),
            (bare(made).replace("?V=2", "?V=2&V=2"), sent),
            (bare(made) + "&count=9", sent),
        ):
            assert (await post(ready, url, content, **headers)).status == 404
        assert (await post(ready, bare(made), sent, **headers)).status == 202

    run(body)


def test_versions_of_the_body(ready: World) -> None:
    async def body() -> None:
        made = await make(ready, params={"count": 1})
        url = made["channel"]["alarm_url"]
        one = url.replace("V=2", "V=1")

        async def count(url: str, given: Any, version: str | None = None) -> Any:
            answer = await post(ready, url, given, version)
            if answer.status != 202:
                return answer.error[0]
            ready.end(answer.action)
            return ready.action(answer.action).inputs.get("count")

        assert await count(url, None) == 1
        assert await count(url, {"count": "2"}) == 2
        assert await count(url, {"count": 3, "alarm_name": "cpu", "reason_data": {"count": 9}}) == 3
        assert await count(url, b"text, as some tools send it") == 1
        assert await count(one, {"params": {"count": 4}}) == 4
        assert await count(one, None) == 1
        assert await count(one, {"count": 5}) == 400
        assert await count(one, {"params": []}) == 400
        assert await count(one, {"count": 5}, "clustering 1.10") == 5
        assert await count(url.replace("V=2&", ""), None) == 400
        assert await count(url.replace("V=2&", "V=3&"), None) == 400
        assert await count(url, {"count": 0}) == 400
        assert await count(url, {"count": -1}) == 400
        assert await count(url, {"count": 5000}) == 400
        assert await count(url, b"{") == 400

    run(body)


@pytest.mark.parametrize(
    ("action", "inputs", "stored"),
    [
        ("CLUSTER_SCALE_IN", {}, {}),
        ("CLUSTER_RESIZE", {"adjustment_type": "EXACT_CAPACITY", "number": 1}, {"number": 1}),
        ("CLUSTER_RECOVER", {"check": True, "severity": "low"}, {"check": True}),
        ("CLUSTER_CHECK", {"delete_check_action": False, "noise": 1}, {"delete_check_action": False}),
        ("CLUSTER_DELETE", {"force": "true"}, {"force": True}),
        ("CLUSTER_UPDATE", {"name": "renamed", "noise": 1}, {"name": "renamed"}),
        ("CLUSTER_OPERATION", {"operation": "restart", "noise": 1}, {"operation": "restart"}),
        ("CLUSTER_DEL_NODES", {"nodes": ["c1-1"]}, {"count": 1}),
        ("CLUSTER_REBALANCE", {"max_moves": 1}, {"max_moves": 1}),
    ],
)
def test_every_kind_of_action(ready: World, action: str, inputs: dict[str, Any], stored: dict[str, Any]) -> None:
    async def body() -> None:
        made = await make(ready, action)
        answer = await post(ready, made["channel"]["alarm_url"], inputs)
        found = ready.action(answer.action)
        assert found.action == action and "noise" not in found.inputs and "severity" not in found.inputs
        assert {key: found.inputs[key] for key in stored} == stored

    run(body)


@pytest.mark.parametrize(
    ("action", "inputs"),
    [
        ("CLUSTER_RESIZE", {}),
        ("CLUSTER_RESIZE", {"number": 5}),
        ("CLUSTER_ADD_NODES", {"nodes": ["nope"]}),
        ("CLUSTER_ATTACH_POLICY", {"policy_id": "nope"}),
        ("CLUSTER_UPDATE", {}),
        ("CLUSTER_UPDATE", {"profile_id": "nope"}),
        ("CLUSTER_OPERATION", {}),
        ("CLUSTER_OPERATION", {"operation": "fly"}),
    ],
)
def test_inputs_are_checked_as_usual(ready: World, action: str, inputs: dict[str, Any]) -> None:
    async def body() -> None:
        made = await make(ready, action)
        assert (await post(ready, made["channel"]["alarm_url"], inputs)).error[0] == 400

    run(body)


def test_conflicts_are_as_usual(ready: World) -> None:
    async def body() -> None:
        made = await make(ready)
        url = made["channel"]["alarm_url"]
        first = await post(ready, url)
        assert (await post(ready, url)).error[:2] == (409, "ActionConflict")
        ready.change(tables.action, first.action, status="RUNNING", running_target=made["cluster_id"])
        assert (await post(ready, url)).error[:2] == (409, "ResourceIsLocked")

    run(body)


def test_no_more_than_so_many_a_minute(ready: World) -> None:
    async def body() -> None:
        made = await make(ready, "CLUSTER_CHECK", rate_limit=2)

        async def attempt() -> int:
            answer = await post(ready, made["channel"]["alarm_url"])
            if answer.status == 202:
                ready.end(answer.action)
            return answer.status

        assert [await attempt() for _ in range(4)] == [202, 202, 429, 429]
        assert (await post(ready, made["channel"]["alarm_url"])).headers["retry-after"] == "60"
        ready.clock.moment += 61
        assert await attempt() == 202
        assert (await post(ready, bare(made))).status == 404  # who has no proof learns of no limit

    run(body)


def test_a_signed_request_that_was_obeyed_uses_nothing_up(ready: World) -> None:
    async def body() -> None:
        made = await make(ready, "CLUSTER_CHECK", rate_limit=2)
        headers = signed(ready, made)
        first = await post(ready, bare(made), **headers)
        ready.end(first.action)
        assert [(await post(ready, bare(made), **headers)).status for _ in range(4)] == [404] * 4
        assert (await post(ready, made["channel"]["alarm_url"])).status == 202

    run(body)


def test_after_rotation_only_the_new_secret_counts(ready: World) -> None:
    async def body() -> None:
        made = await make(ready, "CLUSTER_CHECK")
        new = (await ready.client.at(OURS).post(f"/v1/receivers/{made['id']}/rotate")).json["receiver"]
        assert (await post(ready, made["channel"]["alarm_url"])).status == 404
        assert (await post(ready, bare(made), **signed(ready, made))).status == 404
        assert (await post(ready, bare(made), **signed(ready, new))).status == 202

    run(body)


def test_an_open_url_needs_the_operators_leave(lenient: World) -> None:
    lenient.cluster(lenient.profile(), members=1)

    async def body() -> None:
        made = await make(lenient, "CLUSTER_CHECK")
        assert made["channel"]["alarm_url"] == bare(made)
        first = await post(lenient, bare(made))
        assert first.status == 202
        lenient.end(first.action)
        assert (await post(lenient, f"{bare(made)}&secret=wrong")).status == 404
        await lenient.client.at(OURS).patch(f"/v1/receivers/{made['id']}", {"receiver": {"open": False}})
        assert (await post(lenient, bare(made))).status == 404
        strict = World(Path(str(lenient.store.url.database)).parent)
        lenient.change(tables.receiver, made["id"], open=True)
        assert (await post(strict, bare(made))).status == 404
        strict.store.close()

    run(body)


def test_an_admins_receiver_acts_within_the_project_of_the_cluster(world: World) -> None:
    profile = world.profile(project="theirs")
    theirs = world.cluster(profile, members=1, project="theirs", user="stranger")

    async def body() -> None:
        made = await make(world, "CLUSTER_CHECK", cluster_id=theirs.id)
        action = world.action((await post(world, made["channel"]["alarm_url"])).action)
        assert (action.user, action.project) == ("admin", "theirs")

    run(body)


def test_no_receiver_for_what_the_rules_do_not_let_one_do(ready: World) -> None:
    """A receiver must not be a way around a deployment's own rules."""
    from spinney.api.access import RULES

    assert {"clusters:delete", "clusters:update", "clusters:operation", "clusters:action"} <= set(RULES)

    async def body() -> None:
        given = {"name": "r", "type": "webhook", "cluster_id": "c1", "action": "CLUSTER_DELETE"}
        refused = await ready.client.as_user("reader").post("/v1/receivers", {"receiver": given})
        assert refused.error[:2] == (403, "Forbidden")

    run(body)


def test_the_audit_line_tells_for_whom_and_neither_logs_nor_answers_tell_the_secret(
    ready: World, caplog: pytest.LogCaptureFixture
) -> None:
    async def body() -> None:
        caplog.set_level("DEBUG")
        made = await make(ready)
        secret = made["channel"]["secret"]
        answers = [
            await post(ready, made["channel"]["alarm_url"]),
            await post(ready, made["channel"]["alarm_url"]),
            await post(ready, made["channel"]["alarm_url"] + "x"),
            await post(ready, bare(made), b"{", authorization=f"Bearer {secret}"),
        ]
        assert [answer.status for answer in answers] == [202, 409, 404, 400]
        assert f"receiver {made['id']} for user admin of project ours, by its bearer proof" in caplog.text
        assert secret not in caplog.text
        assert all(secret.encode() not in answer.body for answer in answers)

    run(body)
