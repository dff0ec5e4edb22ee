"""Measuring the hosts that an engine watches: every few seconds each, averages into the database, the rest kept in memory.

Guaranteed: a host that cannot be measured is not suspect for it; what is known of it grows old, and what is old is unknown.
Rows are written when a figure has changed noticeably or has not been told for a while, those of all hosts together. Figures
of containers stay with the engine that watches their host, and are lost with it.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

from sqlalchemy import Connection

from spinney.domain.container import ContainerStats
from spinney.domain.host import HelperMode, Host
from spinney.domain.retry import backoff
from spinney.domain.utilization import HostUse
from spinney.drivers.base import ContainerHost
from spinney.engine.carrying.hosts import HostPool
from spinney.engine.context import EngineContext
from spinney.errors import HostError
from spinney.store import measuring
from spinney.store.measuring import Wish

log = logging.getLogger(__name__)

T = TypeVar("T")

#: Seconds between two groups of rows, and between two looks at how hosts are to be measured.
_BOOKING = 1.0
_WISHING = 5.0
#: Seconds at most until a host that could not be measured is tried again.
_CEILING = 60.0
#: Seconds in which a host that is given up must have let its helper go.
_FAREWELL = 5.0
#: Sampling intervals after which a figure of a container is asked of its Docker engine instead.
_FRESH = 3.0


async def keep_books(context: EngineContext) -> None:
    """Learn how hosts are to be measured, and write what was. Runs until cancelled; one per engine."""
    kept, wishing = context.measurements, 0.0
    while True:
        if wishing <= 0:
            kept.wishes = await context.store.read(measuring.wishes)
            wishing = _WISHING
        uses, helpers = kept.take_news()
        if uses or helpers:
            await context.store.transact(_write, uses, helpers)
        await context.clock.sleep(_BOOKING)
        wishing -= _BOOKING


def known_stats(context: EngineContext, host_id: str, container_id: str) -> ContainerStats | None:
    """What this process has measured of a container just now; None: ask its Docker engine."""
    max_age = _FRESH * context.hosts.sample_interval
    return context.measurements.stats(host_id, container_id, context.clock.now(), max_age)


def _write(connection: Connection, uses: Mapping[str, HostUse], helpers: Mapping[str, HelperMode]) -> None:
    measuring.write_uses(connection, uses)
    measuring.write_helpers(connection, helpers)


class Sampler:
    """One host. ``known``: whether what answers there is sure to be the host that is meant."""

    def __init__(self, context: EngineContext, pool: HostPool, host: Host, known: Callable[[], bool]) -> None:
        self._context = context
        self._pool = pool
        self._host = host
        self._known = known
        self._kept = context.measurements
        #: The helper that was there when last heard of; what another engine left is removed if it is not wanted.
        self._mode = host.helper
        self._sure = False
        self._failures = 0
        self._kept.forget(host.node_id)

    def _wish(self) -> Wish | None:
        return self._kept.wish(self._host.node_id, HelperMode(self._context.hosts.helper))

    @property
    def may_have_helper(self) -> bool:
        wish = self._wish()
        return wish is None or wish.mode is not HelperMode.NONE

    async def run(self) -> None:
        """Runs until cancelled; a host that fails is not its business."""
        clock, interval = self._context.clock, self._context.hosts.sample_interval
        # Hosts that are watched from the same moment on are not all asked at the same moments.
        await clock.sleep(interval * (zlib.crc32(self._host.node_id.encode()) % 1000) / 1000)
        while True:
            began = clock.monotonic()
            wish = self._wish()
            if wish is not None and self._known():
                await self._sample(wish)
            pause = max(interval, backoff(self._failures, interval, _CEILING))
            await clock.sleep(max(0.0, began + pause - clock.monotonic()))

    async def _sample(self, wish: Wish) -> None:
        errors = []
        for read in (self._read_host, self._read_containers):
            try:
                await read(wish)
            except HostError as error:
                errors.append(error)
        if errors and not self._failures:
            log.warning("host %s cannot be measured: %s", self._host.name, errors[0])
        self._failures = self._failures + 1 if errors else 0

    async def _read_host(self, wish: Wish) -> None:
        if wish.metrics_url is not None and self._context.exporter is not None:
            counters = await self._context.exporter.read(wish.metrics_url)
        elif wish.mode in (HelperMode.PLAIN, HelperMode.FULL):
            counters = await self._asked(wish.mode, lambda docker: docker.measure())
        else:
            return
        self._kept.note_host(self._host.node_id, counters, self._context.clock.now(), self._context.hosts.average_over)

    async def _read_containers(self, wish: Wish) -> None:
        if wish.mode is HelperMode.FULL:
            reading = await self._asked(wish.mode, lambda docker: docker.measure_containers())
            cores = float(self._host.facts.get("cpu") or 0) or float("inf")
            now, over = self._context.clock.now(), self._context.hosts.average_over
            self._kept.note_containers(self._host.node_id, reading, cores, now, over)
        elif wish.mode is HelperMode.NONE and self._mode is not HelperMode.NONE:
            async with self._pool.get(self._host).slot() as docker:
                await docker.remove_helper(self._context.deployment)
            self._note(HelperMode.NONE)

    async def _asked(self, mode: HelperMode, ask: Callable[[ContainerHost], Awaitable[T]]) -> T:
        """The helper's answer; one that has ended since it was last asked is started again."""
        fresh = await self._ensure(mode)
        try:
            return await ask(self._pool.get(self._host).docker)
        except HostError:
            self._sure = False
            if fresh:
                raise
        await self._ensure(mode)
        return await ask(self._pool.get(self._host).docker)

    async def _ensure(self, mode: HelperMode) -> bool:
        """True when that had to be looked at."""
        if self._sure and self._mode is mode:
            return False
        try:
            async with self._pool.get(self._host).slot() as docker:
                await docker.ensure_helper(self._context.deployment, mode)
        except HostError:
            self._note(HelperMode.NONE)
            raise
        self._sure = True
        self._note(mode)
        return True

    def _note(self, mode: HelperMode) -> None:
        if mode is not self._mode:
            self._mode = mode
            self._kept.note_helper(self._host.node_id, mode)


async def take_leave(context: EngineContext, pool: HostPool, host: Host) -> None:
    """Leave no helper on a host that is no longer registered, if it still answers."""
    context.measurements.forget(host.node_id)
    try:
        async with asyncio.timeout(_FAREWELL), pool.get(host).slot() as docker:
            await docker.remove_helper(context.deployment)
    except (HostError, TimeoutError) as error:
        log.warning("the host helper may be left on %s: %s", host.name, error)
