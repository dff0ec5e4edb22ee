"""Sending answers, with what every answer carries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

from starlette.responses import StreamingResponse

from spinney.api.wire import Reply, Stream

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

#: A browser that is led here is to show, run, embed, keep and tell on nothing.
_PROTECTING: tuple[Header, ...] = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
#: Over TLS: come back over TLS alone, for a year.
_SECURE: tuple[Header, ...] = (*_PROTECTING, (b"strict-transport-security", b"max-age=31536000"))


def protecting(scheme: str, own: Iterable[Header] = ()) -> list[Header]:
    """The headers that protect, but for those that an answer has of its own."""
    given = {name for name, _ in own}
    return [header for header in (_SECURE if scheme == "https" else _PROTECTING) if header[0] not in given]


async def send_reply(reply: Reply, extra: list[Header], scheme: str, send: Send) -> None:
    headers = [*reply.headers, *extra, *protecting(scheme, reply.headers)]
    if reply.body and not any(name == b"content-type" for name, _ in reply.headers):
        headers.append((b"content-type", b"application/json"))
    if reply.status != 204:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def send_stream(
    reply: Stream, extra: list[Header], scheme: str, scope: Scope, receive: Receive, send: Send
) -> None:
    response = StreamingResponse(reply.content, media_type=reply.media_type)
    response.raw_headers.extend([*extra, *protecting(scheme)])
    try:
        await response(scope, receive, send)
    finally:
        await release(reply)


async def release(reply: Stream) -> None:
    """Let go of what it reads from."""
    close = getattr(reply.content, "aclose", None)
    if close is not None:
        await close()
