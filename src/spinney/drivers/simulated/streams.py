"""Answers of the Docker Engine API that come in pieces: events, the progress of a pull, samples."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import orjson
from aiohttp import web

from spinney.drivers.simulated.engine import SimulatedEngine
from spinney.drivers.simulated.faults import Operation
from spinney.drivers.simulated.values import ContainerRecord, EngineEvent, Refusal
from spinney.errors import DiskFull

#: Seconds after which a pull that is still going on begins to tell its progress, and between two signs of life of it.
_PATIENCE = 0.5
_PROGRESS = 1.0


async def _begin(request: web.BaseRequest) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    return response


class LineStream:
    """Events, one JSON object a line. The subscription stands from the moment this object is made."""

    def __init__(
        self,
        engine: SimulatedEngine,
        select: Callable[[EngineEvent], bytes | None],
        past: Iterable[EngineEvent],
        until: float | None,
    ) -> None:
        self._engine = engine
        self._past = [line for line in map(select, past) if line is not None]
        self._until = until
        self._subscription = engine.subscribe(select, starves=False)

    async def send(self, request: web.BaseRequest) -> web.StreamResponse:
        """Until the client leaves, the time given is reached, or the stream breaks (Cutoff)."""
        try:
            response = await _begin(request)
            for line in self._past:
                await response.write(line)
            if self._until is None:
                while True:
                    await response.write(await self._subscription.next())
            ending = asyncio.get_running_loop().create_task(self._forward(response))
            try:
                await self._engine.clock.sleep(max(0.0, self._until - self._engine.clock.now()))
            finally:
                ending.cancel()
            return response
        finally:
            self._engine.unsubscribe(self._subscription)

    async def _forward(self, response: web.StreamResponse) -> None:
        while True:
            await response.write(await self._subscription.next())


async def send_pull(engine: SimulatedEngine, request: web.BaseRequest, reference: str) -> web.StreamResponse:
    """A refusal in the beginning is an answer of its own, a later one is told inside the stream, after status 200."""
    pull = asyncio.get_running_loop().create_task(
        engine.perform(Operation.PULL, engine.core.pull_delay, reference, then=engine.core.pull)
    )
    try:
        done, _ = await asyncio.wait({pull}, timeout=_PATIENCE)
        refused = pull.exception() if done else None
        if refused is not None and not (isinstance(refused, Refusal) and refused.meaning is DiskFull):
            raise refused
        response = await _begin(request)
        while not pull.done():
            await _tell(response, status="Downloading", id=reference)
            await asyncio.wait({pull}, timeout=_PROGRESS)
        try:
            await pull
        except Refusal as refusal:
            await _tell(response, errorDetail={"message": refusal.message}, error=refusal.message)
        else:
            await _tell(response, status=f"Status: Downloaded newer image for {reference}")
        return response
    finally:
        pull.cancel()


async def _tell(response: web.StreamResponse, **progress: Any) -> None:
    await response.write(orjson.dumps(progress) + b"\r\n")


async def send_exit(
    engine: SimulatedEngine, request: web.BaseRequest, record: ContainerRecord, condition: str
) -> web.StreamResponse:
    """The exit code, once the container is down (``not-running``), has ended once more (``next-exit``) or is ``removed``."""
    before, news = record.finished_at, asyncio.Event()

    def is_reached() -> bool:
        if condition == "removed":
            return engine.core.find(record.id) is None
        return not record.is_up and (condition != "next-exit" or record.finished_at != before)

    if record.watchers is None:
        record.watchers = []
    record.watchers.append(news.set)
    try:
        response = await _begin(request)
        while not is_reached():
            await news.wait()
            news.clear()
    finally:
        record.watchers.remove(news.set)
    await response.write(orjson.dumps({"StatusCode": record.exit_code or 0}))
    return response


async def send_stats(
    engine: SimulatedEngine, request: web.BaseRequest, first: Any, sample: Callable[[], Any]
) -> web.StreamResponse:
    """One sample each second, until the client leaves or the container is gone."""
    response = await _begin(request)
    value = first
    while True:
        await response.write(orjson.dumps(value) + b"\n")
        await engine.clock.sleep(1.0)
        try:
            value = sample()
        except Refusal:
            return response
