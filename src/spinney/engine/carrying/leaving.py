"""Having a container out of every pool before it is stopped.

Guaranteed: when ``await leaving(job, physical_id)`` returns, no load balancer of ours sends anything new to the container, and
what it had begun is finished or has had the drain time for it; or the engine that looks after the pool did not act within that
time. A container that is in no pool is not waited for. Of a node whose present container is another one (a successor), that
one is in the pool first. However many are waited for, one statement at a time asks about all of them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from spinney.clock import Clock
from spinney.config import BalancerSettings
from spinney.engine.jobs import Job
from spinney.store import balancing
from spinney.store.database import Transactions

log = logging.getLogger(__name__)

#: Seconds between looks.
_PAUSE = 0.1


class Leaving:
    """``ring`` wakes whoever looks after pools in this process."""

    def __init__(
        self, store: Transactions, clock: Clock, settings: BalancerSettings, ring: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._clock = clock
        self._settings = settings
        self._ring = ring
        self._waiting: dict[str, tuple[str, asyncio.Event]] = {}  # by container: its node, and that it is out
        self._looking: asyncio.Task[None] | None = None

    async def __call__(self, job: Job, physical_id: str) -> None:
        node_id = job.node.id
        if not job.node.cluster_id or physical_id not in await self._store.read(balancing.in_pools, [node_id]):
            return
        patience = self._settings.drain_time
        until = self._clock.now() + patience
        await self._store.transact(balancing.ask_to_leave, node_id, physical_id, job.action.id, until)
        self._ring()
        _, out = self._waiting.setdefault(physical_id, (node_id, asyncio.Event()))
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(self._look(), name="leaving pools")
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await out.wait()
        finally:
            self._waiting.pop(physical_id, None)

    async def _look(self) -> None:
        """As long as anybody waits."""
        while self._waiting:
            await self._clock.sleep(_PAUSE)
            asked = dict(self._waiting)
            try:
                still = await self._store.read(balancing.in_pools, [node_id for node_id, _ in asked.values()])
            except Exception:
                log.exception("nobody knows who is out of the pools; looking again")
                continue
            for physical_id, (_, out) in asked.items():
                if physical_id not in still:
                    out.set()
