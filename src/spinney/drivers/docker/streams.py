"""Reading what a Docker engine sends without end: chunks under a watchdog, and the frames of container logs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator

import aiohttp

from spinney.domain.container import LogChunk
from spinney.drivers.docker.client import EngineClient
from spinney.errors import HostBroken, HostUnreachable

_HEADER = 8
_STREAMS = {0: "stdout", 1: "stdout", 2: "stderr"}


async def watched(response: aiohttp.ClientResponse, client: EngineClient) -> AsyncGenerator[bytes, None]:
    """The body, chunk by chunk, for as long as the Docker engine lives.

    A cut network ends no connection. So when nothing came for a while the Docker engine is asked whether it lives; without
    an answer HostUnreachable is raised. Reading goes on from where it was: no byte is lost by asking.
    """
    while True:
        try:
            async with asyncio.timeout(client.limits.silence):
                chunk = await response.content.readany()
        except TimeoutError:
            if response.connection is None or response.connection.closed:  # by us: aiohttp does not tell who reads
                raise HostUnreachable("the connection was closed, as its credential was replaced") from None
            await client.alive()
            continue
        if not chunk:
            return
        yield chunk


async def unpaused(response: aiohttp.ClientResponse, silence: float) -> AsyncGenerator[bytes, None]:
    """The body, chunk by chunk; HostUnreachable when nothing comes for so many seconds."""
    while True:
        try:
            async with asyncio.timeout(silence):
                chunk = await response.content.readany()
        except TimeoutError as error:
            raise HostUnreachable(f"the Docker engine has sent nothing for {silence:g} s") from error
        if not chunk:
            return
        yield chunk


class Frames:
    """Takes apart the two streams that Docker sends over one connection.

    Each frame is a header (stream number, three zeros, length) and its data, which is handed on as it comes: a frame may
    claim to be 4 GiB long. What does not begin with a header is the output of a terminal, all of it stdout.
    """

    def __init__(self, *, terminal: bool | None = None) -> None:
        """``terminal``: whether it is one, where that is known."""
        self._buffer = b""
        self._stream = ""
        self._left = 0
        self._terminal = terminal

    def feed(self, data: bytes) -> Iterator[LogChunk]:
        if self._terminal:
            yield LogChunk("stdout", data)
            return
        self._buffer += data
        while self._buffer:
            if self._left:
                piece, self._buffer = self._buffer[: self._left], self._buffer[self._left :]
                self._left -= len(piece)
                yield LogChunk(self._stream, piece)
            elif not self._begin():
                return
            elif self._terminal:
                text, self._buffer = self._buffer, b""
                yield LogChunk("stdout", text)

    def _begin(self) -> bool:
        """Takes the next header; False when there is not enough of it yet."""
        start = self._buffer[:4]
        if start[:1] not in (b"\x00", b"\x01", b"\x02") or start[1:] != b"\x00\x00\x00"[: len(start) - 1]:
            if self._terminal is not None:
                raise HostBroken("the Docker engine's output is broken: there is no header where one must be")
            self._terminal = True
            return True
        if len(self._buffer) < _HEADER:
            return False
        self._terminal = False
        self._stream = _STREAMS[start[0]]
        self._left = int.from_bytes(self._buffer[4:_HEADER], "big")
        self._buffer = self._buffer[_HEADER:]
        return True
