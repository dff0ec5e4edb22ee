"""One session of an engine: its lease, its claims, its running jobs.

A session whose lease cannot be renewed ends: its jobs are cancelled and nothing more is written for it. Guaranteed: at most
``concurrency`` actions at a time; after ``close`` no job runs any more and, if it was a clean one, what was unfinished is back
in the queue. Not guaranteed: that a cancelled job had no effect on its host; whoever resumes it finds that effect.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Iterable
from dataclasses import replace

from sqlalchemy import Connection

from spinney.domain.action import Action, ActionStatus
from spinney.domain.host import Host
from spinney.domain.runs import place_of
from spinney.domain.subnets import network_name
from spinney.drivers.balancer.provided import provided
from spinney.engine.carrying.hosts import HostPool, working_for
from spinney.engine.carrying.leaving import Leaving
from spinney.engine.carrying.perform import Performer
from spinney.engine.carrying.resolving import Resolver
from spinney.engine.carrying.secrets import Secrets
from spinney.engine.context import EngineContext
from spinney.engine.cycle import Shares, take
from spinney.engine.finisher import Finisher
from spinney.engine.jobs import Job, Task
from spinney.engine.lease import Lease
from spinney.engine.outcomes import Recorder
from spinney.engine.results import Joined, StillGood, Tried
from spinney.engine.watching import joining, learning
from spinney.errors import LeaseLost, SpinneyError
from spinney.store import database, duties, engines, hosts, images, networks, work
from spinney.store.placements import PlacementRace
from spinney.store.tables import host as host_table
from spinney.store.work import Finished, Outcome

log = logging.getLogger(__name__)

_CLAIM_AT_MOST = 256
#: The same while several projects have work here: the others' wait for the database meanwhile.
_CLAIM_AMONG_MANY = 64
#: Seconds for which a project that had work here may come again.
_LATELY = 60.0
_RACES = 20
#: Seconds.
_MOMENT = 0.1


class Session:
    def __init__(self, context: EngineContext, engine_id: str) -> None:
        self.context = context
        self.lease = Lease(engine_id, context.settings.lease, context.clock)
        own = provided(context.balancer)
        self.pool = HostPool(context.connector, context.settings.host_concurrency, self.lease, self._image_arrived, own)
        #: Set when somebody waits for a container to leave its pools.
        self.pools = asyncio.Event()
        self._store = context.store
        self._recorder = Recorder(context.settings, context.ids)
        self._performer = Performer(
            self.pool,
            clock=context.clock,
            deployment=context.deployment,
            allowed=replace(context.rules.allowed, containers=context.rules.catalog.defaults),
            resolver=Resolver(context.store, context.clock),
            secrets=Secrets(context.store, context.keys, context.references),
            leaving=Leaving(context.store, context.clock, context.balancer, self.pools.set),
            network=context.network,
            move_subnet=self._move_subnet,
            ready_within=context.health.ready_within,
        )
        self._finisher = Finisher(context.store, context.clock, self.lease, self._recorded)
        self._running: dict[str, asyncio.Task[None]] = {}
        self._chores: set[asyncio.Task[None]] = set()
        self._held: Counter[str] = Counter()  # by project
        self._seen: dict[str, float] = {}  # when a project last had work here
        self._deleting: set[str] = set()  # nodes
        #: Actions that nobody can call off any more: of some only clearing up is left, others are done in a moment.
        self._leaving: set[str] = set()
        self._served = ""  # the project
        self._cancelling: set[str] = set()
        self._wake = asyncio.Event()
        self._overheard = False  # a ring while it was not idle
        self._alarms: list[asyncio.TimerHandle] = []
        self._freed = asyncio.Event()
        #: Set when some host may have room that it had not before.
        self.room = asyncio.Event()
        #: Set when a member of a run may have ended.
        self.member_ended = asyncio.Event()

    @property
    def id(self) -> str:
        return self.lease.engine_id

    async def begin(self) -> None:
        asked = self.context.clock.monotonic()
        await self._store.transact_urgent(
            engines.begin, self.id, self.context.hostname, self.context.settings.lease, self.context.address
        )
        self.lease.renewed(asked)

    def deletes(self, node_id: str) -> bool:
        """Whether a job of this session is removing the node's container: its end is no news."""
        return node_id in self._deleting

    async def serve(self) -> None:
        """Runs until cancelled. Raises: LeaseLost."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._keep_alive())
                group.create_task(self._claim_and_start())
                group.create_task(self._finisher.serve())
                group.create_task(self._look_for_cancelled())
        except* LeaseLost as lost:
            raise LeaseLost(f"engine session {self.id} is over: {lost.exceptions[0]}") from lost

    async def _keep_alive(self) -> None:
        while True:
            await self.context.clock.sleep(self.context.settings.lease / 4)
            asked = self.context.clock.monotonic()
            try:
                dead = await self._store.transact_urgent(_renew_and_take_over, self.id, self.context.settings.lease)
            except LeaseLost:
                raise
            except Exception as error:
                log.warning("engine %s could not renew its session: %s", self.id, error)
                self.lease.require()
                continue
            self.lease.renewed(asked)
            if dead:
                log.warning("took over the work of engines %s", ", ".join(dead))
                self._wake.set()

    # -- claiming ----------------------------------------------------------------------------------------------------

    async def _claim_and_start(self) -> None:
        while True:
            free = min(self.context.settings.concurrency - len(self._running), self._at_once())
            if free > 0 and await self._claim(free):
                await self._room(self.context.settings.concurrency // 2)
            else:
                await self._idle()

    async def _claim(self, limit: int) -> bool:
        """True when there may be more to claim at once."""
        for _ in range(_RACES):
            try:
                taken = await self._store.transact(
                    take, self.id, limit, self._served, self.context.rules, self.context.ids, self._shares()
                )
            except PlacementRace as error:
                log.info("placing again: %s", error)
                continue
            self._served = taken.served
            for job in taken.jobs:
                self._start(job)
            self._clear_up(taken.freed_networks)
            return taken.more
        return False

    def _at_once(self) -> int:
        """How many actions one transaction claims: the more, the longer everybody else waits for it."""
        past = self.context.clock.monotonic() - _LATELY
        self._seen = {project: when for project, when in self._seen.items() if when > past}
        return _CLAIM_AT_MOST if len(self._seen) < 2 else _CLAIM_AMONG_MANY

    def _shares(self) -> Shares:
        """One project never fills the engine: an eighth of it is for the others."""
        concurrency = self.context.settings.concurrency
        return Shares(dict(self._held), concurrency - concurrency // 8)

    async def _room(self, enough: int) -> None:
        """Until there is room worth a transaction, or somebody rings: it may be about another project's only action. After
        a moment any room will do, because jobs may be long."""
        free = asyncio.ensure_future(self._free(enough))
        bell = asyncio.ensure_future(self.context.doorbell.wait(_MOMENT))
        try:
            await asyncio.wait({free, bell}, return_when=asyncio.FIRST_COMPLETED)
            if bell.done():
                self._overheard = True
                self._wake.set()
        finally:
            free.cancel()
            bell.cancel()
            await asyncio.gather(free, bell, return_exceptions=True)
        await self._free(1)

    async def _free(self, enough: int) -> None:
        while self.context.settings.concurrency - len(self._running) < enough:
            self._freed.clear()
            await self._freed.wait()

    async def _idle(self) -> None:
        """Until something was recorded, the bell rings, or it is time to look anyway."""
        wake = asyncio.ensure_future(self._wake.wait())
        bell = asyncio.ensure_future(self.context.doorbell.wait(self.context.settings.poll_interval))
        try:
            await asyncio.wait({wake, bell}, return_when=asyncio.FIRST_COMPLETED)
            rung = bell.done() or self._overheard
        finally:
            wake.cancel()
            bell.cancel()
            await asyncio.gather(wake, bell, return_exceptions=True)
        self._wake.clear()
        self._overheard = False
        if rung:
            self.room.set()
            if self._running:
                await self._stop_cancelled()

    async def _look_for_cancelled(self) -> None:
        """Beside the bell, which may be lost, and however busy the rest of the session is."""
        while True:
            await self.context.clock.sleep(self.context.settings.poll_interval)
            if self._running:
                await self._stop_cancelled()

    async def _stop_cancelled(self) -> None:
        asked = {action_id: task for action_id, task in self._running.items() if action_id not in self._leaving}
        wanted = await self._store.read(work.wanted_of, self.id, list(asked))
        for action_id, task in asked.items():
            if action_id not in wanted and action_id not in self._cancelling and not task.done():
                self._cancelling.add(action_id)
                task.cancel()

    def wake_at(self, moment: float) -> None:
        """Look into the queue at that time (seconds since the epoch)."""
        delay = moment - self.context.clock.now()
        if delay < 0.001:
            # uvloop gives no timer for less than a millisecond.
            self._wake.set()
            return
        loop = asyncio.get_running_loop()
        self._alarms = [alarm for alarm in self._alarms if alarm.when() > loop.time()]
        self._alarms.append(loop.call_later(delay, self._wake.set))

    # -- jobs --------------------------------------------------------------------------------------------------------

    def _start(self, job: Job) -> None:
        task = asyncio.get_running_loop().create_task(self._run(job))
        self._running[job.action.id] = task
        self._held[job.action.project] += 1
        self._seen[job.action.project] = self.context.clock.monotonic()
        if job.task is Task.DELETE:
            self._deleting.add(job.node.id)
        elif job.task in (Task.LEAVE, Task.ADJUST):
            self._leaving.add(job.action.id)
        task.add_done_callback(lambda _: self._ended(job))

    def _ended(self, job: Job) -> None:
        self._running.pop(job.action.id, None)
        self._held[job.action.project] -= 1
        if not self._held[job.action.project]:
            del self._held[job.action.project]
        self._cancelling.discard(job.action.id)
        self._deleting.discard(job.node.id)
        self._leaving.discard(job.action.id)
        self._freed.set()

    async def _run(self, job: Job) -> None:
        working_for.set(job.action.project)
        outcome = await self._outcome(job)
        if outcome is not None:
            came_to_nothing = outcome.give_up_hold and not outcome.arrived
            if (job.task is Task.CREATE and outcome.release_placement) or (job.task is Task.MOVE and came_to_nothing):
                await self._performer.discard(job)
            self._finisher.add(outcome)

    async def _outcome(self, job: Job) -> Outcome | None:
        """None: the session is over, whoever claims the action next goes on with it."""
        clock = self.context.clock
        try:
            async with asyncio.timeout(max(job.deadline - clock.now(), 0.001)):
                result = await self._performer.perform(job)
                if isinstance(result, Joined):
                    await self._store.transact(_register, job.action, result.host, result.facts.engine_id)
                elif isinstance(result, Tried):
                    await self._store.transact(joining.tried, job.action)
                elif isinstance(result, StillGood):
                    catalog, ids = self.context.rules.catalog, self.context.ids
                    await self._store.transact(learning.learn, catalog, job.node.id, result.facts, ids, clock.now())
            return self._recorder.success(job, result, clock.now())
        except asyncio.CancelledError:
            if job.action.id not in self._cancelling:
                raise
            return self._recorder.cancelled(job, clock.now())
        except LeaseLost:
            return None
        except TimeoutError:
            late = SpinneyError(f"{job.action.action.value} exceeded its timeout of {job.action.timeout} s")
            return self._recorder.failure(job, late, clock.now())
        except Exception as error:
            if not isinstance(error, SpinneyError):
                log.exception("%s %s failed unexpectedly", job.action.action, job.action.id)
            return self._recorder.failure(job, error, clock.now())

    async def _recorded(self, outcomes: list[Outcome], finished: Finished) -> None:
        for outcome in outcomes:
            if outcome.status is ActionStatus.READY:
                self.wake_at(outcome.ready_at)
        if finished.more:
            self._wake.set()
        if finished.room:
            self.room.set()
        if any(outcome.node is not None and place_of(outcome.node.data) is not None for outcome in outcomes):
            self.member_ended.set()
        self._clear_up(finished.freed_networks)

    async def _image_arrived(self, host_id: str, reference: str) -> None:
        await self._store.transact(images.pulled, host_id, reference, self.context.clock.now())

    async def _move_subnet(self, job: Job, refused: int) -> int:
        return await self._store.transact(_move_subnet, job, refused, self.context.rules.subnet_count)

    def _clear_up(self, pairs: tuple[tuple[str, str], ...]) -> None:
        """The last nodes of projects have left hosts. Nobody waits for that: a host that does not answer takes its time."""
        for host_id, project in pairs:
            task = asyncio.get_running_loop().create_task(self._remove_network(host_id, project))
            self._chores.add(task)
            task.add_done_callback(self._chores.discard)

    async def _remove_network(self, host_id: str, project: str) -> None:
        """Docker refuses to remove a bridge that is in use again by now."""
        name = network_name(self.context.deployment, project)
        try:
            found = await self._store.read(hosts.find, host_table.c.node_id == host_id)
            if found:
                connected = self.pool.get(found[0])
                connected.forget_network(name)
                await connected.docker.remove_network(name)
        except Exception as error:
            log.info("network %s was not removed: %s", name, error)

    async def close(self, *, cleanly: bool) -> None:
        """Stop every job. Cleanly: record what is done, and put what was unfinished back into the queue at once."""
        for handle in self._alarms:
            handle.cancel()
        await _stop(self._running.values())
        if cleanly:
            await self._last("record what is done", self._finisher.flush())
            await self._last("give back its claims", self._store.transact_urgent(engines.end, self.id))
        await _stop(self._chores)
        await self.pool.close()

    async def _last(self, what: str, step: Awaitable[None]) -> None:
        """What cannot be done at the end is done by whoever takes over when the lease has run out."""
        try:
            await step
        except Exception:
            log.exception("engine %s could not %s", self.id, what)


async def _stop(running: Iterable[asyncio.Task[None]]) -> None:
    tasks = list(running)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _renew_and_take_over(connection: Connection, engine_id: str, lease: float) -> list[str]:
    engines.renew(connection, engine_id, lease)
    return engines.take_over(connection)


def _register(connection: Connection, action: Action, host: Host, engine_id: str) -> None:
    work.require_claim(connection, action)
    learning.refuse_namesake(connection, host.node_id, engine_id)
    if not hosts.find(connection, host_table.c.node_id == host.node_id):
        hosts.register(connection, host)
        duties.room_appeared(connection, host.node_id, "joined", database.now(connection))


def _move_subnet(connection: Connection, job: Job, refused: int, pool_size: int) -> int:
    work.require_claim(connection, job.action)
    assert job.host is not None
    return networks.move_subnet(connection, job.host.node_id, job.node.project, refused, pool_size)
