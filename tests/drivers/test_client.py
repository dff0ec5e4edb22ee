"""How the driver behaves towards a Docker engine that is old, slow, silent, broken or hostile: a scripted one."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from spinney.domain.container import ContainerEventKind, ContainerRequest, ImageRequest, PullPolicy
from spinney.drivers.base import HostAddress
from spinney.drivers.docker import DockerConnector, DockerHost, TimeLimits
from spinney.errors import HostBroken, HostError, HostRefused, HostUnreachable, ImageNotFound

ID = "ab" * 32
EVENT = {"Type": "container", "Action": "oom", "Actor": {"ID": ID, "Attributes": {}}, "timeNano": 1}


@dataclass
class Asked:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    version: str


class Conversation:
    """One request, and the means to answer it."""

    def __init__(self, asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.asked = asked
        self._reader = reader
        self._writer = writer

    async def raw(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def answer(self, status: int, body: object = b"", **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        await self.raw(f"HTTP/1.1 {status} X\r\n{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)

    async def begin(self) -> None:
        await self.raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    async def chunk(self, value: object) -> None:
        data = json.dumps(value).encode() + b"\n"
        await self.raw(f"{len(data):x}\r\n".encode() + data + b"\r\n")

    async def end(self) -> None:
        await self.raw(b"0\r\n\r\n")

    async def until_left(self) -> None:
        """Waits until the other side closes the connection."""
        assert await self._reader.read() == b""


Script = Callable[[Conversation], Awaitable[None]]


class Engine:
    """A Docker engine that says what the test wants."""

    def __init__(self, script: Script, version: str = "1.41") -> None:
        self.version = version
        self.asked: list[Asked] = []
        self._script = script
        self.pings = asyncio.Event()
        self.pings.set()
        self.busy = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._one(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        await reader.readexactly(int(headers.get("content-length", 0)))
        method, target, _ = first.split(" ")
        parts = urlsplit(target)
        version, path = "", parts.path
        if path.startswith("/v1."):
            version, _, path = path.removeprefix("/v").partition("/")
        asked = Asked(method, path.lstrip("/"), parse_qs(parts.query), headers, version)
        conversation = Conversation(asked, reader, writer)
        self.asked.append(asked)
        if asked.path == "_ping":
            await self.pings.wait()
            await conversation.answer(200, b"OK", Api_Version=self.version)
        else:
            self.busy.set()
            await self._script(conversation)


LIMITS = TimeLimits(look=0.5, opening=0.3, change=0.5, pull_silence=0.5, pull=2.0, silence=0.05, heartbeat=0.5)


def on(
    script: Script, body: Callable[[DockerHost, Engine], Awaitable[None]], folder: Path, version: str = "1.41"
) -> None:
    """Runs ``body`` against a Docker engine that follows ``script``."""

    async def run() -> None:
        engine, socket = Engine(script, version), folder / "docker.sock"
        server = await asyncio.start_unix_server(engine.serve, socket)
        connector = DockerConnector(allowed_unix_sockets=[f"{folder}/*"], credentials_dir=folder, limits=LIMITS)
        host = connector.connect(HostAddress(f"unix://{socket}"))
        try:
            async with asyncio.timeout(10):
                await body(host, engine)
        finally:
            await host.close()
            # A connection accepted while its server closes is never closed by asyncio itself.
            await asyncio.sleep(0.01)
            server.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await server.wait_closed()

    asyncio.run(run())


async def empty_list(conversation: Conversation) -> None:
    await conversation.answer(200, [])


@pytest.mark.parametrize(("offered", "spoken"), [("1.41", "1.41"), ("1.99", "1.51"), ("2.0", "1.51")])
def test_the_version_is_the_lower_of_both(tmp_path: Path, offered: str, spoken: str) -> None:
    async def body(host: DockerHost, engine: Engine) -> None:
        assert await host.containers({}) == []
        assert await host.containers({}) == []
        assert [asked.version for asked in engine.asked] == ["", spoken, spoken]

    on(empty_list, body, tmp_path, offered)


@pytest.mark.parametrize("offered", ["1.40", "0.9"])
def test_a_docker_engine_that_is_too_old_is_told_so(tmp_path: Path, offered: str) -> None:
    async def body(host: DockerHost, engine: Engine) -> None:
        with pytest.raises(HostRefused, match=r"20\.10"):
            await host.containers({})

    on(empty_list, body, tmp_path, offered)


def test_another_version_is_agreed_on_when_one_is_refused(tmp_path: Path) -> None:
    async def script(conversation: Conversation) -> None:
        if conversation.asked.method == "GET":
            await conversation.answer(200, [])
        elif conversation.asked.version == "1.47":
            said = "client version 1.47 is too new. Maximum supported API version is 1.43"
            await conversation.answer(400, {"message": said})
        else:
            await conversation.answer(201, {"Id": ID})

    async def body(host: DockerHost, engine: Engine) -> None:
        await host.containers({})
        engine.version = "1.43"
        made = await host.create(ContainerRequest("web", {}, ImageRequest("web")))
        assert made.id == ID
        assert [asked.version for asked in engine.asked] == ["", "1.47", "1.47", "", "1.43"]

    on(script, body, tmp_path, "1.47")


def test_a_docker_engine_that_speaks_nothing_we_know_any_more_is_told_so(tmp_path: Path) -> None:
    async def script(conversation: Conversation) -> None:
        said = "client version 1.51 is too old. Minimum supported API version is 1.60"
        await conversation.answer(400, {"message": said})

    async def body(host: DockerHost, engine: Engine) -> None:
        with pytest.raises(HostRefused, match=r"1\.60.*upgrade Spinney"):
            await host.containers({})
        assert [asked.version for asked in engine.asked] == ["", "1.51", "", "1.51"]

    on(script, body, tmp_path, "1.70")


async def endless(conversation: Conversation) -> None:
    await conversation.begin()
    while True:
        await conversation.chunk("x" * (1 << 20))


async def huge_line(conversation: Conversation) -> None:
    await conversation.begin()
    await conversation.raw(b"400000\r\n" + b"x" * 0x400000 + b"\r\n")


async def redirect(conversation: Conversation) -> None:
    await conversation.answer(301, b"", Location="http://169.254.169.254/")


async def no_json(conversation: Conversation) -> None:
    await conversation.answer(200, b"<html>")


async def wrong_shape(conversation: Conversation) -> None:
    await conversation.answer(200, {"Id": 7})


async def short_body(conversation: Conversation) -> None:
    await conversation.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    raise ConnectionError


async def no_http(conversation: Conversation) -> None:
    await conversation.raw(b"SSH-2.0-OpenSSH\r\n\r\n")


async def silence(conversation: Conversation) -> None:
    await conversation.until_left()


async def trickle(conversation: Conversation) -> None:
    await conversation.begin()
    while True:
        await conversation.chunk("x")
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (endless, HostBroken),
        (redirect, HostBroken),
        (no_json, HostBroken),
        (wrong_shape, HostBroken),
        (short_body, HostUnreachable),
        (no_http, HostUnreachable),
        (silence, HostUnreachable),
        (trickle, HostUnreachable),
    ],
)
def test_an_answer_that_is_none_ends_in_time_with_its_error(
    tmp_path: Path, script: Script, kind: type[HostError]
) -> None:
    async def body(host: DockerHost, engine: Engine) -> None:
        with pytest.raises(kind) as raised:
            await host.inspect("web")
        assert "docker.sock" not in raised.value.message
        assert "localhost" not in raised.value.message

    on(script, body, tmp_path)


def test_an_absent_socket_is_unreachable_and_does_not_stay_so(tmp_path: Path) -> None:
    async def body(host: DockerHost, engine: Engine) -> None:
        there, away = tmp_path / "docker.sock", tmp_path / "away.sock"
        there.rename(away)
        with pytest.raises(HostUnreachable, match="no such file"):
            await host.containers({})
        away.rename(there)
        assert await host.containers({}) == []

    on(empty_list, body, tmp_path)


def test_a_cancelled_call_closes_its_connection(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def script(conversation: Conversation) -> None:
        await conversation.until_left()
        left.set()

    async def body(host: DockerHost, engine: Engine) -> None:
        call = asyncio.create_task(host.inspect("web"))
        await engine.busy.wait()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        await left.wait()

    on(script, body, tmp_path)


def test_closing_ends_what_is_under_way_and_what_comes_after(tmp_path: Path) -> None:
    async def body(host: DockerHost, engine: Engine) -> None:
        call = asyncio.create_task(host.inspect("web"))
        await engine.busy.wait()
        await host.close()
        for ended in (call, host.inspect("web")):
            with pytest.raises(HostUnreachable):
                await ended

    on(silence, body, tmp_path)


async def late_event(conversation: Conversation) -> None:
    await conversation.begin()
    await asyncio.sleep(0.3)
    await conversation.chunk(EVENT)
    await conversation.end()


def test_a_silent_stream_lives_as_long_as_the_docker_engine_answers(tmp_path: Path) -> None:
    async def body(host: DockerHost, engine: Engine) -> None:
        kinds = []
        with pytest.raises(HostUnreachable, match="ended its stream"):
            async for event in host.events({"a": "b"}):
                kinds.append(event.kind)
        assert kinds == [ContainerEventKind.GAP, ContainerEventKind.OOM]
        assert sum(asked.path == "_ping" for asked in engine.asked) > 3

    on(late_event, body, tmp_path)


async def mute(conversation: Conversation) -> None:
    await conversation.begin()
    await conversation.until_left()


def test_a_cut_stream_is_noticed(tmp_path: Path) -> None:
    async def body(host: DockerHost, engine: Engine) -> None:
        events = host.events({})
        assert (await anext(events)).kind is ContainerEventKind.GAP
        engine.pings.clear()
        with pytest.raises(HostUnreachable):
            await anext(events)

    on(mute, body, tmp_path)


async def hang(conversation: Conversation) -> None:
    await conversation.until_left()


def test_events_that_do_not_begin_are_given_up_sooner_than_other_calls(tmp_path: Path) -> None:
    async def body(host: DockerHost, engine: Engine) -> None:
        with pytest.raises(HostUnreachable, match=r"within 0\.3 s"):
            await anext(host.events({}))

    on(hang, body, tmp_path)


def test_an_endless_line_is_not_kept(tmp_path: Path) -> None:
    async def body(host: DockerHost, engine: Engine) -> None:
        events = host.events({})
        await anext(events)
        with pytest.raises(HostBroken, match="line"):
            await anext(events)

    on(huge_line, body, tmp_path)


class Registry:
    """A Docker engine that pulls for as long as the test wants."""

    def __init__(self) -> None:
        self.pulls = 0
        self.pulling = asyncio.Event()
        self.left = asyncio.Event()
        self.go_on = asyncio.Event()
        self.last: object = {"status": "done"}

    async def __call__(self, conversation: Conversation) -> None:
        if conversation.asked.method == "GET":
            await conversation.answer(404, {"message": "No such image"})
            return
        self.pulls += 1
        self.pulling.set()
        await conversation.begin()
        leaving = asyncio.create_task(conversation.until_left())
        going = asyncio.create_task(self.go_on.wait())
        done, _ = await asyncio.wait({leaving, going}, return_when=asyncio.FIRST_COMPLETED)
        if leaving in done:
            going.cancel()
            self.left.set()
            return
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        await conversation.chunk(self.last)
        await conversation.end()


@contextlib.asynccontextmanager
async def waiting(host: DockerHost, count: int, registry: Registry) -> AsyncIterator[list[asyncio.Task[None]]]:
    tasks = [asyncio.create_task(host.ensure_image(ImageRequest("web"))) for _ in range(count)]
    await registry.pulling.wait()
    await asyncio.sleep(0.05)
    yield tasks
    await asyncio.gather(*tasks, return_exceptions=True)


def test_one_pull_serves_all_and_outlives_a_waiter(tmp_path: Path) -> None:
    registry = Registry()

    async def body(host: DockerHost, engine: Engine) -> None:
        async with waiting(host, 3, registry) as (first, second, third):
            first.cancel()
            await asyncio.sleep(0.05)
            registry.go_on.set()
            await asyncio.gather(second, third)
        assert first.cancelled()
        assert registry.pulls == 1
        pull = next(asked for asked in engine.asked if asked.method == "POST")
        assert pull.query == {"fromImage": ["web:latest"]}

    on(registry, body, tmp_path)


def test_a_pull_nobody_waits_for_is_ended(tmp_path: Path) -> None:
    registry = Registry()

    async def body(host: DockerHost, engine: Engine) -> None:
        async with waiting(host, 2, registry) as tasks:
            for task in tasks:
                task.cancel()
        await registry.left.wait()

    on(registry, body, tmp_path)


def test_a_failure_within_a_pull_reaches_every_waiter(tmp_path: Path) -> None:
    registry = Registry()
    registry.last = {"error": "manifest unknown", "errorDetail": {"message": "manifest unknown"}}

    async def body(host: DockerHost, engine: Engine) -> None:
        async with waiting(host, 2, registry) as tasks:
            registry.go_on.set()
        for task in tasks:
            with pytest.raises(ImageNotFound, match="web"):
                task.result()

    on(registry, body, tmp_path)


def test_a_registry_credential_goes_to_its_own_registry_only(tmp_path: Path) -> None:
    registry = Registry()
    registry.go_on.set()
    (tmp_path / "corp").mkdir()
    secret = {"username": "u", "password": "p", "serveraddress": "https://r.example", "projects": ["a"]}
    (tmp_path / "corp" / "registry.json").write_text(json.dumps(secret))

    async def body(host: DockerHost, engine: Engine) -> None:
        await host.ensure_image(ImageRequest("r.example/web:1", PullPolicy.ALWAYS, credential="corp", project="a"))
        sent = json.loads(base64.urlsafe_b64decode(engine.asked[-1].headers["x-registry-auth"]))
        assert sent == {"username": "u", "password": "p", "serveraddress": "r.example"}
        before = sum(asked.method == "POST" for asked in engine.asked)
        for foreign in ("web:1", "evil.example/r.example/web", "r.example:5000/web", "R.EXAMPLE.evil/web"):
            with pytest.raises(HostRefused, match=r"r\.example"):
                await host.ensure_image(ImageRequest(foreign, PullPolicy.ALWAYS, credential="corp", project="a"))
        with pytest.raises(HostRefused, match="holds no file"):
            await host.ensure_image(ImageRequest("r.example/web:1", PullPolicy.ALWAYS, credential="corp", project="b"))
        assert sum(asked.method == "POST" for asked in engine.asked) == before, "nothing more was pulled"

    on(registry, body, tmp_path)
