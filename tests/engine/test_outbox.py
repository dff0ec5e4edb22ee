"""Messages to addresses that projects chose."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

import orjson
import pytest
from aiohttp import web

from engine.killing import MortalStore, Reaper
from engine.world import KEYS, World
from permitted import LOOPBACK
from spinney.domain import webhook
from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.egress import NO_RULES
from spinney.domain.event import Event
from spinney.domain.secret import Secret, SecretType
from spinney.drivers.egress.client import Answer, Outgoing
from spinney.engine import outbox as sending
from spinney.errors import OutgoingFailed
from spinney.store import secrets, tables
from spinney.store.rows import ACTIONS
from virtual_time import run_virtually

URL = "https://hooks.example/told?a=b"
Sent = tuple[float, str, Mapping[str, str], bytes]


class Post:
    """What an engine sends with: remembers, and answers what the test says."""

    def __init__(self, world: World, answer: Callable[[int], int | Exception] = lambda count: 204) -> None:
        self.world = world
        self.sent: list[Sent] = []
        self.answer = answer
        self.takes = 0.1

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        seconds: float = 10.0,
        largest: int = 65536,
    ) -> Answer:
        assert method == "POST"
        self.sent.append((self.world.clock.now(), url, headers or {}, body))
        found = self.answer(len(self.sent))
        await asyncio.sleep(self.takes)
        if isinstance(found, Exception):
            raise found
        return Answer(found, b"")

    async def close(self) -> None: ...


def held(world: World, project: str = "p") -> str:
    """An action that waits for its hook."""
    action = Action(
        id=world.ids.new(), name="node_delete_x", target=world.ids.new(), action=ActionKind.NODE_DELETE,
        cause=Cause.DERIVED, status=ActionStatus.WAITING_LIFECYCLE_COMPLETION, status_reason="", user="u",
        project=project, ready_at=world.clock.now() + 1e6,
    )  # fmt: skip
    world.store.run(ACTIONS.insert, [action])
    return action.id


def tell(world: World, project: str = "p", seconds: float = 600.0, **values: Any) -> str:
    now = world.clock.now()
    row = {
        "id": world.ids.new(), "action_id": held(world, project), "project": project, "url": URL, "secret_id": None,
        "secret_key": None, "body": {"lifecycle_action_token": "t"}, "attempts": 0, "next_at": now,
        "expires_at": now + seconds, **values,
    }  # fmt: skip
    world.store.run(lambda c: c.execute(tables.outbox.insert(), row))
    return str(row["id"])


def left(world: World) -> int:
    return len(world.store.run(lambda c: c.execute(tables.outbox.select()).all()))


def told(world: World) -> list[str]:
    found: list[Event] = list(world.events())
    return [f"{event.level.name}: {event.status_reason}" for event in found if event.status == "error"]


def test_a_message_is_sent_once_and_forgotten() -> None:
    async def story() -> None:
        world = World(host_count=0)
        post = Post(world)
        message = tell(world)
        async with world.engine(outgoing=post):
            await world.until(lambda: left(world) == 0)
            await world.clock.sleep(sending.HOLD + 5)
        ((_, url, headers, body),) = post.sent
        assert (url, orjson.loads(body)) == (URL, {"lifecycle_action_token": "t"})
        assert headers == {"Content-Type": "application/json", sending.DELIVERY: message}
        assert told(world) == []

    run_virtually(story())


def test_several_engines_send_each_message_once() -> None:
    async def story() -> None:
        world = World(host_count=0)
        post = Post(world)
        expected = {tell(world) for _ in range(60)}
        async with world.engine(outgoing=post), world.engine(outgoing=post), world.engine(outgoing=post):
            await world.until(lambda: left(world) == 0)
            await world.clock.sleep(sending.HOLD + 5)
        assert sorted(headers[sending.DELIVERY] for _, _, headers, _ in post.sent) == sorted(expected)

    run_virtually(story())


def test_failures_are_repeated_at_growing_intervals_and_told_once() -> None:
    async def story() -> None:
        world = World(host_count=0)
        answers = [500, OutgoingFailed("nothing answers there"), 302, 404, 200]
        post = Post(world, lambda count: answers[count - 1])
        message = tell(world)
        async with world.engine(outgoing=post):
            await world.until(lambda: left(world) == 0)
        times = [moment for moment, *_ in post.sent]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert len(times) == 5 and gaps == sorted(gaps)
        assert {headers[sending.DELIVERY] for _, _, headers, _ in post.sent} == {message}
        (event,) = told(world)
        assert event.startswith("WARN: The hook at hooks.example could not be told: it answers with HTTP status 500")

    run_virtually(story())


def test_it_is_given_up_when_its_time_is_up() -> None:
    async def story() -> None:
        world = World(host_count=0)
        post = Post(world, lambda count: 503)
        tell(world, seconds=20)
        async with world.engine(outgoing=post):
            await world.until(lambda: left(world) == 0)
        first, last = told(world)
        assert "HTTP status 503" in first and last.startswith("WARN: The hook at hooks.example was not told after")
        assert 3 <= len(post.sent) <= 6

    run_virtually(story())


def test_an_address_that_is_not_permitted_is_given_up_at_once() -> None:
    async def story() -> None:
        world = World(host_count=0)
        tell(world, url="http://169.254.169.254/latest/")
        outgoing = Outgoing(NO_RULES)
        async with world.engine(outgoing=outgoing):
            await world.until(lambda: left(world) == 0, 5)
        await outgoing.close()
        (event,) = told(world)
        assert "it leads to an address of a cloud's metadata service" in event

    run_virtually(story())


def test_what_expired_while_no_engine_ran_is_not_sent() -> None:
    async def story() -> None:
        world = World(host_count=0)
        post = Post(world)
        tell(world, seconds=-1)
        async with world.engine(outgoing=post):
            await world.until(lambda: left(world) == 0)
        assert post.sent == [] and "its time was up" in told(world)[0]

    run_virtually(story())


def test_a_slow_address_holds_up_no_other_project() -> None:
    async def story() -> None:
        world = World(host_count=0)
        post = Post(world)
        post.takes = 9.0
        for _ in range(50):
            tell(world, "slow")
        for name in ("a", "b", "c"):
            tell(world, name)
        async with world.engine(outgoing=post):
            await world.until(lambda: len(post.sent) >= 7)
            waited = {url for _, url, _, _ in post.sent}
            assert waited == {URL}
            projects = {row.project for row in world.store.run(lambda c: c.execute(tables.outbox.select()).all())}
            started = world.store.run(
                lambda c: c.execute(tables.outbox.select().where(tables.outbox.c.attempts > 0)).all()
            )
            assert projects == {"slow", "a", "b", "c"}
            assert sorted(row.project for row in started) == ["a", "b", "c", "slow", "slow", "slow", "slow"]

    run_virtually(story())


def secret(world: World, **data: str) -> str:
    made = world.ids.new()
    sealed = KEYS.public.seal(orjson.dumps(data), made)
    row = Secret(
        id=made, name=made, type=SecretType.OPAQUE, sealed=sealed, reference=None, facts={"keys": sorted(data)},
        version=1, user="u", project="p", domain=None, created_at=0.0,
    )  # fmt: skip
    world.store.run(secrets.insert, row)
    return made


@pytest.mark.parametrize("key", [None, "signing"])
def test_what_names_a_secret_is_signed_with_it(key: str | None) -> None:
    async def story() -> None:
        world = World(host_count=0)
        post = Post(world)
        tell(world, secret_id=secret(world, signing="hush"), secret_key=key)
        async with world.engine(outgoing=post):
            await world.until(lambda: left(world) == 0)
        ((_, url, headers, body),) = post.sent
        at = int(headers[webhook.TIMESTAMP])
        assert abs(at - world.clock.now()) < 60
        made = webhook.signature(webhook.signing_key(b"hush"), "POST", webhook.target(url), at, body)
        assert headers[webhook.SIGNATURE] == f"v1={made}"
        assert b"hush" not in repr(post.sent).encode()

    run_virtually(story())


def test_without_its_secret_it_is_not_sent_at_all() -> None:
    async def story() -> None:
        world = World(host_count=0)
        post = Post(world)
        tell(world, secret_id=world.ids.new())
        tell(world, secret_id=secret(world, one="1", two="2"))
        async with world.engine(outgoing=post):
            await world.until(lambda: left(world) == 0)
        assert post.sent == []
        assert "does not exist any more" in "".join(told(world)) and "several keys" in "".join(told(world))

    run_virtually(story())


@pytest.mark.parametrize("step", range(1, 7))
def test_an_engine_that_dies_while_sending_loses_nothing(step: int) -> None:
    """Killed at every transaction: another engine sends what has not been answered, and what may not have been."""

    async def story() -> None:
        world = World(host_count=0)
        post, reaper = Post(world), Reaper(step)
        message = tell(world)
        mortal: Any = MortalStore(world.store, reaper)
        dying = asyncio.create_task(sending.deliver(world.context(outgoing=post, store=mortal)))
        await world.clock.sleep(5)
        dying.cancel()
        await asyncio.gather(dying, return_exceptions=True)
        assert reaper.dead or left(world) == 0
        async with world.engine(outgoing=post):
            await world.until(lambda: left(world) == 0, 2 * sending.HOLD)
            await world.clock.sleep(2 * sending.HOLD)
        assert 1 <= len(post.sent) <= 2
        assert {headers[sending.DELIVERY] for _, _, headers, _ in post.sent} == {message}

    run_virtually(story())


def test_over_real_connections() -> None:
    seen: list[tuple[str, str, bytes]] = []

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        seen.append((request.path_qs, request.headers[sending.DELIVERY], await request.read()))
        return web.Response(status=500 if len(seen) == 1 else 202)

    async def story() -> None:
        runner = web.ServerRunner(web.Server(handler, access_log=None), shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        world, outgoing = World(host_count=0), Outgoing(LOOPBACK)
        message = tell(world, url=f"http://127.0.0.1:{runner.addresses[0][1]}/told?a=b")
        try:
            async with world.engine(outgoing=outgoing):
                await world.until(lambda: left(world) == 0, 20)
        finally:
            await outgoing.close()
            await runner.cleanup()
        assert seen == [("/told?a=b", message, b'{"lifecycle_action_token":"t"}')] * 2

    asyncio.run(story())
