"""Clients of a web service who never ask twice: so many requests a second, each of which has to be answered with 200.

The rate is steady, or follows a course: rates at moments, straight lines between them; two rates at one moment are a jump.

Requests come by the clock, not one after the other's answer: a service that stalls is asked on. Connections are kept, as
browsers and proxies keep them; a connection that the service has announced to close is left, one that it closes without a word
under a request is a failed request. Nothing is repeated.

A program of its own, so that it does not share an interpreter with the test: ``Load`` runs it beside one.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any
from urllib.parse import urlsplit

_PATIENCE = 5.0
_TOLD = 20

#: Seconds since the beginning, and requests per second then.
Course = Sequence[tuple[float, float]]


def rate_at(course: Course, seconds: float) -> float:
    """Before the first moment as at it, after the last as there."""
    index = bisect_right(course, seconds, key=itemgetter(0))
    if index in (0, len(course)):
        return course[min(index, len(course) - 1)][1]
    (before, low), (after, high) = course[index - 1 : index + 1]
    return low + (high - low) * (seconds - before) / (after - before)


def _written(course: Course) -> str:
    return ",".join(f"{seconds:g}:{rate:g}" for seconds, rate in course)


def _read(word: str) -> Course:
    """``500``, or ``0:40,60:40,60:400``: from 40 to 400 at once after a minute."""
    parts = [part.rpartition(":") for part in word.split(",")]
    return [(float(seconds or 0), float(rate)) for seconds, _, rate in parts]


@dataclass(slots=True)
class _Tally:
    sent: int = 0
    late: int = 0  # not asked, because all connections were busy for too long
    waits: list[float] = field(default_factory=list)
    why: Counter[str] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    answered_by: Counter[str] = field(default_factory=Counter)

    def failed(self, reason: str) -> None:
        self.why[reason] += 1
        if len(self.told) < _TOLD:
            self.told.append(f"{time.time():.3f} {reason}")


class _Client:
    """One connection at a time, one request at a time on it."""

    def __init__(self, host: str, port: int, path: str, tally: _Tally) -> None:
        self._place = host, port
        self._request = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: load\r\n\r\n".encode()
        self._tally = tally
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def ask(self) -> None:
        self._tally.sent += 1
        began = time.monotonic()
        step = "connect"
        try:
            async with asyncio.timeout(_PATIENCE):
                if self._open is None:
                    self._open = await asyncio.open_connection(*self._place)
                reader, writer = self._open
                step = "send"
                writer.write(self._request)
                await writer.drain()
                step = "answer"
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
                step = "body"
                body = await self._body(reader, fields)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
            self._tally.failed(f"{step}: {type(error).__name__}")
            self.close()
            return
        self._tally.waits.append(time.monotonic() - began)
        status = head[0].split(" ")[1]
        if status != "200":
            self._tally.failed(f"status {status}")
        self._tally.answered_by[body.decode("latin-1").strip()[:40]] += 1
        if fields.get("connection") == "close" or head[0].startswith("HTTP/1.0"):
            self.close()

    async def _body(self, reader: asyncio.StreamReader, fields: dict[str, str]) -> bytes:
        if "content-length" in fields:
            return await reader.readexactly(int(fields["content-length"]))
        if fields.get("transfer-encoding") == "chunked":
            whole = b""
            while size := int(await reader.readuntil(b"\r\n"), 16):
                whole += await reader.readexactly(size)
                await reader.readexactly(2)
            await reader.readexactly(2)
            return whole
        return await reader.read()

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None


async def _serve(url: str, course: Course, seconds: float, connections: int) -> dict[str, Any]:
    parts = urlsplit(url)
    tally = _Tally()
    free: asyncio.Queue[_Client] = asyncio.Queue()
    clients = [_Client(parts.hostname or "", parts.port or 80, parts.path or "/", tally) for _ in range(connections)]
    for client in clients:
        free.put_nowait(client)
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    began, began_at = time.monotonic(), time.time()
    asking: set[asyncio.Task[None]] = set()

    async def one(client: _Client) -> None:
        try:
            await client.ask()
        finally:
            free.put_nowait(client)

    due = began
    while not over.is_set() and time.monotonic() - began < seconds:
        if (pause := due - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(over.wait(), pause)
        due += 1 / rate_at(course, due - began)
        if free.empty():
            tally.late += 1
            await asyncio.sleep(0)
            continue
        task = loop.create_task(one(free.get_nowait()))
        asking.add(task)
        task.add_done_callback(asking.discard)
    if asking:
        await asyncio.wait(asking, timeout=_PATIENCE + 1)
    lasted = time.monotonic() - began
    for client in clients:
        client.close()
    waits = sorted(tally.waits) or [0.0]
    return {
        "began": began_at,
        "sent": tally.sent,
        "failed": sum(tally.why.values()),
        "late": tally.late,
        "rate": round(tally.sent / lasted, 1),
        "seconds": round(lasted, 1),
        "why": dict(tally.why),
        "first": tally.told,
        "milliseconds": {
            "median": round(1000 * waits[len(waits) // 2], 2),
            "99%": round(1000 * waits[int(len(waits) * 0.99)], 2),
            "most": round(1000 * waits[-1], 2),
        },
        "answers": len(tally.answered_by),
    }


class Load:
    """``with Load(url, rate=500) as load: …``; afterwards ``load.result``. It ends by itself after ``seconds``."""

    def __init__(self, url: str, *, rate: float | Course, seconds: float = 600.0, connections: int = 32) -> None:
        course = [(0.0, rate)] if isinstance(rate, (int, float)) else rate
        numbers = [f"--rate={_written(course)}", f"--seconds={seconds}", f"--connections={connections}"]
        self._command = [sys.executable, __file__, url, *numbers]
        self.result: dict[str, Any] = {}

    def __enter__(self) -> Load:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        said, _nothing = self._process.communicate(timeout=_PATIENCE + 10)
        self.result = json.loads(said)


def main() -> None:
    parser = argparse.ArgumentParser(description="Ask a web service so often a second; print what came of it as JSON.")
    parser.add_argument("url")
    parser.add_argument(
        "--rate", type=_read, default=[(0.0, 500.0)], help="requests per second, or SECONDS:RATE,SECONDS:RATE,…"
    )
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--connections", type=int, default=32)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(_serve(given.url, given.rate, min(given.seconds, 7200.0), given.connections))))


if __name__ == "__main__":
    main()
