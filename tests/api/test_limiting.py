"""What one project may ask for at a time, and that the others do not notice."""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection

from api.client import Answer, Client
from api.world import START, World, run
from api.world import world as make_world
from spinney.api.limiting import Gate
from spinney.api.wire import NO_LIMITS, Call, Reply, Route, json_reply
from spinney.clock import SystemClock
from spinney.config import LimitSettings
from spinney.errors import TooManyRequests


def limited(world: World, routes: tuple[Route, ...] | None = None, **limits: Any) -> Client:
    return Client(world.app(routes, pace=replace(NO_LIMITS, **limits)), version="clustering 1.14, spinney 1.0")


def route(handler: Callable[[Call], Awaitable[Reply]], method: str = "POST") -> tuple[Route, ...]:
    return (Route(method, "things", handler, "clusters:get", "For this test"),)


def test_beyond_its_rate_a_project_waits_and_then_is_refused_with_when_to_come_back(world: World) -> None:
    client = limited(world, rate=10, burst=5, queue=5)

    async def body() -> None:
        for _ in range(5):
            assert (await client.get("/v1/clusters")).status == 200
        assert world.clock.moment == START
        assert (await client.get("/v1/clusters")).status == 200
        assert START < world.clock.moment < START + 0.2  # it was made to wait
        world.clock.sleep = no_sleep  # type: ignore[method-assign]  # now time stands still
        refused = [answer for answer in [await client.get("/v1/clusters") for _ in range(20)] if answer.status != 200]
        assert len(refused) == 15
        assert refused[0].error[:2] == (429, "TooManyRequests")
        assert int(refused[0].headers["retry-after"]) >= 1
        assert (await client.as_user("stranger").get("/v1/clusters")).status == 200

    run(body)


def test_alone_a_project_may_ask_for_more_than_beside_others(world: World) -> None:
    client = limited(world, shared_rate=1, shared_burst=10, shared_after=60, queue=1)
    stranger = client.as_user("stranger")

    async def body() -> None:
        assert {(await client.get("/v1/clusters")).status for _ in range(50)} == {200}
        assert (await stranger.get("/v1/clusters")).status == 200
        world.clock.sleep = no_sleep  # type: ignore[method-assign]  # now time stands still
        beside = [(await client.get("/v1/clusters")).status for _ in range(20)]
        passed = beside.count(200)
        assert 1 <= passed <= 11  # what each takes at the database counts too
        assert beside == [200] * passed + [429] * (20 - passed)
        assert (await stranger.get("/v1/clusters")).status == 200
        world.clock.moment += 61
        assert {(await client.get("/v1/clusters")).status for _ in range(50)} == {200}

    run(body)


def test_a_change_counts_for_five(world: World) -> None:
    client = limited(world, shared_rate=1, shared_burst=10, shared_after=60, queue=1)

    async def body() -> None:
        await client.as_user("stranger").get("/v1/clusters")
        world.clock.sleep = no_sleep  # type: ignore[method-assign]  # now time stands still
        statuses = [(await client.post("/v1/clusters", {"cluster": {}})).status for _ in range(3)]
        assert statuses == [400, 400, 429]

    run(body)


def test_what_is_heavy_for_the_database_counts_for_more(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    used = itertools.count(step=0.01)  # each look takes five times what a request counts for
    monkeypatch.setattr("spinney.api.limiting.processor_time", lambda: next(used))
    client = limited(world, shared_rate=1, shared_burst=10, shared_after=60, queue=1)

    async def body() -> None:
        await client.as_user("stranger").get("/v1/clusters")
        world.clock.sleep = no_sleep  # type: ignore[method-assign]  # now time stands still
        assert [(await client.get("/v1/clusters")).status for _ in range(3)] == [200, 200, 429]

    run(body)


async def no_sleep(seconds: float) -> None:
    """The clock stands."""


def test_of_one_project_so_many_are_at_work_and_so_many_wait(world: World) -> None:
    at_work, most = 0, 0
    let_go, full = asyncio.Event(), asyncio.Event()

    async def slow(call: Call) -> Reply:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        if at_work == 3:
            full.set()
        await let_go.wait()
        at_work -= 1
        return json_reply({})

    client = limited(world, route(slow), concurrent=2, queue=3)

    async def body() -> None:
        asked = [asyncio.create_task(client.post("/v1/things")) for _ in range(7)]
        other = asyncio.create_task(client.as_user("stranger").post("/v1/things"))
        done, _ = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result().status for task in done} == {429}
        await asyncio.wait_for(full.wait(), 20)
        let_go.set()
        answers: list[Answer] = await asyncio.gather(*asked)
        assert sorted(answer.status for answer in answers) == [200] * 5 + [429] * 2
        assert (await other).status == 200
        assert most == 3  # two of one and one of the other

    run(body)


def test_projects_take_turns_at_the_database(world: World) -> None:
    """A long queue of one is passed by each request of the other."""
    gate = Gate(SystemClock(), NO_LIMITS)
    begun: list[str] = []
    blocked = threading.Event()

    def look(connection: Connection, who: str) -> None:
        begun.append(who)
        assert blocked.wait(20)

    async def body() -> None:
        many, few = (gate.share(world.store, who) for who in ("many", "few"))
        waiting = [asyncio.create_task(many.read(look, "many")) for _ in range(40)]
        await asyncio.sleep(0)
        waiting.append(asyncio.create_task(few.read(look, "few")))
        await asyncio.sleep(0)
        blocked.set()
        await asyncio.gather(*waiting)

    run(body)
    assert begun.index("few") <= 5


def test_streams_are_counted_as_long_as_they_are_open(world: World) -> None:
    gate = Gate(SystemClock(), replace(NO_LIMITS, streams=1))
    with gate.stream("a"):
        with pytest.raises(TooManyRequests, match="1 log followers and terminals open"), gate.stream("a"):
            pass
        with gate.stream("b"):
            pass
    with gate.stream("a"):
        pass


def test_an_address_that_keeps_failing_is_no_longer_listened_to(world: World) -> None:
    client = limited(world, failed_authentications=3)

    async def body() -> None:
        wrong = client.as_user("nobody-knows")
        for _ in range(3):
            assert (await wrong.get("/v1/clusters")).status == 401
        refused = await wrong.get("/v1/clusters")
        assert refused.error[:2] == (429, "TooManyRequests")
        assert "127.0.0.1" in refused.error[2]
        assert (await client.get("/v1/clusters")).status == 429  # from there nobody is asked who they are
        world.clock.moment += 10
        assert (await client.get("/v1/clusters")).status == 200

    run(body)


def test_requests_without_credentials_are_no_guesses(world: World) -> None:
    client = limited(world, failed_authentications=2)

    async def body() -> None:
        for _ in range(5):
            assert (await client.request("GET", "/v1/clusters", headers={"authorization": ""})).status == 401

    run(body)


def test_who_takes_too_long_is_answered_and_what_it_writes_is_written(tmp_path: Path) -> None:
    go_on, written = asyncio.Event(), asyncio.Event()

    async def slow(call: Call) -> Reply:
        await go_on.wait()
        await call.deps.store.transact(lambda connection: connection.exec_driver_sql("SELECT 1").scalar())
        written.set()
        return json_reply({})

    with make_world(tmp_path, handler_timeout=0.01) as world:
        client = limited(world, route(slow))

        async def body() -> None:
            answer = await client.post("/v1/things")
            assert answer.error[:2] == (503, "StillAtWork")
            assert "it goes on" in answer.error[2]
            go_on.set()
            await asyncio.wait_for(written.wait(), 20)

        run(body)


def test_a_reading_request_that_takes_too_long_is_given_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    ended = asyncio.Event()

    async def slow(call: Call) -> Reply:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError("unreachable")

    with make_world(tmp_path, handler_timeout=0.01) as world, caplog.at_level(logging.WARNING):
        client = limited(world, route(slow, "GET"))

        async def body() -> None:
            assert (await client.get("/v1/things")).status == 503
            await asyncio.wait_for(ended.wait(), 20)

        run(body)
    assert "takes too long" in caplog.text


def test_the_limits_are_on_as_delivered() -> None:
    settings = LimitSettings()
    assert all((settings.rate, settings.burst, settings.concurrent, settings.queue, settings.streams))
    assert settings.failed_authentications
