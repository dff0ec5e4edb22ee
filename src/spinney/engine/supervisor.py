"""The engine process: one session after another, and under each the watches, the waiting nodes and the pruning."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from sqlalchemy import Connection

from spinney.domain import ownership
from spinney.domain.host import Host
from spinney.domain.retry import backoff
from spinney.engine import outbox, resealing
from spinney.engine.autoscaling import deciding as autoscaling
from spinney.engine.balancing import loop as balancing
from spinney.engine.cancelling import apart
from spinney.engine.context import EngineContext
from spinney.engine.intent import quotas
from spinney.engine.moving import evening, revoking
from spinney.engine.placing import waiting
from spinney.engine.runs import loop as runs
from spinney.engine.watching import breakers, host_scaling, measuring
from spinney.engine.watching.health import Watch
from spinney.engine.worker import Session
from spinney.errors import LeaseLost
from spinney.store import adjusting, engines, hosts, retention

log = logging.getLogger(__name__)

#: Seconds between looks at who watches what.
_TICK = 1.0
#: Seconds for which watches are told of an update: longer than between looks, because clocks of engines differ.
_UPDATED = 5.0
#: Seconds between two sessions; doubles while sessions keep failing.
_PAUSE = 1.0
_PAUSE_CEILING = 30.0


@dataclass(frozen=True, slots=True)
class Watching:
    host: Host
    watch: Watch
    task: asyncio.Task[None]

    def useless_for(self, host: Host | None) -> bool:
        """Whether it has ended, or the host is another engine's to watch by now, or is approached in another way."""
        known = (self.host.endpoint, self.host.credential)
        return host is None or self.task.done() or known != (host.endpoint, host.credential)


class Engine:
    """Run ``run()`` as a task; cancel it to stop cleanly."""

    def __init__(self, context: EngineContext) -> None:
        self.context = context
        self.session: Session | None = None

    async def run(self) -> None:
        failures = 0
        while True:
            session = Session(self.context, self.context.ids.new())
            began = self.context.clock.monotonic()
            # Whatever ends a session but the loss of its lease leaves it able to put its work back into the queue.
            cleanly = True
            try:
                await apart(self._serve(session))
            except LeaseLost as lost:
                cleanly = False
                log.error("%s; beginning a new one", lost)
            except Exception:
                log.exception("the engine's session failed; beginning a new one")
            finally:
                self.session = None
                await asyncio.shield(session.close(cleanly=cleanly))
            lasted = self.context.clock.monotonic() - began
            failures = 1 if lasted > _PAUSE_CEILING else failures + 1
            await self.context.clock.sleep(backoff(failures, _PAUSE, _PAUSE_CEILING))

    async def _serve(self, session: Session) -> None:
        """One session, until cancelled. Raises: LeaseLost."""
        await self.context.store.transact_urgent(engines.take_over)
        await session.begin()
        self.session = session
        watching: dict[str, Watching] = {}
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(session.serve())
                group.create_task(self._watch_hosts(session, watching))
                group.create_task(waiting.revive(session))
                group.create_task(measuring.keep_books(self.context))
                group.create_task(evening.look_after(session))
                group.create_task(host_scaling.scale(session))
                group.create_task(autoscaling.look_after(session))
                group.create_task(breakers.look_after(session))
                group.create_task(revoking.look_after(session))
                group.create_task(runs.look_after(session))
                group.create_task(outbox.deliver(self.context))
                group.create_task(balancing.keep(session))
                group.create_task(resealing.keep_up(self.context))
                group.create_task(quotas.keep_copies(self.context.limits, self.context.clock))
                group.create_task(self._prune())
        except* LeaseLost as lost:
            raise LeaseLost(str(lost.exceptions[0])) from lost
        finally:
            await _stop(watching)

    async def _watch_hosts(self, session: Session, watching: dict[str, Watching]) -> None:
        while True:
            since = self.context.clock.now() - _UPDATED
            found, alive, updated = await self.context.store.read(_hosts_and_engines, since)
            mine = {h.node_id: h for h in found if ownership.owner(h.node_id, alive) == session.id}
            for host_id in [i for i, one in watching.items() if one.useless_for(mine.get(i))]:
                left = watching.pop(host_id)
                await _stop({host_id: left})
                if host_id not in {h.node_id for h in found}:
                    await measuring.take_leave(self.context, session.pool, left.host)
                await session.pool.drop(host_id)
            for host_id, host in mine.items():
                if host_id not in watching:
                    watch = Watch(session, host)
                    task = asyncio.create_task(watch.run(), name=f"watch {host.name}")
                    watching[host_id] = Watching(host, watch, task)
            for host_id, node_id in updated:
                if host_id in watching:
                    watching[host_id].watch.updated(node_id)
            await self.context.clock.sleep(_TICK)

    async def _prune(self) -> None:
        while True:
            await self.context.clock.sleep(self.context.retention.interval)
            removed = await self.context.store.transact(retention.prune, self.context.retention)
            if removed:
                log.info("pruned %d finished actions and old events", removed)


def _hosts_and_engines(connection: Connection, since: float) -> tuple[list[Host], list[str], list[tuple[str, str]]]:
    alive = [row.id for row in engines.alive(connection)]
    return hosts.find(connection), alive, adjusting.updated(connection, since)


async def _stop(watching: dict[str, Watching]) -> None:
    tasks = [one.task for one in watching.values()]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    watching.clear()
