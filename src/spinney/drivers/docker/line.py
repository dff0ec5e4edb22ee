"""A line to the input and output of a container, which stays open: Docker's attach, over a WebSocket.

Guaranteed: redirects are not followed, and no message is held that is larger than what a Docker engine sends at a time. Not
guaranteed: that what one line sends only this line gets the answer to, as the container has one input and one output for all.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import aiohttp
from yarl import URL

from spinney.drivers.docker.connections import Way
from spinney.drivers.docker.errors import Operation, docker_error
from spinney.errors import HostUnreachable

_LARGEST_MESSAGE = 1 << 20
#: Seconds: nobody on the other side needs a farewell.
_FAREWELL = 0.1
_TIMEOUT = aiohttp.ClientWSTimeout(ws_close=_FAREWELL)
_DATA = (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT)


class Line:
    def __init__(self, session: aiohttp.ClientSession, channel: aiohttp.ClientWebSocketResponse) -> None:
        self._session = session
        self._channel = channel
        self._raw = channel.get_extra_info("socket")

    async def send(self, data: bytes) -> None:
        await self._channel.send_bytes(data)

    async def receive(self) -> bytes:
        """What came, of any length. Raises HostUnreachable when the line is broken or the container has ended."""
        message = await self._channel.receive()
        if message.type not in _DATA:
            raise HostUnreachable("the line to the container broke off; it may have ended")
        data = message.data
        return data if isinstance(data, bytes) else data.encode()

    async def close(self) -> None:
        # Who goes on talking would be listened to for ever: each message renews the limit of the socket's own.
        try:
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(_FAREWELL):
                    await self._channel.close()
        finally:  # also when whoever closes it has no more time
            # Over TLS a farewell of that kind too would be waited for, longer than we may last.
            if self._raw is not None:
                _shut(self._raw)
            await self._session.close()


def _shut(raw: socket.socket) -> None:
    """What loops lend of their sockets need not know how to."""
    with contextlib.suppress(OSError), socket.fromfd(raw.fileno(), raw.family, raw.type) as same:
        same.shutdown(socket.SHUT_RDWR)


async def open_line(way: Way, url: str) -> Line:
    """Raises a HostError when the Docker engine refuses, and what aiohttp raises when it cannot be reached."""
    # Of the way it has the connections alone. It is closed without them.
    session = aiohttp.ClientSession(
        connector=way.session.connector,
        connector_owner=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        trace_configs=[_no_redirects()],
    )
    try:
        channel = await session.ws_connect(
            URL(url, encoded=True), ssl=way.tls, timeout=_TIMEOUT, max_msg_size=_LARGEST_MESSAGE
        )
    except aiohttp.WSServerHandshakeError as error:
        await session.close()
        raise docker_error(Operation.ATTACH, "of the host helper", error.status, "") from error
    except BaseException:
        await session.close()
        raise
    return Line(session, channel)


def _no_redirects() -> aiohttp.TraceConfig:
    async def refuse(*_: Any) -> None:
        raise HostUnreachable("what answers is no Docker engine: it sends us elsewhere")

    config = aiohttp.TraceConfig()
    config.on_request_redirect.append(refuse)
    return config
