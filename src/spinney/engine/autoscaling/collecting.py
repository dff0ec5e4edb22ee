"""Looking at the members of autoscaled clusters on one host: their counters, and what they tell of themselves.

Guaranteed: only what some policy needs is asked for, so many members at a time at most; a member that cannot be looked at has
no sample, which is unknown and not zero; a host that fails is not this loop's business. Not guaranteed: a rate between looks of
two engines: whoever takes a host over begins anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping

from spinney.domain.autoscale import prometheus
from spinney.domain.autoscale.rules import Scrape
from spinney.domain.autoscale.usage import Look, Needs, used
from spinney.domain.host import Host
from spinney.domain.probe import ProbeAnswer, ProbeKind, ProbeRequest
from spinney.domain.utilization import ContainerReading
from spinney.engine.carrying.hosts import HostPool
from spinney.engine.context import EngineContext
from spinney.errors import HostError
from spinney.store import autoscaling
from spinney.store.autoscaling import Watched

log = logging.getLogger(__name__)

#: Seconds between looks whether there is anybody to look at, and besides that between two rounds.
_TICK = 1.0
_PAUSE = 3.0
#: Members of one host that are looked at at a time.
_AT_A_TIME = 4
#: Seconds for an answer to a scrape.
_PATIENCE = 3.0
#: Sampling intervals after which what the host helper has read of a container is too old.
_FRESH = 2.0


class Collector:
    """One host. ``known``: whether what answers there is sure to be the host that is meant."""

    def __init__(self, context: EngineContext, pool: HostPool, host: Host, known: Callable[[], bool]) -> None:
        self._context = context
        self._pool = pool
        self._host = host
        self._known = known
        self._looks: dict[str, Look] = {}
        self._gate = asyncio.Semaphore(_AT_A_TIME)

    async def run(self) -> None:
        """Runs until cancelled."""
        clock = self._context.clock
        while True:
            await clock.sleep(_TICK)
            needs = {cluster: one for cluster, one in self._context.wanted.needs.items() if one.any}
            if needs and self._known():
                await self._round(needs)
                await clock.sleep(_PAUSE)

    async def _round(self, needs: Mapping[str, Needs]) -> None:
        members = await self._context.store.read(autoscaling.watched_on, self._host.node_id, set(needs))
        self._looks = {one.node_id: look for one in members if (look := self._looks.get(one.node_id)) is not None}
        due = [(one, needs[one.cluster_id]) for one in members if self._is_due(one, needs[one.cluster_id])]
        await asyncio.gather(*(self._look_at(one, need) for one, need in due))

    def _is_due(self, one: Watched, need: Needs) -> bool:
        look = self._looks.get(one.node_id)
        return (
            look is None
            or look.container_id != one.physical_id
            or self._context.clock.now() - look.now > need.interval - (_TICK + _PAUSE) / 2
        )

    async def _look_at(self, one: Watched, need: Needs) -> None:
        async with self._gate:
            way, reading = await self._counters(one, need)
            told = await self._scraped(one, need.scrapes)
        scraped = {key: value for key, value in told.items() if not isinstance(value, str)}
        unread = {key: value for key, value in told.items() if isinstance(value, str)}
        look = Look(one.physical_id, self._context.clock.now(), way, reading, scraped, unread)
        self._context.wanted.note(one.node_id, used(self._looks.get(one.node_id), look, need.scrapes))
        self._looks[one.node_id] = look

    async def _counters(self, one: Watched, need: Needs) -> tuple[str, ContainerReading | None]:
        """By the host helper where that has read them anyway, else by the Docker engine, which alone knows of networks."""
        if not need.counters and not need.networks:
            return "", None
        if not need.networks:
            max_age = _FRESH * self._context.hosts.sample_interval
            now = self._context.clock.now()
            found = self._context.measurements.counters(self._host.node_id, one.physical_id, now, max_age)
            if found is not None:
                return "helper", found
        try:
            return "engine", await self._pool.get(self._host).docker.counters(one.physical_id)
        except HostError as error:
            log.info("container %s on %s has no sample: %s", one.physical_id[:12], self._host.name, error)
            return "", None

    async def _scraped(self, one: Watched, scrapes: Iterable[Scrape]) -> dict[str, float | str]:
        """Figures, or why there are none. Each place is asked once, however many metrics are wanted of it."""
        places: dict[tuple[int, str], list[Scrape]] = {}
        for scrape in scrapes:
            places.setdefault((scrape.port, scrape.path), []).append(scrape)
        found: dict[str, float | str] = {}
        for (port, path), wanted in places.items():
            answer = await self._answer(one, port, path)
            found |= {scrape.key: prometheus.read(answer, scrape) for scrape in wanted}
        return found

    async def _answer(self, one: Watched, port: int, path: str) -> ProbeAnswer:
        """What fails about a host is not told to users, whose host it need not be."""
        request = ProbeRequest(ProbeKind.HTTP, port, path=path, timeout=_PATIENCE, body=prometheus.LARGEST)
        try:
            return await self._pool.get(self._host).docker.probe(one.physical_id, request)
        except HostError as error:
            log.info("container %s on %s tells nothing: %s", one.physical_id[:12], self._host.name, error)
            return ProbeAnswer(False, text="it could not be asked on its host")
