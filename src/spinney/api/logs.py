"""Reading what containers write, without knowing where they run.

A node's log is plain text as written. A cluster's is one JSON object per line, members interleaved as lines arrive. Guaranteed:
lines are never longer than ``_LONGEST`` bytes (longer ones are split); a member that cannot be read gives one line that says so
and the others go on; at most ``_BACKLOG`` lines are held for a reader that is slow.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import Row

from spinney.api.insight import CONCURRENCY, members, require_container
from spinney.api.reading import read_moment, read_switch
from spinney.api.wire import Call, Reply, Stream
from spinney.domain.container import LogChunk, LogQuery
from spinney.domain.runs import place_of
from spinney.errors import Conflict, HostError, HTTPBadRequest
from spinney.store import nodes

PARAMETERS = ("tail", "since", "until", "follow", "timestamps", "stdout", "stderr")
OF_CLUSTERS = (*PARAMETERS, "run")

log = logging.getLogger(__name__)

_LONGEST = 16384
_BACKLOG = 1000
_LARGEST_TAIL = 10**9
#: A failure to open the log within this many seconds is answered with an error status, a later one with a last line.
_PATIENCE = 2.0
_STAMP = re.compile(rb"[0-9T:.+Z-]{20,40} ")


async def of_node(call: Call) -> Reply | Stream:
    query = read_query(call)
    row = await call.deps.store.read(nodes.FINDER.get, call.word, call.scope)
    host_id, container_id = require_container(row)
    chunks = call.deps.access.logs(host_id, container_id, query)
    first = asyncio.ensure_future(_next(chunks))
    await asyncio.wait([first], timeout=_PATIENCE)
    if first.done() and (error := first.exception()) is not None:
        raise error
    return Stream(_text(first, chunks), "text/plain")


async def _next(chunks: AsyncGenerator[LogChunk, None]) -> LogChunk | None:
    return await anext(chunks, None)


async def _text(first: asyncio.Future[LogChunk | None], chunks: AsyncGenerator[LogChunk, None]) -> AsyncIterator[bytes]:
    try:
        chunk = await first
        while chunk is not None:
            yield chunk.data
            chunk = await _next(chunks)
    except HostError as error:
        yield f"\nspinney: the log ends here: {error.message}\n".encode()
    finally:
        first.cancel()
        await asyncio.wait([first])
        await _close(chunks)


async def of_cluster(call: Call) -> Reply | Stream:
    query = read_query(call, OF_CLUSTERS)
    rows = await call.deps.store.read(members, call)
    number = _number(call.flag("run"))
    if number is not None:
        rows = [row for row in rows if (place := place_of(row.data)) is not None and place.number == number]
    return Stream(_merged(call, rows, replace(query, timestamps=True)), "application/x-ndjson")


async def _merged(call: Call, rows: list[Row[Any]], query: LogQuery) -> AsyncIterator[bytes]:
    lines: asyncio.Queue[bytes | None] = asyncio.Queue(_BACKLOG)
    gate = asyncio.Semaphore(len(rows) + 1 if query.follow else CONCURRENCY)

    async def read(row: Row[Any]) -> None:
        async with gate:
            try:
                await _read_member(call, row, query, lines)
            except Exception:
                log.exception("reading the log of node %s failed", row.id)
                await lines.put(_failure(row, "The service failed to read this log; its own log has the reason."))

    async def read_all() -> None:
        async with asyncio.TaskGroup() as group:
            for row in rows:
                group.create_task(read(row))
        await lines.put(None)

    reading = asyncio.create_task(read_all())
    try:
        while (line := await lines.get()) is not None:
            yield line
        await reading
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading


async def _read_member(call: Call, row: Row[Any], query: LogQuery, lines: asyncio.Queue[bytes | None]) -> None:
    named = {"node_id": row.id, "node_name": row.name}
    cut = {"stdout": LineCutter(), "stderr": LineCutter()}
    try:
        host_id, container_id = require_container(row)
        chunks = call.deps.access.logs(host_id, container_id, query)
        try:
            async for chunk in chunks:
                for line in cut.setdefault(chunk.stream, LineCutter()).feed(chunk.data):
                    await lines.put(_line(named, chunk.stream, line))
        finally:
            await _close(chunks)
        for stream, cutter in cut.items():
            for line in cutter.rest():
                await lines.put(_line(named, stream, line))
    except (HostError, Conflict) as error:
        await lines.put(_failure(row, error.message))


def _failure(row: Row[Any], message: str) -> bytes:
    return orjson.dumps({"node_id": row.id, "node_name": row.name, "error": message}) + b"\n"


def _line(named: dict[str, str], stream: str, line: bytes) -> bytes:
    stamp = _STAMP.match(line)
    time = None if stamp is None else stamp[0].strip().decode()
    text = (line if stamp is None else line[stamp.end() :]).decode("utf-8", "replace")
    return orjson.dumps({**named, "stream": stream, "time": time, "line": text}) + b"\n"


class LineCutter:
    """Pieces of a stream in, whole lines out, none longer than ``_LONGEST``."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[bytes]:
        *whole, self._held = (self._held + data).split(b"\n")
        found = [part for line in whole for part in _parts(line.removesuffix(b"\r"))]
        while len(self._held) > _LONGEST:
            found.append(self._held[:_LONGEST])
            self._held = self._held[_LONGEST:]
        return found

    def rest(self) -> list[bytes]:
        held, self._held = self._held, b""
        return [held] if held else []


def _parts(line: bytes) -> list[bytes]:
    if len(line) <= _LONGEST:
        return [line]
    return [line[start : start + _LONGEST] for start in range(0, len(line), _LONGEST)]


async def _close(chunks: AsyncGenerator[LogChunk, None]) -> None:
    close = getattr(chunks, "aclose", None)
    if close is not None:
        await close()


def _number(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise HTTPBadRequest(f"run: '{text[:80]}' is not allowed: the number of a run is needed.")
    return int(text)


def read_query(call: Call, known: Sequence[str] = PARAMETERS) -> LogQuery:
    """What the query asks of a log. Raises: HTTPBadRequest."""
    for key, _ in call.query:
        if key not in known:
            raise HTTPBadRequest(f"Invalid parameter '{key[:80]}': logs take {', '.join(known)}.")
    both = call.flag("stdout") is None and call.flag("stderr") is None
    return LogQuery(
        tail=_tail(call.flag("tail")),
        since=read_moment("since", call.flag("since"), call.now),
        until=read_moment("until", call.flag("until"), call.now),
        follow=read_switch("follow", call.flag("follow")),
        timestamps=read_switch("timestamps", call.flag("timestamps")),
        stdout=both or _wanted(call, "stdout", "stderr"),
        stderr=both or _wanted(call, "stderr", "stdout"),
    )


def _wanted(call: Call, name: str, other: str) -> bool:
    """One stream said to be off leaves the other on; one said to be on is the only one."""
    given = call.flag(name)
    return read_switch(name, given) if given is not None else not read_switch(other, call.flag(other))


def _tail(text: str | None) -> int | None:
    if text in (None, "", "all"):
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise HTTPBadRequest(
            f"tail: '{text[:80]}' is not allowed: a number of lines up to {_LARGEST_TAIL - 1}, or all."
        )
    return int(text)
