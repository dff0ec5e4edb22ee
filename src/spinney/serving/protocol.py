"""HTTP as it comes in from strangers: bounded in size, in time and in number of connections.

Guaranteed: a request has arrived whole within ``request_timeout`` or is ended with 408, unless it is we who do not read on;
first line and headers (trailers included) are never larger than ``max_header_bytes``; a connection beyond the bounds is told
503 and closed; a client that takes no answer is cut off when it has been idle for too long.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from spinney.api import faults
from spinney.api.sending import protecting
from spinney.config import ApiSettings

#: Paths of WebSockets open them, and are told at a lower level than this.
_sockets_log = logging.getLogger("spinney.serving.sockets")
_sockets_log.setLevel(logging.WARNING)
#: Seconds between looks whether we read on again.
_LOOK_AGAIN = 1.0
#: Seconds after which a refused connection may be tried again.
_BUSY = 5.0


@dataclass(slots=True)
class Doorkeeper:
    """Who is in. ``exempt``: whether an address speaks for many and is counted only among all."""

    settings: ApiSettings
    exempt: Callable[[str], bool]
    _total: int = 0
    _by_address: Counter[str] = field(default_factory=Counter)

    def enter(self, address: str) -> bool:
        counted = bool(address) and not self.exempt(address)
        if self._total >= self.settings.max_connections:
            return False
        if counted and self._by_address[address] >= self.settings.max_connections_per_address:
            return False
        self._total += 1
        self._by_address[address] += 1
        return True

    def leave(self, address: str) -> None:
        self._total -= 1
        self._by_address[address] -= 1
        if not self._by_address[address]:
            del self._by_address[address]


class Guarded(HttpToolsProtocol):
    def __init__(self, doorkeeper: Doorkeeper, **given: Any) -> None:
        super().__init__(**given)
        self._doorkeeper = doorkeeper
        self._limit = doorkeeper.settings.max_header_bytes
        self._address = ""
        self._inside = False
        self._over = False
        self._timer: asyncio.TimerHandle | None = None
        self._begun = False
        self._in_headers = True
        #: Received while headers were incomplete, and what they come to once they are read.
        self._received = 0
        self._header_bytes = 0

    # -- the connection ----------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn types it
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self._inside = self._doorkeeper.enter(self._address)
        if self._inside:
            self._watch(self._doorkeeper.settings.request_timeout)
        else:
            self._refuse(
                503, "TooManyConnections", "Too many connections are open; close some, or try again later.", _BUSY
            )

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        self._leave()
        super().connection_lost(exc)

    def _leave(self) -> None:
        if self._inside:
            self._inside = False
            self._doorkeeper.leave(self._address)

    def handle_websocket_upgrade(self) -> None:
        self._unwatch()
        super().handle_websocket_upgrade()
        # It is not told of the end of the connection any more; the one that is then leaves in its stead.
        upgraded = self.transport.get_protocol()
        if isinstance(upgraded, Upgraded):
            upgraded.on_end = self._leave

    def timeout_keep_alive_handler(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()
        else:
            super().timeout_keep_alive_handler()

    # -- time --------------------------------------------------------------------------------------------------------

    def _watch(self, seconds: float) -> None:
        self._unwatch()
        self._timer = self.loop.call_later(seconds, self._time_is_up)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _time_is_up(self) -> None:
        self._timer = None
        if self.flow.read_paused:
            self._watch(_LOOK_AGAIN)
        elif not self._begun:
            self.transport.close()
        else:
            limit = self._doorkeeper.settings.request_timeout
            self._refuse(
                408, "RequestTimeout", f"The request did not arrive within {limit:g} s; send it again, faster."
            )

    # -- size --------------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        if self._over:
            return
        within = self._in_headers  # else it holds the end of what came before, or a whole request
        super().data_received(data)
        if within and self._in_headers and not self._over:
            self._received += len(data)
            if self._received > self._limit:
                self._too_large()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._begun or self._timer is None:
            self._watch(self._doorkeeper.settings.request_timeout)
        self._begun, self._in_headers = True, True
        self._received = self._header_bytes = 0

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value) + 4)
        super().on_header(name, value)

    def _count(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > self._limit and not self._over:
            self._too_large()

    def on_headers_complete(self) -> None:
        self._in_headers = False
        if not self._over:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if not self._over:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._unwatch()
        if not self._over:
            super().on_message_complete()

    def _too_large(self) -> None:
        self._refuse(
            431,
            "RequestHeaderFieldsTooLarge",
            f"The request's first line and headers are larger than the {self._limit} bytes allowed; send fewer or shorter.",
        )

    # -- refusing ----------------------------------------------------------------------------------------------------

    def send_400_response(self, msg: str) -> None:
        self._refuse(400, "HTTPBadRequest", "This is no valid HTTP request.")

    def _refuse(self, status: int, kind: str, message: str, retry_after: float = 0.0) -> None:
        """Answer without asking the application, and listen no more."""
        self._over = True
        self._unwatch()
        if self.cycle is not None and not self.cycle.response_complete:
            # Whoever waits for the rest of the body is told that there is none.
            self.cycle.disconnected = True
            self.cycle.message_event.set()
            if self.cycle.response_started:
                self.transport.close()
                return
        reply = faults.reply(status, kind, message, retry_after)
        headers = [
            *reply.headers,
            *protecting(self.scheme or "http"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(reply.body)).encode()),
            (b"connection", b"close"),
        ]
        head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
        self.transport.write(head + b"".join(b"%b: %b\r\n" % header for header in headers) + b"\r\n" + reply.body)
        self.transport.close()


class Upgraded(WebSocketsSansIOProtocol):
    on_end: Callable[[], None] | None = None

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.logger = _sockets_log

    def connection_lost(self, exc: Exception | None) -> None:
        if self.on_end is not None:
            self.on_end()
            self.on_end = None
        super().connection_lost(exc)
