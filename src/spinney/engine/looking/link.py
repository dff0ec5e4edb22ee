"""The line between an API process and an engine: looking into hosts, and running commands on them, from elsewhere.

Only engines hold the credentials of hosts. An engine serves ``EngineService`` where ``reach`` says; ``RemoteAccess`` is the
API's end of it. Guaranteed: an error of a host arrives as the error it was; an engine that dies is told as such, at once when
its process ends and within ``relay.SILENCE`` seconds when its machine falls silent.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict
from typing import Any
from weakref import WeakSet

import aiohttp
from aiohttp import WSCloseCode, web
from pydantic import TypeAdapter

from spinney.domain import ownership
from spinney.domain.container import Container, ContainerStats, HostFacts, LogChunk, LogQuery
from spinney.domain.terminal import LARGEST_FRAME, ExecRequest, encode
from spinney.drivers.base import ExecSession, HostAccess, HostAddress
from spinney.drivers.relay import LIFE, Left, Receive, RemoteSession, Send, named_error, relay, tell_failure
from spinney.engine.looking.reach import LinkTls, Place, Ways
from spinney.errors import HostError, HostUnreachable, SpinneyError
from spinney.store import engines
from spinney.store.database import Store

log = logging.getLogger(__name__)

_CONTAINER = TypeAdapter(Container | None)
_STATS = TypeAdapter(ContainerStats)
_FACTS = TypeAdapter(HostFacts)
_REQUEST = TypeAdapter(ExecRequest)
_STREAMS = ("stdout", "stderr")
_ERROR_FRAME = 255
#: Seconds; longer than an engine is patient with a host.
_PATIENCE = 20.0
#: Seconds that an engine's machine may take to answer at all.
_CONNECTING = 5.0


class EngineService:
    def __init__(self, access: HostAccess, place: Place) -> None:
        self._access = access
        self._place = place
        app = web.Application()
        app.add_routes(
            [
                web.post("/probe", self._probe),
                web.get("/inspect", self._inspect),
                web.get("/stats", self._stats),
                web.get("/logs", self._logs),
                web.get("/exec", self._exec),
            ]
        )
        self._sockets: WeakSet[web.WebSocketResponse] = WeakSet()
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def start(self) -> None:
        await self._runner.setup()
        await self._place.open(self._runner)

    async def stop(self) -> None:
        for socket in set(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY)
        await self._runner.cleanup()
        self._place.close()

    async def _probe(self, request: web.Request) -> web.Response:
        asked = await request.json()
        return await _answer(self._access.probe(HostAddress(asked["endpoint"], asked["credential"])), _FACTS)

    async def _inspect(self, request: web.Request) -> web.Response:
        return await _answer(self._access.inspect(request.query["host"], request.query["container"]), _CONTAINER)

    async def _stats(self, request: web.Request) -> web.Response:
        return await _answer(self._access.stats(request.query["host"], request.query["container"]), _STATS)

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        """Frames: one byte for the stream, four for the length, the data; a last one with an error, if there was one."""
        query = LogQuery(**json.loads(request.query["query"]))
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            async for chunk in self._access.logs(request.query["host"], request.query["container"], query):
                await response.write(_frame(_STREAMS.index(chunk.stream), chunk.data))
        except HostError as error:
            await response.write(_frame(_ERROR_FRAME, json.dumps(_named(error)).encode()))
        return response

    async def _exec(self, request: web.Request) -> web.StreamResponse:
        """The first message asks, so that what is asked is in no address; the answer to it is a sign of life, or a failure."""
        socket = web.WebSocketResponse(timeout=1.0, max_msg_size=LARGEST_FRAME, compress=False)
        await socket.prepare(request)
        self._sockets.add(socket)
        send = _sender(socket)
        try:
            asked = await socket.receive_json(timeout=_PATIENCE)
            wanted = _REQUEST.validate_python(asked["request"])
            session = await self._access.exec(asked["host"], asked["container"], wanted)
            with suppress(Left):
                await send(encode(LIFE))
            await relay(session, _receiver(socket), send)
        except SpinneyError as error:
            await tell_failure(send, error)
        await socket.close()
        return socket


def _receiver(socket: web.WebSocketResponse | aiohttp.ClientWebSocketResponse) -> Receive:
    async def receive() -> bytes | None:
        message = await socket.receive()
        return message.data if message.type is aiohttp.WSMsgType.BINARY else None

    return receive


def _sender(socket: web.WebSocketResponse | aiohttp.ClientWebSocketResponse) -> Send:
    async def send(data: bytes) -> None:
        try:
            await socket.send_bytes(data)
        except (ConnectionError, aiohttp.ClientError) as error:
            raise Left from error

    return send


async def _answer(work: Any, adapter: TypeAdapter[Any]) -> web.Response:
    try:
        return web.Response(body=adapter.dump_json(await work), content_type="application/json")
    except HostError as error:
        return web.json_response(_named(error), status=502)


def _frame(kind: int, data: bytes) -> bytes:
    return bytes([kind]) + len(data).to_bytes(4, "big") + data


def _named(error: HostError) -> dict[str, str]:
    return {"kind": type(error).__name__, "message": error.message}


class RemoteAccess:
    """``HostAccess`` through whichever engine is alive."""

    def __init__(self, store: Store, tls: LinkTls | None = None) -> None:
        """``tls``: for engines on other machines. Raises: UnusableFiles."""
        self._store = store
        self._ways = Ways(tls)

    @asynccontextmanager
    async def _asked(
        self, host_id: str | None, limit: float | None, ask: Callable[[aiohttp.ClientSession], Any]
    ) -> AsyncIterator[Any]:
        """What the first engine answers that can be reached: the row of one that has just died lives on for a while.

        The one that watches the host is asked first: it has measured it.
        """
        alive = await self._store.read(engines.alive)
        if host_id is not None and alive:
            watcher = ownership.owner(host_id, [row.id for row in alive])
            alive = sorted(alive, key=lambda row: row.id != watcher)
        addresses = [row.address for row in alive if row.address is not None]
        if not addresses:
            raise HostUnreachable("no engine is running that could look into the host: start one with `spinney engine`")
        timeout = aiohttp.ClientTimeout(total=limit, sock_connect=_CONNECTING)
        try:
            for position, address in enumerate(addresses, 1):
                async with self._ways.session(address, timeout) as session:
                    try:
                        answer = await ask(session)
                    except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
                        if position < len(addresses):
                            continue
                        raise
                    async with answer:
                        yield answer
                    return
        except (aiohttp.ClientError, OSError, EOFError) as error:
            log.warning("no engine answers where its row says: %s", error)
            raise HostUnreachable(
                "the engine that could look into the host does not answer: see whether `spinney engine` runs, and try again"
            ) from error

    async def _ask(self, method: str, path: str, adapter: TypeAdapter[Any], **options: Any) -> Any:
        host_id = options.get("params", {}).get("host")
        async with self._asked(host_id, _PATIENCE, lambda s: s.request(method, path, **options)) as response:
            body = await response.read()
            if response.status == 502:
                raise named_error(**json.loads(body))
            if response.status != 200:
                raise HostUnreachable("the engine failed when it looked into the host; its log tells why")
            return adapter.validate_json(body)

    async def probe(self, address: HostAddress) -> HostFacts:
        facts: HostFacts = await self._ask("POST", "/probe", _FACTS, json=asdict(address))
        return facts

    async def inspect(self, host_id: str, container_id: str) -> Container | None:
        params = {"host": host_id, "container": container_id}
        container: Container | None = await self._ask("GET", "/inspect", _CONTAINER, params=params)
        return container

    async def stats(self, host_id: str, container_id: str) -> ContainerStats:
        stats: ContainerStats = await self._ask(
            "GET", "/stats", _STATS, params={"host": host_id, "container": container_id}
        )
        return stats

    async def logs(self, host_id: str, container_id: str, query: LogQuery) -> AsyncGenerator[LogChunk, None]:
        params = {"host": host_id, "container": container_id, "query": json.dumps(asdict(query))}
        async with self._asked(host_id, None, lambda session: session.get("/logs", params=params)) as response:
            async for kind, data in _frames(response.content):
                if kind == _ERROR_FRAME:
                    raise named_error(**json.loads(data))
                yield LogChunk(_STREAMS[kind], data)

    async def exec(self, host_id: str, container_id: str, request: ExecRequest) -> ExecSession:
        def connect(session: aiohttp.ClientSession) -> Any:
            timeout = aiohttp.ClientWSTimeout(ws_close=1.0)
            return session.ws_connect("/exec", timeout=timeout, max_msg_size=LARGEST_FRAME, compress=0)

        stack = AsyncExitStack()
        try:
            socket = await stack.enter_async_context(self._asked(host_id, None, connect))
            asked = {"host": host_id, "container": container_id, "request": asdict(request)}
            await socket.send_json(asked)
            session = RemoteSession(_receiver(socket), _sender(socket), stack.aclose)
            await session.begin()
        except BaseException:
            await stack.aclose()
            raise
        return session


async def _frames(content: aiohttp.StreamReader) -> AsyncIterator[tuple[int, bytes]]:
    while head := await content.read(1):
        size = int.from_bytes(await content.readexactly(4), "big")
        yield head[0], await content.readexactly(size)
