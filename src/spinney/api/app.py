"""The API as an ASGI application.

Checks come in one order for every route: version discovery, authentication, version header, route, microversion, access
rule, shape of the request, and then whatever the handler looks up. Guaranteed: every answer bears a request id; a failure
of ours is a 500 which says nothing but that id, under which the log has the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from starlette.responses import StreamingResponse

from spinney.api import faults, versions
from spinney.api.auth import Headers, Request
from spinney.api.discovery import answer as discover
from spinney.api.discovery import base_url, split_path
from spinney.api.reading import Receive, read_body, read_bytes, read_query
from spinney.api.routes import ROUTES
from spinney.api.versions import Versions
from spinney.api.wire import Call, Deps, Reply, Route, Sent, Stream
from spinney.domain.identity import NOBODY, Caller
from spinney.errors import ESchema, InvalidSpec, MethodVersionNotFound, RouteNotFound, SpinneyError, Unauthorized

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Extra = list[tuple[bytes, bytes]]
#: A route, and the variable parts of the path.
Found = tuple[Route, tuple[str, ...]]

log = logging.getLogger(__name__)


class Table:
    """Routes by method, number of segments and first segment."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._buckets: dict[tuple[str, int, str], list[Route]] = {}
        for route in routes:
            key = (route.method, len(route.segments), route.segments[0])
            self._buckets.setdefault(key, []).append(route)
        for bucket in self._buckets.values():  # fixed words before variable parts
            bucket.sort(key=lambda route: [segment.startswith("{") for segment in route.segments])

    def find(self, method: str, segments: list[str]) -> Found | None:
        for route in self._buckets.get((method, len(segments), segments[0]), ()):
            words = []
            for wanted, given in zip(route.segments, segments, strict=True):
                if wanted.startswith("{"):
                    words.append(given)
                elif wanted != given:
                    break
            else:
                return (route, tuple(words)) if all(words) else None
        return None


class Api:
    def __init__(self, deps: Deps, routes: Iterable[Route] = ROUTES) -> None:
        self._deps = deps
        self._table = Table(routes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._serve(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = "req-" + self._deps.ids.new()
        extra: Extra = [(b"x-openstack-request-id", request_id.encode()), (b"vary", b"OpenStack-API-Version")]
        reply: Reply | Stream
        try:
            reply = await self._answer(scope, receive, extra, request_id)
        except Unauthorized as error:
            extra.append((b"www-authenticate", self._deps.authenticator.challenge.encode()))
            reply = faults.reply_to(error)
        except SpinneyError as error:
            if error.status == 500 or error.retryable:
                log.warning("%s %s: %s [%s]", scope["method"], scope["path"], error.message, request_id)
            reply = faults.reply_to(error)
        except Exception:
            log.exception("%s %s failed [%s]", scope["method"], scope["path"], request_id)
            reply = faults.unexpected(request_id)
        if isinstance(reply, Stream):
            await _stream(reply, extra, scope, receive, send)
        else:
            await _send(reply, extra, send)

    async def _answer(self, scope: Scope, receive: Receive, extra: Extra, request_id: str) -> Reply | Stream:
        headers = _headers(scope["headers"])
        segments = split_path(scope)
        document = discover(scope, headers, segments)
        if document is not None:
            return document
        segments = segments[1:] if segments[0] == "v1" else segments
        method = scope["method"]
        found = self._table.find(method, segments)
        public = found is not None and found[0].public
        caller = NOBODY if public else await self._caller(scope, headers)
        spoken = versions.negotiate(headers.get(b"openstack-api-version"))
        extra.append((b"openstack-api-version", spoken.header))
        route, words = self._known(method, segments, spoken, found)
        if not public:
            self._deps.rules.require(caller, route.rule)
        raw = b""
        if route.body is not None:
            raw = await read_bytes(receive, headers, self._deps.settings.max_body_bytes)
        call = Call(
            deps=self._deps,
            route=route,
            caller=caller,
            versions=spoken,
            words=words,
            query=read_query(scope["query_string"]),
            body=None if route.body is None else read_body(raw, headers, route.body, method),
            now=self._deps.clock.now(),
            sent=Sent(headers, scope["query_string"], raw, base_url(scope, headers)),
        )
        try:
            return await route.handler(call)
        except ESchema as error:
            if spoken.ours is None:
                raise
            raise InvalidSpec(error.message) from error

    async def _caller(self, scope: Scope, headers: Headers) -> Caller:
        """Raises: Unauthorized, Forbidden, IdentityUnavailable."""
        path = scope.get("raw_path") or scope["path"].encode()
        request = Request(headers, scope["method"], path.partition(b"?")[0].decode("latin-1"))
        return self._deps.rules.admit(await self._deps.authenticator.authenticate(request))

    def _known(self, method: str, segments: list[str], spoken: Versions, found: Found | None) -> Found:
        """What was found, if it is there at that version. Raises: RouteNotFound, MethodVersionNotFound."""
        if found is None or (found[0].ours and spoken.ours is None):
            raise RouteNotFound(f"There is no {method} /v1/{'/'.join(segments)[:255]}.")
        if found[0].since > spoken.minor:
            raise MethodVersionNotFound(
                f"{method} {found[0].path} does not exist at version 1.{spoken.minor}; ask for 'clustering "
                f"1.{found[0].since}' or later in OpenStack-API-Version."
            )
        return found


def build_app(deps: Deps) -> Api:
    return Api(deps)


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """By name in lower case; repeated ones joined by commas."""
    found: dict[bytes, bytes] = {}
    for name, value in raw:
        found[name] = found[name] + b"," + value if name in found else value
    return found


async def _send(reply: Reply, extra: Extra, send: Send) -> None:
    headers = [*reply.headers, *extra]
    if reply.body:
        headers.append((b"content-type", b"application/json"))
    if reply.status != 204:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def _stream(reply: Stream, extra: Extra, scope: Scope, receive: Receive, send: Send) -> None:
    response = StreamingResponse(reply.content, media_type=reply.media_type)
    response.raw_headers.extend([*extra, (b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")])
    try:
        await response(scope, receive, send)
    finally:
        close = getattr(reply.content, "aclose", None)
        if close is not None:
            await close()


async def _live(receive: Receive, send: Send) -> None:
    """Nothing to do at start and end: what the API works with belongs to whoever built it."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
