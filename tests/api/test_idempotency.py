"""A repetition with the same Idempotency-Key is answered as the first was, and makes nothing anew."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection

from api.client import Answer, Client
from api.world import OURS, World, run
from spinney.api.wire import Call, Reply, Route, json_reply
from spinney.errors import BadRequest, SpinneyError
from spinney.store import idempotency as rows
from spinney.store import tables
from spinney.store.idempotency import KEPT

KEY = "7d1f6e1c-once"


async def post(client: Client, path: str, body: Any = None, key: str = KEY) -> Answer:
    return await client.request("POST", path, body, headers={"idempotency-key": key})


def count(world: World, table: sa.Table) -> int:
    return world.store.run(
        lambda connection: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    )


def crash(monkeypatch: pytest.MonkeyPatch, client: Client) -> None:
    """From now on the process dies after the transaction, before its answer is stored or given."""

    async def die(*_: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr("spinney.api.idempotency.Steps.keep", die)


def test_a_repetition_gets_the_first_answer_and_makes_nothing(world: World) -> None:
    body = {"cluster": {"name": "once", "profile_id": world.profile().id}}

    async def main() -> None:
        first = await post(world.client, "/v1/clusters", body)
        again = await post(world.client, "/v1/clusters", body)
        assert (again.status, again.body) == (first.status, first.body) == (202, first.body)
        assert again.headers["location"] == first.headers["location"]
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert again.headers["x-openstack-request-id"] != first.headers["x-openstack-request-id"]

    run(main)
    assert (count(world, tables.cluster), count(world, tables.action)) == (1, 1)


def test_another_body_path_or_version_with_the_key_is_refused(world: World) -> None:
    body = {"cluster": {"name": "once", "profile_id": world.profile().id}}

    async def main() -> None:
        assert (await post(world.client, "/v1/clusters", body)).status == 202
        other = {"cluster": {**body["cluster"], "name": "twice"}}
        for refused in (
            await post(world.client, "/v1/clusters", other),
            await post(world.client, "/v1/clusters?x=1", body),
            await post(world.client.at("clustering 1.5"), "/v1/clusters", body),
            await post(world.client, "/v1/nodes", {"node": body["cluster"]}),
        ):
            assert refused.error[:2] == (422, "IdempotencyKeyReused")

    run(main)
    assert count(world, tables.cluster) == 1


def test_keys_of_projects_have_nothing_to_do_with_each_other(world: World) -> None:
    ours, theirs = world.profile(), world.profile(project="theirs")

    async def main() -> None:
        for client, profile in ((world.client, ours), (world.client.as_user("stranger"), theirs)):
            answer = await post(client, "/v1/clusters", {"cluster": {"name": "c", "profile_id": profile.id}})
            assert answer.status == 202
            assert "idempotency-replayed" not in answer.headers

    run(main)
    assert count(world, tables.cluster) == 2


def test_refusals_are_repeated_too(world: World) -> None:
    body = {"cluster": {"name": "c", "profile_id": "absent"}}

    async def main() -> None:
        first = await post(world.client, "/v1/clusters", body)
        assert first.status == 400
        world.profile("absent")
        again = await post(world.client, "/v1/clusters", body)
        assert (again.status, again.body) == (400, first.body)
        assert (await post(world.client, "/v1/clusters", body, key="another")).status == 202

    run(main)


def test_after_a_day_a_key_is_new_and_its_row_is_forgotten(world: World) -> None:
    body = {"cluster": {"name": "c", "profile_id": world.profile().id}}

    async def main() -> None:
        assert (await post(world.client, "/v1/clusters", body)).status == 202
        world.clock.moment += KEPT + 1
        assert "idempotency-replayed" not in (await post(world.client, "/v1/clusters", body)).headers

    run(main)
    assert count(world, tables.cluster) == 2
    assert world.store.run(rows.prune, world.clock.moment, 100) == 0
    assert world.store.run(rows.prune, world.clock.moment + KEPT, 100) == 1


@pytest.mark.parametrize("key", ["x" * 256, "tab\there", "é"])
def test_a_key_has_to_be_printable_and_short(world: World, key: str) -> None:
    async def main() -> None:
        answer = await world.client.request(
            "POST", "/v1/clusters", {"cluster": {"name": "c", "profile_id": "x"}}, headers={"idempotency-key": key}
        )
        assert answer.error[:2] == (400, "HTTPBadRequest")
        assert "Idempotency-Key" in answer.error[2]

    run(main)


def test_stored_answers_cannot_be_read_in_the_database(world: World) -> None:
    body = {"cluster": {"name": "canary-name", "profile_id": world.profile().id}}

    async def main() -> None:
        assert (await post(world.client, "/v1/clusters", body)).status == 202

    run(main)
    row = world.store.run(lambda connection: connection.execute(sa.select(tables.idempotency)).one())
    assert b"canary-name" not in row.answer
    assert KEY not in (row.key_hash, row.digest)


# -- the process dies between the commit and the answer ------------------------------------------------------------------


def after_a_crash(world: World, path: str, body: Any, monkeypatch: pytest.MonkeyPatch) -> list[Answer]:
    """What two repetitions are told by another process."""

    async def main() -> list[Answer]:
        with monkeypatch.context() as dying:
            crash(dying, world.client)
            with pytest.raises(asyncio.CancelledError):
                await post(world.client.at(OURS), path, body)
        other = Client(world.app(), version=OURS)
        return [await post(other, path, body) for _ in range(2)]

    return run(main)


def test_what_was_committed_before_a_crash_is_found_by_the_repetition(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = {"cluster": {"name": "c", "profile_id": world.profile().id, "desired_capacity": 2}}
    second, third = after_a_crash(world, "/v1/clusters", body, monkeypatch)
    assert second.status == 202
    assert (second.body, second.headers["location"]) == (third.body, third.headers["location"])
    assert second.headers["idempotency-replayed"] == "true"
    action = world.action(second.action)
    assert count(world, tables.action) == 1
    assert action.target == second.json["cluster"]["id"]
    assert count(world, tables.cluster) == 1


def test_a_row_that_a_transaction_returned_makes_the_same_answer_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    second, _ = after_a_crash(
        world, "/v1/nodes", {"node": {"name": "n", "profile_id": world.profile().id}}, monkeypatch
    )
    assert second.status == 202
    assert second.json["node"]["name"] == "n"
    assert count(world, tables.node) == 1


def test_an_action_on_a_cluster_is_not_asked_for_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = world.cluster(world.profile())
    second, _ = after_a_crash(world, f"/v1/clusters/{cluster.id}/actions", {"scale_out": {"count": 1}}, monkeypatch)
    assert second.status == 202
    assert world.action(second.action).target == cluster.id
    assert count(world, tables.action) == 1


def test_where_the_answer_cannot_be_made_again_it_is_told_what_was_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []

    async def handler(call: Call) -> Reply:
        identity = call.deps.ids.new()
        await call.deps.store.transact(lambda connection: made.append(identity) or object())
        return json_reply({})

    route = Route("POST", "things", handler, "clusters:create", "For this test")

    async def main() -> None:
        first = await post(Client(world.app([route])), "/v1/things")
        assert first.status == 200
        world.store.run(lambda connection: connection.execute(tables.idempotency.delete()))
        with monkeypatch.context() as dying:
            crash(dying, world.client)
            with pytest.raises(asyncio.CancelledError):
                await post(Client(world.app([route])), "/v1/things")
        again = await post(Client(world.app([route])), "/v1/things")
        assert again.error[:2] == (409, "Conflict")
        assert made[-1] in again.error[2]
        assert len(made) == 2

    run(main)


@dataclass(frozen=True)
class Thing:
    identity: str
    secret: str


def test_what_was_drawn_is_drawn_again_secrets_included(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Thing] = []

    async def handler(call: Call) -> Reply:
        thing = Thing(call.deps.ids.new(), call.deps.secret())

        def write(connection: Connection) -> Thing:
            call.deps.ids.new()
            made.append(thing)
            return thing

        found = await call.deps.store.transact(write)
        return json_reply({"id": found.identity, "secret": found.secret, "last": call.deps.ids.new()})

    route = Route("POST", "things", handler, "clusters:create", "For this test")

    async def main() -> None:
        with monkeypatch.context() as dying:
            crash(dying, world.client)
            with pytest.raises(asyncio.CancelledError):
                await post(Client(world.app([route])), "/v1/things")
        again = await post(Client(world.app([route])), "/v1/things")
        assert len(made) == 1
        assert (again.json["id"], again.json["secret"]) == (made[0].identity, made[0].secret)

    run(main)


# -- at the same time ----------------------------------------------------------------------------------------------------


def test_a_repetition_while_the_first_is_at_work_is_told_to_come_back(world: World) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(call: Call) -> Reply:
        begun.set()
        await go_on.wait()
        return json_reply({"done": True})

    client = Client(world.app([Route("POST", "things", slow, "clusters:create", "For this test")]))

    async def main() -> None:
        first = asyncio.create_task(post(client, "/v1/things"))
        await begun.wait()
        early = await post(client, "/v1/things")
        assert early.error[:2] == (409, "IdempotencyKeyInUse")
        assert early.headers["retry-after"] == "1"
        go_on.set()
        assert (await first).status == 200
        assert (await post(client, "/v1/things")).headers["idempotency-replayed"] == "true"

    run(main)


def test_of_two_processes_at_the_same_time_one_makes_it_and_both_answer_alike(world: World) -> None:
    body = {"cluster": {"name": "c", "profile_id": world.profile().id}}

    async def main() -> None:
        clients = [Client(world.app()) for _ in range(4)]
        answers = await asyncio.gather(*(post(client, "/v1/clusters", body) for client in clients))
        assert {(answer.status, answer.body) for answer in answers} == {(202, answers[0].body)}

    run(main)
    assert (count(world, tables.cluster), count(world, tables.action)) == (1, 1)


# -- failures ------------------------------------------------------------------------------------------------------------


def test_failures_of_ours_are_not_kept_and_what_was_refused_inside_is_rolled_back(world: World) -> None:
    tries = 0

    async def handler(call: Call) -> Reply:
        nonlocal tries
        tries += 1

        def write(connection: Connection) -> None:
            connection.execute(tables.meta.insert().values(key=f"try-{tries}", value=""))
            if tries == 1:
                raise SpinneyError("no")
            raise BadRequest("no")

        await call.deps.store.transact(write)
        return json_reply({})

    client = Client(world.app([Route("POST", "things", handler, "clusters:create", "For this test")]))

    async def main() -> None:
        assert [(await post(client, "/v1/things")).status for _ in range(3)] == [500, 400, 400]

    before = count(world, tables.meta)
    run(main)
    assert tries == 2
    assert count(world, tables.meta) == before


def test_a_request_that_fails_after_it_changed_something_changes_it_once(world: World) -> None:
    async def handler(call: Call) -> Reply:
        await call.deps.store.transact(
            lambda connection: (
                connection.execute(tables.meta.insert().values(key=call.deps.ids.new(), value="")) and None
            )
        )
        raise ZeroDivisionError

    client = Client(world.app([Route("POST", "things", handler, "clusters:create", "For this test")]))
    before = count(world, tables.meta)

    async def main() -> None:
        assert [(await post(client, "/v1/things")).status for _ in range(2)] == [500, 409]

    run(main)
    assert count(world, tables.meta) == before + 1
