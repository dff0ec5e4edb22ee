"""Seeing to the runs of clusters: each cluster's by one engine, chosen by rendezvous hashing over the live sessions.

Guaranteed: a step that is due is taken within a tick, by whichever engine it falls to; two engines that both believe it theirs
do nothing twice, because each holds the cluster while it looks and writes. A cluster whose runs cannot be seen to holds up no
other.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from sqlalchemy import Connection
from sqlalchemy.exc import OperationalError

from spinney.domain import ownership
from spinney.domain.run_schedule import outlived
from spinney.domain.runs import Run, Step, decide
from spinney.engine.runs.step import looked_at, step
from spinney.engine.worker import Session
from spinney.store import bindings, engines, runs
from spinney.store.bindings import JobBinding
from spinney.store.database import StoreUnavailable

log = logging.getLogger(__name__)

#: Seconds between looks when nothing says that a member has ended.
_TICK = 1.0
#: Seconds between looks for what is to be forgotten.
_THOROUGHLY = 10.0
#: Seconds in which further ends are gathered.
_GATHER = 0.02


async def look_after(session: Session) -> None:
    """Runs until cancelled."""
    context = session.context
    rules = context.rules.cluster
    thorough_at = context.clock.monotonic()
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(_TICK):
                await session.member_ended.wait()
                await context.clock.sleep(_GATHER)
        session.member_ended.clear()
        thorough = context.clock.monotonic() >= thorough_at
        if thorough:
            thorough_at = context.clock.monotonic() + _THOROUGHLY
        for cluster_id in await context.store.read(_due, session.id, context.clock.now(), thorough):
            try:
                taken = await context.store.transact(
                    step, cluster_id, rules.max_nodes, rules.limits, context.ids, context.clock.now()
                )
            except (OperationalError, StoreUnavailable):
                raise
            except Exception:
                log.exception("the runs of cluster %s could not be seen to", cluster_id)
                continue
            if taken.ordered:
                session.wake_at(context.clock.now())
            if taken.room:
                session.room.set()


def _due(connection: Connection, engine_id: str, now: float, thorough: bool) -> list[str]:
    """The clusters of this engine about whose runs there is something to do; ``thorough``: those that only have something to
    forget too."""
    jobs = {job.cluster_id: job for job in bindings.jobs(connection)}
    unended = runs.unended(connection)
    concerned = jobs.keys() | unended.keys()
    alive = [row.id for row in engines.alive(connection)] if concerned else []
    mine = {cluster_id for cluster_id in concerned if ownership.owner(cluster_id, alive) == engine_id}
    found = {i for i in mine if i in jobs and looked_at(jobs[i], now) is not None}
    found |= _unsteady(connection, {i: unended[i] for i in mine - found if i in unended}, now)
    if thorough:
        found |= _outlived(connection, {i: jobs[i] for i in mine - found if i in jobs}, now)
    return sorted(found - runs.leaving(connection, found))


def _unsteady(connection: Connection, unended: dict[str, list[Run]], now: float) -> set[str]:
    """Those with a run that would not stay as it is."""
    ids = [one.node_id for found in unended.values() for run in found for one in run.open if one.node_id is not None]
    members = runs.members(connection, ids, now)
    unsteady = set()
    for cluster_id, found in unended.items():
        for place, run in enumerate(found):
            own = {one.node_id for one in run.open}
            seen = {i: member.seen(run) for i, member in members.items() if i in own}
            if decide(run, seen, now, clear=run.rules.beside or place == 0) != Step(run):
                unsteady.add(cluster_id)
    return unsteady


def _outlived(connection: Connection, jobs: dict[str, JobBinding], now: float) -> set[str]:
    """Those that have kept ended runs for long enough."""
    ended = runs.ended(connection, jobs)
    return {cluster_id for cluster_id, found in ended.items() if outlived(jobs[cluster_id].rules, found, now)}
