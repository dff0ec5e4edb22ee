"""Who did what: one JSON object a line for each request that changes something, or is refused for who sends it.

Guaranteed: no line holds a body, a query, a token or a word of the path that opens something. Not guaranteed: that a line is
written when the disk is full; requests are served nevertheless, and standard error tells of it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from logging.handlers import WatchedFileHandler

import orjson

from spinney.api.wire import Call, Reply, Route, Stream
from spinney.clock import Clock, iso
from spinney.domain.identity import NOBODY, Caller

log = logging.getLogger("spinney.audit")

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_DENIED = frozenset({401, 403})
#: Variable parts of paths that are to be kept from those who read logs.
_OPENING = frozenset({"token", "secret", "key", "ticket"})
_LONGEST = 255
_ACTION = b"/v1/actions/"


@dataclass(slots=True)
class Visit:
    """One request, as far as is known of it."""

    request_id: str
    method: str
    path: str
    address: str
    caller: Caller = NOBODY
    route: Route | None = None
    words: tuple[str, ...] = ()
    call: Call | None = None


def note(visit: Visit, reply: Reply | Stream, clock: Clock) -> None:
    """Write the line of a request that has been answered, if it deserves one."""
    status = reply.status if isinstance(reply, Reply) else 200
    if (visit.method not in _READING or status in _DENIED) and log.isEnabledFor(logging.INFO):
        log.info("%s", orjson.dumps(line(visit, reply, clock.now())).decode())


def line(visit: Visit, reply: Reply | Stream, now: float) -> dict[str, object]:
    owner, route = visit.caller.owner, visit.route
    headers = dict(reply.headers) if isinstance(reply, Reply) else {}
    action = headers.get(b"location", b"")
    return {
        "time": iso(now),
        "request_id": visit.request_id,
        "user": owner.user or None,
        "project": owner.project or None,
        "domain": owner.domain,
        "roles": sorted(visit.caller.roles),
        "address": visit.address or None,
        "method": visit.method,
        "path": visit.path[:_LONGEST] if route is None else _shown(route, visit.words),
        "rule": None if route is None else route.rule,
        "targets": [] if route is None else _targets(route, visit.words, reply),
        "status": reply.status if isinstance(reply, Reply) else 200,
        "action": action[len(_ACTION) :].decode() if action.startswith(_ACTION) else None,
        "repeated": b"idempotency-replayed" in headers,
        "notes": [] if visit.call is None else list(visit.call.audited),
    }


def _parts(route: Route, words: tuple[str, ...]) -> list[tuple[str, str]]:
    """Segment by segment of the route: its name there, and what may be shown of what was sent."""
    given = iter(words)
    found = []
    for segment in route.segments:
        name = segment.strip("{}")
        word = next(given, "") if segment.startswith("{") else segment
        found.append((segment, "***" if name in _OPENING and segment.startswith("{") else word[:_LONGEST]))
    return found


def _shown(route: Route, words: tuple[str, ...]) -> str:
    return "/v1/" + "/".join(word for _, word in _parts(route, words))


def _targets(route: Route, words: tuple[str, ...], reply: Reply | Stream) -> list[str]:
    """What the path names, and what was made."""
    named = [word for segment, word in _parts(route, words) if segment.startswith("{") and word != "***"]
    return [*named, *(_made(reply.body) if isinstance(reply, Reply) and route.method == "POST" else ())]


def _made(body: bytes) -> list[str]:
    """The id of the object that an answer shows."""
    found = orjson.loads(body) if body else None
    values = list(found.values()) if isinstance(found, dict) and len(found) == 1 else [None]
    made = values[0].get("id") if isinstance(values[0], dict) else None
    return [made] if isinstance(made, str) else []


@dataclass(slots=True)
class AuditFile:
    """Where the lines go. ``reopen`` begins a new file where the old one was moved away; each line looks for that too."""

    path: str
    _handler: logging.Handler | None = field(default=None, init=False)

    def open(self) -> None:
        """Raises: OSError."""
        if not self.path:
            return
        handler = logging.StreamHandler() if self.path == "-" else WatchedFileHandler(self.path, encoding="utf-8")
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
        self._handler = handler

    def reopen(self) -> None:
        if isinstance(self._handler, WatchedFileHandler):
            self._handler.reopenIfNeeded()

    def close(self) -> None:
        if self._handler is not None:
            log.removeHandler(self._handler)
            self._handler.close()
            log.propagate = True
            self._handler = None
