"""Leave to run commands, and the WebSockets that run them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from api.world import OURS, World, run
from spinney.api.app import build_app
from spinney.api.wire import NO_LIMITS
from spinney.clock import SystemClock
from spinney.config import RetentionSettings
from spinney.domain.container import ContainerRequest, ImageRequest
from spinney.domain.node import NodeStatus
from spinney.domain.terminal import SUBPROTOCOL
from spinney.drivers.simulated import EngineSettings, SimulatedEngine, SimulatedHost
from spinney.store import retention, tables

SECRET = "correct-horse-battery"


class Watching:
    """A client of the WebSocket, without a server between."""

    def __init__(self, app: Any, path: str, origin: str | None = None, protocols: tuple[str, ...] = (SUBPROTOCOL,)):
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._out: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._in.put_nowait({"type": "websocket.connect"})
        headers = [(b"host", b"api.example:8777")] + ([(b"origin", origin.encode())] if origin else [])
        scope = {
            "type": "websocket",
            "scheme": "ws",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": headers,
            "subprotocols": list(protocols),
            "client": ("127.0.0.1", 40000),
            "server": ("127.0.0.1", 8777),
            "extensions": {"websocket.http.response": {}},
        }
        self.task = asyncio.create_task(app(scope, self._in.get, self._out.put))

    async def answer(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            return await self._out.get()

    async def refusal(self) -> tuple[int, str]:
        head, body = await self.answer(), await self.answer()
        assert (head["type"], body["type"]) == ("websocket.http.response.start", "websocket.http.response.body")
        await self.task
        return head["status"], json.loads(body["body"])["error"]["message"]

    async def accepted(self) -> None:
        assert await self.answer() == {"type": "websocket.accept", "subprotocol": SUBPROTOCOL}

    def send(self, data: bytes) -> None:
        self._in.put_nowait({"type": "websocket.receive", "bytes": data})

    def leave(self) -> None:
        self._in.put_nowait({"type": "websocket.disconnect", "code": 1006})

    async def told(self) -> tuple[bytes, bytes, Any, int]:
        """Output, error output, the last control, and the code of the closing."""
        async with asyncio.timeout(20):
            return await self._told()

    async def _told(self) -> tuple[bytes, bytes, Any, int]:
        out, err, control = b"", b"", None
        while (message := await self.answer())["type"] == "websocket.send":
            kind, data = message["bytes"][0], message["bytes"][1:]
            match kind:
                case 1:
                    out += data
                case 2:
                    err += data
                case 3:
                    control = json.loads(data)
        assert message["type"] == "websocket.close"
        await self.task
        return out, err, control, message["code"]


class Box:
    """A node whose container runs on a simulated Docker engine."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.node = world.container(world.profile(), world.host())
        self.engine = SimulatedEngine(EngineSettings("one"), SystemClock(), idle_limit=1.0)
        world.access.runner = SimulatedHost(self.engine, time_limit=1.0)

    def begin(self) -> None:
        core = self.engine.core
        made = self.engine.do(
            core.create, ContainerRequest("box", {}, ImageRequest("busybox"), command=("sleep", "600"))
        )
        self.engine.do(core.start, made.id)
        self.world.access.names[str(self.node.physical_id)] = made.id

    async def path(self, *command: str, **more: Any) -> str:
        asked = {"exec": {"command": list(command), **more}}
        answer = await self.world.client.at(OURS).post(f"/v1/nodes/{self.node.id}/exec", asked)
        assert answer.status == 201, answer.body
        return str(answer.json["exec"]["stream_path"])

    async def watch(self, *command: str, **more: Any) -> Watching:
        watching = Watching(self.world.client.app, await self.path(*command, **more))
        await watching.accepted()
        return watching

    async def running(self) -> Watching:
        """Who watches a command that runs, and copies what it reads."""
        watching = await self.watch("sh", "-c", "echo on; cat")
        assert (await watching.answer())["bytes"] == b"\x01on\n"
        return watching


def story(test: Callable[[Box], Awaitable[None]]) -> Callable[[World], None]:
    def body(world: World) -> None:
        box = Box(world)

        async def told() -> None:
            box.begin()
            await test(box)

        run(told)

    body.__name__ = test.__name__
    return body


@story
async def _both_ways(box: Box) -> None:
    watching = await box.watch("sh", "-c", "echo $WORD; cat; echo bad >&2; exit 3", environment={"WORD": "hello"})
    watching.send(b"\x00in\xff")
    watching.send(b'\x03{"eof": true}')
    assert await watching.told() == (b"hello\nin\xff", b"bad\n", {"exit": 3}, 1000)


def test_input_output_and_exit_code(world: World) -> None:
    _both_ways(world)


@story
async def _terminal(box: Box) -> None:
    watching = await box.watch("sh", "-c", "read x; stty size", tty=True)
    watching.send(b'\x03{"resize": {"width": 120, "height": 50}}')
    watching.send(b"\x00\n")
    assert await watching.told() == (b"\r\n50 120\r\n", b"", {"exit": 0}, 1000)


def test_a_terminal_and_its_size(world: World) -> None:
    _terminal(world)


def test_what_is_answered_to_the_request(world: World) -> None:
    box = Box(world)
    asked = {"exec": {"command": ["true"], "environment": {"A": SECRET}, "user": "7:7"}}
    answer = run(lambda: world.client.at(OURS).post("/v1/nodes/box/exec", asked)).json["exec"]
    assert set(answer) == {"id", "stream_path", "expires_at"}
    prefix, _, word = answer["stream_path"].rpartition("/")
    assert prefix == "/v1/execs" and len(word) == 43
    with world.store.engine.connect() as connection:
        (row,) = connection.execute(sa.select(tables.exec_session)).all()
    assert (row.node_id, row.used_at, row.expires_at - world.clock.moment) == (box.node.id, None, 60.0)
    assert word not in str(row) and SECRET not in str(row)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({}, "command"),
        ({"command": []}, "program"),
        ({"command": [""]}, "program"),
        ({"command": ["x" * 70000]}, "65536"),
        ({"command": ["a\x00b"]}, "control characters"),
        ({"command": ["true"], "environment": {"1A": "x"}}, "environment"),
        ({"command": ["true"], "environment": {"A": "x\x00"}}, "environment"),
        ({"command": ["true"], "environment": {f"A{n}": "x" * 30000 for n in range(3)}}, "in all"),
        ({"command": ["true"], "environment": {f"A{n}": "" for n in range(101)}}, "100"),
        ({"command": ["true"], "user": "root; rm"}, "user"),
        ({"command": ["true"], "privileged": True}, "privileged"),
    ],
)
def test_what_is_not_taken(world: World, asked: dict[str, Any], says: str) -> None:
    Box(world)
    answer = run(lambda: world.client.at(OURS).post("/v1/nodes/box/exec", {"exec": asked}))
    assert answer.error[0] == 400 and says in answer.error[2], answer.body


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"physical_id": None, "host_id": None}, "no container"),
        ({"power": "stopped"}, "start it first"),
        ({"power": "paused"}, "unpause it first"),
        ({"status": NodeStatus.RECOVERING.value}, "wait"),
    ],
)
def test_only_in_a_container_that_runs(world: World, change: dict[str, Any], says: str) -> None:
    box = Box(world)
    world.change(tables.node, box.node.id, **change)
    asked = {"exec": {"command": ["true"]}}
    answer = run(lambda: world.client.at(OURS).post("/v1/nodes/box/exec", asked))
    assert answer.error[0] == 409 and says in answer.error[2], answer.body


@story
async def _once(box: Box) -> None:
    path = await box.path("true")
    both = [Watching(box.world.client.app, path) for _ in range(2)]
    kinds = [(await watching.answer())["type"] for watching in both]
    assert sorted(kinds) == ["websocket.accept", "websocket.http.response.start"]
    assert (await both[kinds.index("websocket.accept")].told())[2] == {"exit": 0}
    refused = await Watching(box.world.client.app, path).refusal()
    assert refused[0] == 404
    late = await box.path("true")
    box.world.clock.moment += 61
    for unknown in (late, "/v1/execs/" + "x" * 43, "/v1/execs", "/v1/nodes", "/elsewhere"):
        status, text = await Watching(box.world.client.app, unknown).refusal()
        assert (status, text) == (404, refused[1].replace(path, unknown)), unknown
    box.world.store.run(retention.prune, RetentionSettings())
    with box.world.store.engine.connect() as connection:
        assert connection.execute(sa.select(tables.exec_session)).all() == []


def test_a_path_is_good_once_and_for_a_minute(world: World) -> None:
    _once(world)


@story
async def _sites(box: Box) -> None:
    for origin in ("https://evil.example", "http://api.example", "null", "https://api.example:8777"):
        assert (await Watching(box.world.client.app, await box.path("true"), origin).refusal())[0] == 403, origin
    watching = Watching(box.world.client.app, await box.path("true"), "http://api.example:8777")
    await watching.accepted()
    assert (await watching.told())[2] == {"exit": 0}
    assert (await Watching(box.world.client.app, await box.path("true"), protocols=("other",)).refusal())[0] == 400


def test_pages_of_other_sites_do_not_get_in(world: World) -> None:
    _sites(world)


@story
async def _nonsense(box: Box) -> None:
    for message in (b"", b"\x07", b"\x03nonsense", b'\x03{"resize": {"width": 0, "height": 1}}', b"\x01output"):
        watching = await box.watch("sleep", "600")
        watching.send(message)
        *_, control, code = await watching.told()
        assert control["error"]["type"] == "BadRequest" and code == 1011, message


def test_a_client_that_does_not_keep_to_the_protocol_is_told(world: World) -> None:
    _nonsense(world)


@story
async def _endings(box: Box) -> None:
    core = box.engine.core
    name = box.world.access.names[str(box.node.physical_id)]
    watching = await box.running()
    box.engine.do(core.kill, name, "KILL")
    assert (await watching.told())[2:] == ({"exit": 137}, 1000)
    *_, control, code = await (await box.watch("cat")).told()
    assert "not running" in control["error"]["message"] and code == 1011
    box.engine.do(core.start, name)
    watching = await box.running()
    box.engine.cut()
    *_, control, code = await watching.told()
    assert control["error"]["type"] == "HostUnreachable" and code == 1011


def test_the_end_of_a_container_and_of_a_host_are_told(world: World) -> None:
    _endings(world)


@story
async def _leaving(box: Box) -> None:
    watching = await box.running()
    (running,) = [task for task in asyncio.all_tasks() if "Command._run" in repr(task)]
    watching.leave()
    async with asyncio.timeout(10):
        await asyncio.wait([running, watching.task])


def test_who_leaves_ends_the_command(world: World) -> None:
    _leaving(world)


def test_nothing_of_what_is_asked_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    @story
    async def failing(box: Box) -> None:
        box.world.access.containers.clear()
        watching = await box.watch("echo", SECRET, environment={"A": SECRET})
        *_, control, _code = await watching.told()
        assert control["error"]["type"] == "HostUnreachable" and SECRET not in str(control)

    caplog.set_level(logging.DEBUG)
    failing(world)
    assert "exec" in caplog.text and SECRET not in caplog.text and "/v1/execs/" not in caplog.text


@story
async def _bounds(box: Box) -> None:
    app = box.world.client.app
    box.world.client.app = build_app(replace(app._deps, pace=replace(NO_LIMITS, streams=1, terminal_time=0.5)))
    watching = await box.running()
    status, text = await Watching(box.world.client.app, await box.path("true")).refusal()
    assert status == 429 and "terminals" in text
    *_, control, code = await watching.told()
    assert "has lasted 0.5 s" in control["error"]["message"] and code == 1011
    assert (await (await box.watch("true")).told())[2] == {"exit": 0}


def test_sessions_of_a_project_are_bounded_in_number_and_time(world: World) -> None:
    _bounds(world)
