"""Reading what simulated containers print.

Guaranteed: following ends when the container is down or gone, and tells each line once. Not guaranteed: lines older than the
last ten thousand of a container.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import islice

from spinney.domain.container import LogQuery
from spinney.drivers.simulated.engine import SimulatedEngine
from spinney.drivers.simulated.values import ContainerRecord, LogLine
from spinney.drivers.simulated.views import stamp


def rendered(line: LogLine, query: LogQuery) -> bytes:
    return f"{stamp(line.at)} ".encode() + line.data if query.timestamps else line.data


def _is_wanted(line: LogLine, query: LogQuery) -> bool:
    return (
        (query.stdout if line.stream == "stdout" else query.stderr)
        and (query.since is None or line.at >= query.since)
        and (query.until is None or line.at <= query.until)
    )


async def read_lines(engine: SimulatedEngine, record: ContainerRecord, query: LogQuery) -> AsyncIterator[LogLine]:
    """The lines asked for. Raises Silence when the host falls silent for the idle limit while following."""
    past = [line for line in record.logs or () if _is_wanted(line, query)]
    if query.tail is not None:
        past = past[-query.tail :] if query.tail else []
    position = record.printed
    news = asyncio.Event()
    if record.watchers is None:
        record.watchers = []
    record.watchers.append(news.set)
    try:
        for line in past:
            yield line
        while query.follow:
            await engine.outlast_silence()
            up = record.is_up
            fresh = list(islice(reversed(record.logs or ()), record.printed - position))
            position = record.printed
            for line in reversed(fresh):
                if _is_wanted(line, query):
                    yield line
            if not up:
                return
            if position == record.printed and record.is_up:
                await news.wait()
            news.clear()
    finally:
        record.watchers.remove(news.set)
