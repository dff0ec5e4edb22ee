"""Limits that somebody else keeps: copied to where reservations compare with them.

A decision by whoever keeps the limits comes before the transaction that uses what was allowed, so that two requests could both
pass it. So the limits are copied into the table ``quota`` and compared there, under the lock of the project's row. A copy is
believed for a while; when it cannot be renewed the last one goes on counting, and a project without any may add nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from spinney.clock import Clock
from spinney.domain.quota import Amounts
from spinney.errors import SpinneyError
from spinney.store import quotas
from spinney.store.database import Store

log = logging.getLogger(__name__)

#: Of a project. Raises: SpinneyError with what is wrong.
Fetch = Callable[[str], Awaitable[Amounts]]

#: Projects whose moment of renewal is remembered.
_REMEMBERED = 10_000


class Limits(Protocol):
    @property
    def elsewhere(self) -> bool:
        """Whether they are set at another service."""

    async def renew(self, project: str) -> None:
        """Have the project's limits where ``store.quotas`` reads them. Raises: SpinneyError when there never were any."""

    async def renew_all(self) -> None:
        """The same for all projects that have reserved anything; failures are logged."""


class OwnLimits:
    elsewhere = False

    async def renew(self, project: str) -> None:
        """They are there."""

    async def renew_all(self) -> None:
        """They are there."""


class CopiedLimits:
    elsewhere = True

    def __init__(self, store: Store, clock: Clock, fetch: Fetch, believed: float) -> None:
        self._store = store
        self._clock = clock
        self._fetch = fetch
        self._believed = believed
        self._renewed: dict[str, float] = {}

    async def renew(self, project: str) -> None:
        now = self._clock.monotonic()
        if now - self._renewed.get(project, -self._believed) < self._believed:
            return
        known = await self._store.read(quotas.of, project, {})
        try:
            found = dict(await self._fetch(project))
        except SpinneyError as error:
            if not known:
                raise
            log.warning("the limits of project %s are those read last: %s", project, error.message)
            found = known
        if found != known:
            await self._store.transact(quotas.put, project, found)
        if len(self._renewed) >= _REMEMBERED:
            self._renewed.clear()
        self._renewed[project] = now

    async def renew_all(self) -> None:
        for project in await self._store.read(quotas.projects):
            try:
                await self.renew(project)
            except SpinneyError as error:
                log.warning("the limits of project %s are not known: %s", project, error.message)
