"""The API as an ASGI application.

Checks come in one order for every route: version discovery, authentication, the project's turn, version header, route,
microversion, access rule, shape of the request, and then whatever the handler looks up. Guaranteed: every answer bears a
request id; a failure of ours is a 500 which says nothing but that id, under which the log has the rest; a request that takes
too long is answered before it ends, but what it writes is written whole.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from spinney.api import audit, faults, idempotency, versions
from spinney.api.audit import Visit
from spinney.api.auth import Headers, Request
from spinney.api.discovery import answer as discover
from spinney.api.discovery import split_path
from spinney.api.idempotency import Repetitions
from spinney.api.limiting import Gate, key_of
from spinney.api.openapi import takes_key
from spinney.api.origin import Origin, Proxies, check_site
from spinney.api.reading import read_body, read_bytes, read_query
from spinney.api.routes import ROUTES
from spinney.api.routing import Found, Table
from spinney.api.sending import Header, Receive, Scope, Send, release, send_reply, send_stream
from spinney.api.terminals import Terminals
from spinney.api.versions import Versions
from spinney.api.wire import Call, Deps, Reply, Route, Sent, Stream
from spinney.domain.identity import Caller
from spinney.errors import (
    ESchema,
    InvalidSpec,
    MethodVersionNotFound,
    RouteNotFound,
    SpinneyError,
    StillAtWork,
    TooManyRequests,
    Unauthorized,
)

log = logging.getLogger(__name__)

_READING = ("GET", "HEAD")


@dataclass(slots=True)
class Exchange:
    """One request under way, and what its answer will bear besides."""

    scope: Scope
    receive: Receive
    headers: Headers
    origin: Origin
    visit: Visit
    extra: list[Header] = field(default_factory=list)


class Api:
    def __init__(self, deps: Deps, routes: Iterable[Route] = ROUTES) -> None:
        self._deps = deps
        self._table = Table(routes)
        self._proxies = Proxies(deps.settings.trusted_proxies)
        self._gate = Gate(deps.clock, deps.pace)
        self._repetitions = Repetitions()
        self._terminals = Terminals(deps, self._proxies, self._gate.stream)
        #: Requests that were answered with 503 and still go on.
        self._late: set[asyncio.Task[Reply | Stream]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "websocket":
            await self._terminals.serve(scope, receive, send)
        else:
            await self._serve(scope, receive, send)

    async def close(self) -> None:
        """End what still goes on; transactions that have begun are waited for."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope["headers"])
        origin = self._proxies.origin(scope, headers)
        visit = Visit("req-" + self._deps.ids.new(), scope["method"], scope["path"], origin.address)
        exchange = Exchange(scope, receive, headers, origin, visit)
        exchange.extra += [
            (b"x-openstack-request-id", visit.request_id.encode()),
            (b"vary", b"OpenStack-API-Version"),
        ]
        reply = await self._in_time(exchange)
        if isinstance(reply, Reply):
            audit.note(visit, reply, self._deps.clock)
            await send_reply(reply, exchange.extra, origin.scheme, send)
            return
        try:
            with self._gate.stream(visit.caller.project):
                audit.note(visit, reply, self._deps.clock)
                await send_stream(reply, exchange.extra, origin.scheme, scope, receive, send)
        except TooManyRequests as error:
            await release(reply)
            await send_reply(faults.reply_to(error), exchange.extra, origin.scheme, send)

    async def _in_time(self, exchange: Exchange) -> Reply | Stream:
        """The answer, or that there is none yet."""
        work = asyncio.ensure_future(self._answered(exchange))
        limit = self._deps.settings.handler_timeout
        try:
            await asyncio.wait([work], timeout=limit)
        except asyncio.CancelledError:
            work.cancel()
            await asyncio.wait([work])
            raise
        if work.done():
            return work.result()
        self._let_go_on(exchange, work)
        changing = exchange.visit.method not in _READING
        goes_on = "; it goes on: see what has come of it before sending it again" if changing else ""
        return faults.reply_to(StillAtWork(f"The request takes longer than {limit:g} s{goes_on}.").after(limit))

    def _let_go_on(self, exchange: Exchange, work: asyncio.Task[Reply | Stream]) -> None:
        visit = exchange.visit
        log.warning("%s %s takes too long [%s]", visit.method, visit.path, visit.request_id)
        self._late.add(work)

        def ended(_: object) -> None:
            self._late.discard(work)
            if not work.cancelled() and isinstance(reply := work.result(), Reply):
                audit.note(visit, reply, self._deps.clock)

        work.add_done_callback(ended)
        if visit.method in _READING:
            work.cancel()

    async def _answered(self, exchange: Exchange) -> Reply | Stream:
        visit = exchange.visit
        try:
            return await self._answer(exchange)
        except Unauthorized as error:
            exchange.extra.append((b"www-authenticate", self._deps.authenticator.challenge.encode()))
            return faults.reply_to(error)
        except SpinneyError as error:
            if error.status == 500 or error.retryable:
                log.warning("%s %s: %s [%s]", visit.method, visit.path, error.message, visit.request_id)
            return faults.reply_to(error)
        except Exception:
            log.exception("%s %s failed [%s]", visit.method, visit.path, visit.request_id)
            return faults.unexpected(visit.request_id)

    async def _answer(self, exchange: Exchange) -> Reply | Stream:
        scope, visit = exchange.scope, exchange.visit
        segments = split_path(scope)
        document = discover(scope, exchange.headers, segments, exchange.origin.base_url)
        if document is not None:
            return document
        segments = segments[1:] if segments[0] == "v1" else segments
        found = self._table.find(scope["method"], segments)
        if found is not None:
            visit.route, visit.words = found
        if found is None or not found[0].public:
            if visit.method not in _READING:
                check_site(exchange.headers.get(b"origin"), exchange.origin)
            visit.caller = await self._caller(exchange)
        who = key_of(visit.caller.project, exchange.origin.counted)
        async with self._gate.turn(who, changing=visit.method not in _READING):
            spoken = versions.negotiate(exchange.headers.get(b"openstack-api-version"))
            exchange.extra.append((b"openstack-api-version", spoken.header))
            route, words = self._known(scope["method"], segments, spoken, found)
            if not route.public:
                self._deps.rules.require(visit.caller, route.rule)
            visit.call = await self._call(exchange, route, words, spoken)
            return await self._handled(visit.call)

    async def _call(self, exchange: Exchange, route: Route, words: tuple[str, ...], spoken: Versions) -> Call:
        headers, scope, caller = exchange.headers, exchange.scope, exchange.visit.caller
        raw = b""
        if route.body is not None:
            raw = await read_bytes(exchange.receive, headers, self._deps.settings.max_body_bytes)
        store = self._gate.share(self._deps.store, key_of(caller.project, exchange.origin.counted))
        return Call(
            deps=replace(self._deps, store=store),
            route=route,
            caller=caller,
            versions=spoken,
            words=words,
            query=read_query(scope["query_string"]),
            body=None if route.body is None else read_body(raw, headers, route.body, scope["method"]),
            now=self._deps.clock.now(),
            sent=Sent(headers, scope["query_string"], raw, exchange.origin.base_url),
        )

    async def _handled(self, call: Call) -> Reply | Stream:
        key = idempotency.read_key(call.sent.headers.get(b"idempotency-key")) if takes_key(call.route) else None
        if key is None:
            return await _run(call)
        path = "/".join((call.route.path, *call.words)).encode()
        digest = idempotency.digest_of("POST", path, call.sent.query, call.versions.header.decode(), call.sent.body)
        return await self._repetitions.serve(call, key, digest, _run)

    async def _caller(self, exchange: Exchange) -> Caller:
        """Raises: Unauthorized, Forbidden, IdentityUnavailable, TooManyRequests."""
        scope, headers = exchange.scope, exchange.headers
        path = scope.get("raw_path") or scope["path"].encode()
        request = Request(headers, scope["method"], path.partition(b"?")[0].decode("latin-1"))
        await self._gate.check_address(exchange.origin.counted)
        try:
            caller = await self._deps.authenticator.authenticate(request)
        except Unauthorized:
            if b"authorization" in headers or b"x-auth-token" in headers:
                self._gate.failed(exchange.origin.counted)
            raise
        return self._deps.rules.admit(caller)

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


#: Methods that may add to what a project has.
_ADDING = ("POST", "PATCH")


async def _run(call: Call) -> Reply | Stream:
    if call.route.method in _ADDING and not call.route.public:
        await call.deps.limits.renew(call.owner.project)
    try:
        return await call.route.handler(call)
    except ESchema as error:
        if call.versions.ours is None:
            raise
        raise InvalidSpec(error.message) from error


def _headers(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """By name in lower case; repeated ones joined by commas."""
    found: dict[bytes, bytes] = {}
    for name, value in raw:
        found[name] = found[name] + b"," + value if name in found else value
    return found


async def _live(receive: Receive, send: Send) -> None:
    """Nothing to do at start and end: what the API works with belongs to whoever built it."""
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
