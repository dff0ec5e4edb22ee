"""Having a container out of every pool before it is stopped.

Guaranteed: when ``await leaving(job, physical_id)`` returns, no load balancer of ours sends anything new to the container, and
what it had begun is finished or has had the drain time for it; or the engine that looks after the pool did not act within that
time. A container that is in no pool is not waited for. Of a node whose present container is another one (a successor), that
one is in the pool first.
"""

from __future__ import annotations

from collections.abc import Callable

from spinney.clock import Clock
from spinney.config import BalancerSettings
from spinney.engine.jobs import Job
from spinney.store import balancing
from spinney.store.database import Transactions

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

    async def __call__(self, job: Job, physical_id: str) -> None:
        node_id = job.node.id
        if not job.node.cluster_id or not await self._store.read(balancing.in_pools, node_id, physical_id):
            return
        until = self._clock.now() + self._settings.drain_time
        await self._store.transact(balancing.ask_to_leave, node_id, physical_id, job.action.id, until)
        self._ring()
        while self._clock.now() < until:
            await self._clock.sleep(_PAUSE)
            if not await self._store.read(balancing.in_pools, node_id, physical_id):
                return
