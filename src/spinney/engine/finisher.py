"""Outcomes are recorded in groups: whatever has come together while the last group was being committed goes next.

Guaranteed: an outcome handed over is recorded, or its claim is no longer ours; a database that does not answer is asked again
until the lease has run out.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from sqlalchemy.exc import OperationalError

from spinney.clock import Clock
from spinney.engine.endings import unrecordable
from spinney.engine.lease import Lease
from spinney.store import work
from spinney.store.database import Store, StoreUnavailable
from spinney.store.work import Finished, Outcome

log = logging.getLogger(__name__)

_GROUP = 512
#: Seconds in which neighbours of the first outcome of a group may still join it.
_LINGER = 0.005
_PAUSE = 0.5


class Finisher:
    def __init__(
        self,
        store: Store,
        clock: Clock,
        lease: Lease,
        recorded: Callable[[list[Outcome], Finished], Awaitable[None]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._lease = lease
        self._recorded = recorded
        self._waiting: list[Outcome] = []
        self._some = asyncio.Event()

    def add(self, outcome: Outcome) -> None:
        self._waiting.append(outcome)
        self._some.set()

    async def serve(self) -> None:
        """Record until cancelled."""
        while True:
            await self._some.wait()
            await self._clock.sleep(_LINGER)
            await self.flush()

    async def flush(self) -> None:
        while self._waiting:
            group = self._waiting[:_GROUP]
            try:
                finished = await self._store.transact(work.finish, self._lease.engine_id, group, self._clock.now())
            except (StoreUnavailable, OperationalError):
                if not self._lease.good:
                    raise
                log.exception("recording %d outcomes failed; trying again", len(group))
                await self._clock.sleep(_PAUSE)
                continue
            except Exception:
                log.exception("%d outcomes could not be recorded together; recording them one by one", len(group))
                del self._waiting[: len(group)]
                for outcome in group:
                    await self._record_alone(outcome)
                continue
            del self._waiting[: len(group)]
            await self._recorded(group, finished)
        self._some.clear()

    async def _record_alone(self, outcome: Outcome) -> None:
        """One that cannot be recorded ends its action with that; it must not hold up the others for ever."""
        for attempt in (outcome, unrecordable(outcome)):
            try:
                finished = await self._store.transact(work.finish, self._lease.engine_id, [attempt], self._clock.now())
            except Exception:
                log.exception("the outcome of action %s could not be recorded", outcome.action.id)
            else:
                await self._recorded([attempt], finished)
                return
