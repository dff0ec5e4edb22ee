"""HTTP to one Docker engine: calls and streams, each with a time limit, errors as ours, the version negotiated.

Guaranteed: every call ends within its limit; an answer larger than its limit is HostBroken, never held in memory; whatever
goes wrong on the way is a HostError whose message holds no address; the response of a cancelled call is closed. The API
version is the lower of the Docker engine's newest and the newest that the contract was proven on (20.10 and 29 have none in
common, so it cannot be fixed), asked for again when the Docker engine refuses it, as after an upgrade; one that speaks no
version in our range is HostRefused.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

import aiohttp
import orjson
from yarl import URL

from spinney.drivers.docker.connections import Connections, Way
from spinney.drivers.docker.errors import quoted
from spinney.drivers.docker.faults import bounded, translated
from spinney.drivers.docker.line import Line, open_line
from spinney.drivers.docker.pipe import Pipe, keep_alive
from spinney.drivers.docker.shapes import mapping, text
from spinney.errors import HostBroken, HostError, HostRefused, HostUnreachable

Method = Literal["GET", "POST", "PUT", "DELETE"]
Version = tuple[int, int]

#: What the contract has passed on: see docs/how-to/docker-engines.md before changing one.
NEWEST_VERSION: Version = (1, 51)
OLDEST_VERSION: Version = (1, 41)
_PIECE = 1 << 18
LARGEST_ANSWER = 8 << 20
LARGEST_LISTING = 64 << 20
_VERSION = re.compile(r"(\d{1,3})\.(\d{1,3})")
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] (\d{3})\b")
_WRONG_VERSION = re.compile(r"client version \S+ is too (?:new|old)", re.IGNORECASE)

_NOTHING: Mapping[str, str] = {}
_JSON: Mapping[str, str] = {"Content-Type": "application/json"}
_TAR: Mapping[str, str] = {"Content-Type": "application/x-tar"}


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Seconds."""

    #: For what only looks.
    look: float = 30.0
    #: For a stream of events to begin, logging in aside. What was sent to a silent host may never be answered, so this is how
    #: long it goes unnoticed that it can be reached again; a Docker engine under full load still begins in time.
    opening: float = 5.0
    #: For what changes something: a loaded Docker engine takes its time.
    change: float = 120.0
    #: Added to the time a container is given to stop.
    stop_margin: float = 30.0
    #: Between two signs of life of a pull, and for all of it.
    pull_silence: float = 120.0
    pull: float = 3600.0
    #: How long a stream may be silent before the Docker engine is asked whether it lives, and how long it may take to answer.
    silence: float = 10.0
    heartbeat: float = 5.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes

    @property
    def said(self) -> str:
        """What an answer that is no success says: Docker's ``message``, or its text."""
        try:
            return text(mapping(orjson.loads(self.body), "error").get("message"), "message")
        except (ValueError, HostBroken):
            return self.body[:1000].decode(errors="replace")


class EngineClient:
    """The Docker engine behind one way to it."""

    def __init__(self, connections: Connections, limits: TimeLimits) -> None:
        self.limits = limits
        self._connections = connections
        self._version: Version | None = None
        self._closed = False

    async def close(self) -> None:
        """Ends what is under way with HostUnreachable, and refuses what comes after."""
        self._closed = True
        await self._connections.close()

    async def reach(self) -> None:
        """Log in where that is needed, which has a limit of its own. Raises: HostUnreachable, HostRefused."""
        await self._way()

    async def version(self) -> str:
        """The API version spoken, such as ``1.41``."""
        async with bounded(self.limits.look):
            return await self._spoken()

    async def call(
        self,
        method: Method,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        *,
        limit: float | None = None,
        largest: int = LARGEST_ANSWER,
    ) -> Answer:
        """One request and its whole answer, whatever its status. ``path`` is quoted already and bears no version.

        ``body`` is what becomes JSON, or the bytes of an archive.
        """
        async with bounded(self.limits.look if limit is None else limit):
            headers = _NOTHING if body is None else _TAR if isinstance(body, bytes) else _JSON
            response, refusal = await self._exchange(method, path, query, headers, body)
            return refusal or await _whole(response, largest)

    @contextlib.asynccontextmanager
    async def stream(
        self,
        method: Method,
        path: str,
        query: Mapping[str, str],
        refused: Callable[[int, str], HostError],
        *,
        headers: Mapping[str, str] | None = None,
        opening: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A successful response whose headers arrived within ``opening`` seconds; its body is the caller's to read.

        An answer that is no success is raised as what ``refused`` makes of its status and text.
        """
        async with bounded(self.limits.look if opening is None else opening):
            response, refusal = await self._exchange(method, path, query, headers or _NOTHING)
            if response.status >= 300:
                refusal = refusal or await _whole(response, LARGEST_ANSWER)
                raise refused(refusal.status, refusal.said)
        keep_alive(response.connection.transport if response.connection else None)
        try:
            with translated():
                yield response
        finally:
            response.close()

    async def attached(self, container_id: str) -> Line:
        """A line to the input and output of a container. Needs a limit around it, and errors translated."""
        target = f"/v{await self._spoken()}/containers/{container_id}/attach/ws?stream=1&stdin=1&stdout=1"
        way = await self._way()
        return await open_line(way, way.base + target)

    async def upgraded(self, path: str, body: Any, refused: Callable[[int, str], HostError]) -> Pipe:
        """The connection of its own that a request became; what ``refused`` makes of an answer that is no success."""
        async with bounded(self.limits.look):
            target = f"/v{await self._spoken()}{path}"
            way = await self._way()
            pipe = await way.pipe()
            try:
                content = orjson.dumps(body)
                await pipe.write(_upgrade_head(target, len(content)) + content)
                status = _status(await pipe.read_head())
                if status not in (101, 200):
                    raise refused(status, Answer(status, await pipe.read()).said)
            except BaseException:
                pipe.close()
                raise
            return pipe

    async def alive(self) -> None:
        """Raises HostUnreachable when the Docker engine does not answer a ping in time."""
        async with bounded(self.limits.heartbeat):
            await _whole(await self._send("GET", "/_ping", _NOTHING), LARGEST_ANSWER)

    async def _exchange(
        self, method: Method, path: str, query: Mapping[str, str] | None, headers: Mapping[str, str], body: Any = None
    ) -> tuple[aiohttp.ClientResponse, Answer | None]:
        """The response, and its body where that had to be read: a 400 may mean that the version is not spoken.

        Such a request was not carried out; it is sent once more with a version agreed on anew.
        """
        data = body if body is None or isinstance(body, bytes) else orjson.dumps(body)
        target = f"{path}?{urlencode(query)}" if query else path
        response = await self._send(method, f"/v{await self._spoken()}{target}", headers, data)
        refusal = await _refusal(response)
        if refusal is None or not _WRONG_VERSION.search(refusal.said):
            return response, refusal
        self._version = None
        response = await self._send(method, f"/v{await self._spoken()}{target}", headers, data)
        refusal = await _refusal(response)
        if refusal is not None and _WRONG_VERSION.search(refusal.said):
            raise HostRefused(
                f"the Docker engine refuses API {await self._spoken()}, the newest that this version of Spinney was proven "
                f"with ({quoted(refusal.said)}); upgrade Spinney, or use an older Docker engine"
            )
        return response, refusal

    async def _spoken(self) -> str:
        if self._version is None:
            self._version = await self._negotiate()
        return f"{self._version[0]}.{self._version[1]}"

    async def _negotiate(self) -> Version:
        response = await self._send("GET", "/_ping", _NOTHING)
        told = _VERSION.fullmatch(response.headers.get("Api-Version", ""))
        answer = await _whole(response, LARGEST_ANSWER)
        if answer.status in (401, 403):
            raise HostRefused(f"the Docker engine does not let us in: {quoted(answer.said)}")
        if answer.status != 200 or told is None:
            raise HostBroken(f"what answers is no Docker engine (HTTP status {answer.status}): {quoted(answer.said)}")
        newest = int(told[1]), int(told[2])
        if newest < OLDEST_VERSION:
            raise HostRefused(f"the Docker engine speaks API {told[0]} at most; upgrade it to Docker 20.10 or newer")
        return min(newest, NEWEST_VERSION)

    async def _send(
        self, method: Method, target: str, headers: Mapping[str, str], data: bytes | None = None
    ) -> aiohttp.ClientResponse:
        way = await self._way()
        return await way.session.request(
            method,
            URL(way.base + target, encoded=True),
            # In pieces: an image would hold up everything else.
            data=io.BytesIO(data) if data is not None and len(data) > _PIECE else data,
            headers=headers,
            ssl=way.tls,
            allow_redirects=False,
        )

    async def _way(self) -> Way:
        if self._closed:
            raise HostUnreachable("this service has closed its connection to the host; it no longer manages it")
        return await self._connections.way()


async def _refusal(response: aiohttp.ClientResponse) -> Answer | None:
    """The whole answer if it is a 400."""
    return await _whole(response, LARGEST_ANSWER) if response.status == 400 else None


async def _whole(response: aiohttp.ClientResponse, largest: int) -> Answer:
    """The status and all of the body, the connection given back; HostBroken when it is larger than allowed."""
    chunks, size = [], 0
    try:
        async for chunk in response.content.iter_any():
            chunks.append(chunk)
            size += len(chunk)
            if size > largest:
                raise HostBroken(f"the Docker engine's answer is larger than {largest} bytes")
    except BaseException:
        response.close()
        raise
    response.release()
    return Answer(response.status, b"".join(chunks))


def _upgrade_head(target: str, length: int) -> bytes:
    return (
        f"POST {target} HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def _status(head: bytes) -> int:
    found = _STATUS_LINE.match(head)
    if found is None:
        raise HostBroken("what answers is no Docker engine: it does not speak HTTP")
    return int(found[1])
