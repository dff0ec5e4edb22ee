"""``GET /v1/execs/{word}`` as a WebSocket: a command in a container, and whoever watches it.

The protocol is that of ``domain.terminal``. The word in the path is all the authentication there is: 256 bit of chance, made
for one who was authenticated, good once and for a minute. Guaranteed: a path that was used, ran out or never was answers as any
other unknown path; pages of other sites cannot connect; a session ends with its command, its container or its client, or after
``[limits] terminal_time`` seconds, and its client is told which; what was asked is in no log.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from spinney.api import faults
from spinney.api.discovery import split_path
from spinney.api.execs import PLACE, SEALED, purpose
from spinney.api.origin import Origin, Proxies, check_site
from spinney.api.sending import Receive, Scope, Send, send_reply
from spinney.api.wire import Deps
from spinney.domain import webhook
from spinney.domain.terminal import SUBPROTOCOL
from spinney.drivers.relay import Left, relay, tell_failure
from spinney.errors import BadRequest, Conflict, RouteNotFound, SpinneyError
from spinney.store import exec_sessions
from spinney.store.exec_sessions import Granted

log = logging.getLogger(__name__)

_NORMAL, _FAILED = 1000, 1011


@dataclass(frozen=True, slots=True)
class Terminals:
    deps: Deps
    proxies: Proxies
    #: One of the streams that a project may have open. Raises: TooManyRequests.
    stream: Callable[[str], AbstractContextManager[None]]

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        origin = self.proxies.origin(scope, headers)
        await receive()
        try:
            word = _word(scope)
            check_site(headers.get(b"origin"), origin)
            if SUBPROTOCOL not in scope["subprotocols"]:
                raise BadRequest(f"Sec-WebSocket-Protocol: {SUBPROTOCOL} is spoken here; offer it.")
            granted = await self._granted(word)
            with self.stream(granted.project):
                await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
                await self._run(granted, receive, send)
        except SpinneyError as error:
            await _refuse(error, scope, origin, send)

    async def _granted(self, word: str) -> Granted:
        """Raises: RouteNotFound."""
        store, now = self.deps.store, self.deps.clock.now()
        granted = await store.read(exec_sessions.find, webhook.hashed(word.encode()), now)
        if granted is None or not await store.transact(exec_sessions.use, granted.id, now):
            raise _unknown(f"v1/{PLACE}/{word}")
        return granted

    async def _run(self, granted: Granted, receive: Receive, send: Send) -> None:
        tell = _sender(send)
        code = _FAILED
        limit = self.deps.pace.terminal_time
        try:
            async with asyncio.timeout(limit or None):
                request = SEALED.validate_json(self.deps.keys.unseal(granted.request, purpose(granted.id)))
                if granted.host_id is None or granted.container_id is None:
                    raise Conflict("The node has no container any more; see its status.")
                session = await self.deps.access.exec(granted.host_id, granted.container_id, request)
                await relay(session, _receiver(receive), tell)
                code = _NORMAL
        except TimeoutError:
            await tell_failure(
                tell, Conflict(f"The session has lasted {limit:g} s, which is all it may; begin another.")
            )
        except SpinneyError as error:
            if error.status == 500 or error.retryable:
                log.warning("exec %s in node %s: %s", granted.id, granted.node_id, error.message)
            await tell_failure(tell, error)
        except Exception:
            log.exception("exec %s in node %s failed", granted.id, granted.node_id)
            await tell_failure(
                tell, SpinneyError(f"The service failed; its log has the reason under exec {granted.id}.")
            )
        try:
            await send({"type": "websocket.close", "code": code})
        except (OSError, RuntimeError):
            log.debug("exec %s: the client left first", granted.id)


def _word(scope: Scope) -> str:
    """Raises: RouteNotFound."""
    segments = split_path(scope)
    if segments[:2] != ["v1", PLACE] or len(segments) != 3 or not segments[2]:
        raise _unknown("/".join(segments))
    return segments[2]


def _unknown(path: str) -> RouteNotFound:
    return RouteNotFound(f"There is no GET /{path[:255]}.")


async def _refuse(error: SpinneyError, scope: Scope, origin: Origin, send: Send) -> None:
    """As HTTP, before there is a WebSocket."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return

    async def prefixed(message: Any) -> None:
        await send({**message, "type": f"websocket.{message['type']}"})

    await send_reply(faults.reply_to(error), [], origin.scheme, prefixed)


def _receiver(receive: Receive) -> Callable[[], Any]:
    async def next_message() -> bytes | None:
        message = await receive()
        if message["type"] != "websocket.receive":
            return None
        data = message.get("bytes")
        return (message.get("text") or "").encode() if data is None else data

    return next_message


def _sender(send: Send) -> Callable[[bytes], Any]:
    async def tell(data: bytes) -> None:
        try:
            await send({"type": "websocket.send", "bytes": data})
        except OSError as error:  # of the server: nobody is there
            raise Left from error

    return tell
