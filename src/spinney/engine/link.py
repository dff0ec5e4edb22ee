"""The line between an API process and an engine: looking into hosts across a unix socket.

Only engines hold the credentials of hosts. An engine serves ``EngineService`` on a socket in its state directory that nobody
else may open; ``RemoteAccess`` is the API's end of it. Guaranteed: an error of a host arrives as the error it was.
"""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web
from pydantic import TypeAdapter

from spinney import errors
from spinney.domain import ownership
from spinney.domain.container import Container, ContainerStats, HostFacts, LogChunk, LogQuery
from spinney.drivers.base import HostAccess, HostAddress
from spinney.errors import HostError, HostUnreachable
from spinney.store import engines
from spinney.store.database import Store

log = logging.getLogger(__name__)

_CONTAINER = TypeAdapter(Container | None)
_STATS = TypeAdapter(ContainerStats)
_FACTS = TypeAdapter(HostFacts)
_STREAMS = ("stdout", "stderr")
_ERROR_FRAME = 255
#: Seconds; longer than an engine is patient with a host.
_PATIENCE = 20.0


class EngineService:
    def __init__(self, access: HostAccess, path: Path) -> None:
        self._access = access
        self._path = path
        app = web.Application()
        app.add_routes(
            [
                web.post("/probe", self._probe),
                web.get("/inspect", self._inspect),
                web.get("/stats", self._stats),
                web.get("/logs", self._logs),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)

    async def start(self) -> None:
        self._path.unlink(missing_ok=True)
        await self._runner.setup()
        await web.UnixSite(self._runner, str(self._path)).start()
        self._path.chmod(0o600)

    async def stop(self) -> None:
        await self._runner.cleanup()
        self._path.unlink(missing_ok=True)

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


async def _answer(work: Any, adapter: TypeAdapter[Any]) -> web.Response:
    try:
        return web.Response(body=adapter.dump_json(await work), content_type="application/json")
    except HostError as error:
        return web.json_response(_named(error), status=502)


def _frame(kind: int, data: bytes) -> bytes:
    return bytes([kind]) + len(data).to_bytes(4, "big") + data


def _named(error: HostError) -> dict[str, str]:
    return {"type": type(error).__name__, "message": error.message}


def _raised(named: dict[str, str]) -> HostError:
    kind = getattr(errors, named["type"], HostUnreachable)
    assert issubclass(kind, HostError)
    return kind(named["message"])


class RemoteAccess:
    """``HostAccess`` through whichever engine is alive."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @asynccontextmanager
    async def _asked(
        self, method: str, path: str, limit: float | None, **options: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer of the first engine that can be reached: the row of one that has just died lives on for a while.

        The one that watches the host is asked first: it has measured it.
        """
        alive = await self._store.read(engines.alive)
        host_id = options.get("params", {}).get("host")
        if host_id is not None and alive:
            watcher = ownership.owner(host_id, [row.id for row in alive])
            alive = sorted(alive, key=lambda row: row.id != watcher)
        sockets = [row.address for row in alive if row.address is not None]
        if not sockets:
            raise HostUnreachable("no engine is running that could look into the host: start one with `spinney engine`")
        timeout = aiohttp.ClientTimeout(total=limit)
        try:
            for position, socket in enumerate(sockets, 1):
                connector = aiohttp.UnixConnector(path=socket)
                async with aiohttp.ClientSession("http://engine", connector=connector, timeout=timeout) as session:
                    try:
                        response = await session.request(method, path, **options)
                    except aiohttp.ClientConnectorError:
                        if position < len(sockets):
                            continue
                        raise
                    async with response:
                        yield response
                    return
        except (aiohttp.ClientError, OSError, EOFError) as error:
            log.warning("no engine answers at its socket: %s", error)
            raise HostUnreachable(
                "the engine that could look into the host does not answer: see whether `spinney engine` runs, and try again"
            ) from error

    async def _ask(self, method: str, path: str, adapter: TypeAdapter[Any], **options: Any) -> Any:
        async with self._asked(method, path, _PATIENCE, **options) as response:
            body = await response.read()
            if response.status == 502:
                raise _raised(json.loads(body))
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
        async with self._asked("GET", "/logs", None, params=params) as response:
            async for kind, data in _frames(response.content):
                if kind == _ERROR_FRAME:
                    raise _raised(json.loads(data))
                yield LogChunk(_STREAMS[kind], data)


async def _frames(content: aiohttp.StreamReader) -> AsyncIterator[tuple[int, bytes]]:
    while head := await content.read(1):
        size = int.from_bytes(await content.readexactly(4), "big")
        yield head[0], await content.readexactly(size)
