"""Watching hosts: what happens to containers is seen at once, and what no row owns is removed.

Each host is watched by one engine (rendezvous hashing over the live sessions). Guaranteed: after every gap in a host's events
all of our containers there are listed and compared with the rows, again a moment later, and every ``listing_interval``; a
node on which an action lives is left alone and looked at again when it has ended. Not guaranteed: that a container which died
and was started again by others between two looks is noticed.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace

from spinney.domain import event as events
from spinney.domain.container import (
    LABEL_DEPLOYMENT,
    LABEL_KEEPER,
    LABEL_PROBER,
    Container,
    ContainerEvent,
    ContainerEventKind,
    ContainerState,
)
from spinney.domain.event import Event, Level
from spinney.domain.health import diagnose, orphans
from spinney.domain.host import Host
from spinney.domain.identity import Owner
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.domain.runs import at_rest
from spinney.engine.autoscaling.collecting import Collector
from spinney.engine.cancelling import apart
from spinney.engine.watching import findings, learning, members
from spinney.engine.watching.checking import Checker
from spinney.engine.watching.images import Tidier
from spinney.engine.watching.measuring import Sampler
from spinney.engine.watching.probing import Prober
from spinney.engine.worker import Session
from spinney.errors import HostError
from spinney.store import duties, healing
from spinney.store.healing import Expectation, Finding

log = logging.getLogger(__name__)

#: Seconds before a member that was busy is looked at again.
_BUSY_PAUSE = 0.3
#: Seconds in which further events are gathered before their members are looked at together.
_GATHER = 0.01
#: Seconds after the beginning of a host's events until it is listed a second time. A Docker engine tells of a death before its
#: listings show it: one told just before the first listing was neither heard nor seen there.
_SETTLING = 2.0
_SETTLED = (NodeStatus.ACTIVE, NodeStatus.WARNING, NodeStatus.ERROR)
_TELLING = (
    ContainerEventKind.DIED,
    ContainerEventKind.OOM,
    ContainerEventKind.DESTROYED,
    ContainerEventKind.UNHEALTHY,
    ContainerEventKind.PAUSED,
    ContainerEventKind.UNPAUSED,
)


class Watch:
    """One host."""

    def __init__(self, session: Session, host: Host) -> None:
        self._session = session
        self._context = session.context
        self._settings = session.context.health
        self.host = host
        self._labels = {LABEL_DEPLOYMENT: session.context.deployment}
        self._suspects: set[str] = set()  # nodes to look at
        self._some = asyncio.Event()
        #: Whether the host's Docker engine has said since the connection was made that it is the one that is meant.
        self._known = False
        #: When the host first failed since it last answered, and with what; monotonic.
        self._failed: tuple[float, str] | None = None
        self._strangers: dict[str, float] = {}  # container id -> first sighting, monotonic
        self._prober = Prober(session, host, self._suspect)
        self._sampler = Sampler(self._context, session.pool, host, lambda: self._known)
        self._collector = Collector(self._context, session.pool, host, lambda: self._known)
        self._checker = Checker(session, host, self._prober, self._suspect)

    async def run(self) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._checker.run())
            group.create_task(self._stay_in_touch())

    async def _stay_in_touch(self) -> None:
        while True:
            try:
                await apart(self._watch())
            except* HostError as errors:
                await self._lost_touch(str(errors.exceptions[0]))
            await self._context.clock.sleep(min(1.0, self._settings.suspect_after / 4))

    def updated(self, node_id: str) -> None:
        """The node has another profile, perhaps with the same container."""
        self._prober.updated(node_id)

    async def _watch(self) -> None:
        self._known = False
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._look_at_suspects())
            group.create_task(self._list_regularly())
            group.create_task(self._give_up_in_time())
            group.create_task(self._learn_regularly())
            group.create_task(Tidier(self._session, self.host).run())
            group.create_task(self._sampler.run())
            group.create_task(self._prober.run())
            group.create_task(self._collector.run())

    async def _learn_regularly(self) -> None:
        context = self._context
        while True:
            facts = await learning.ask(self._session.pool.get(self.host).docker, self.host)
            told = await context.store.transact(
                learning.learn, context.rules.catalog, self.host.node_id, facts, context.ids, context.clock.now()
            )
            self._known = True
            if told:
                log.warning("host %s: %s", self.host.name, told)
            await context.clock.sleep(context.hosts.facts_interval)

    async def _lost_touch(self, reason: str) -> None:
        if self._failed is None:
            self._failed = self._context.clock.monotonic(), reason
        if self._patience() <= 0:
            await self._mark_suspect()

    async def _give_up_in_time(self) -> None:
        """A host that has failed is suspect in time, even while a call to it still waits for its answer."""
        if self._failed is not None and self._patience() > 0:
            await self._context.clock.sleep(self._patience())
            await self._mark_suspect()

    def _patience(self) -> float:
        """Seconds left until a host that has failed is suspect."""
        assert self._failed is not None
        return self._failed[0] + self._settings.suspect_after - self._context.clock.monotonic()

    async def _mark_suspect(self) -> None:
        if self._failed is None:
            return
        _, reason = self._failed
        event = self._event("HOST_SUSPECT", Level.WARN, reason)
        if await self._context.store.transact(duties.silent, self.host.node_id, reason, event):
            log.warning("host %s is suspect: %s", self.host.name, reason)

    async def _follow(self) -> None:
        docker = self._session.pool.get(self.host).docker
        async for event in docker.events(self._labels):
            if event.kind is ContainerEventKind.GAP:
                await self._answered()
                await self._list()
            else:
                self._note(event)

    def _note(self, event: ContainerEvent) -> None:
        node_id = event.labels.get("io.spinney.node")
        if {LABEL_KEEPER, LABEL_PROBER} & set(event.labels):
            return  # it ends as soon as its work is done, or is not asked any more
        if node_id is None or self._session.deletes(node_id):
            return
        if self._prober.heard(event, node_id) or event.kind in _TELLING:
            self._suspect(node_id)

    def _suspect(self, node_id: str) -> None:
        self._suspects.add(node_id)
        self._some.set()

    async def _answered(self) -> None:
        self._failed = None
        event = self._event("HOST_BACK", Level.INFO, "The host answers again.")
        if await self._context.store.transact(duties.answers, self.host.node_id, self._context.clock.now(), event):
            log.info("host %s answers again", self.host.name)
            self._session.room.set()

    def _event(self, kind: str, level: Level, reason: str) -> Event:
        owner = Owner("", self.host.project, None)
        return events.of_node(
            owner,
            node_id=self.host.node_id,
            node_name=self.host.name,
            cluster_id=self.host.cluster_id,
            kind=kind,
            level=level,
            reason=reason,
            event_id=self._context.ids.new(),
            now=self._context.clock.now(),
        )

    async def _list_regularly(self) -> None:
        pause = _SETTLING
        while True:
            await self._context.clock.sleep(min(pause, self._settings.listing_interval))
            await self._list()
            await self._answered()
            pause = self._settings.reap_after if self._strangers else self._settings.listing_interval

    async def _list(self) -> None:
        """Compare everything of ours on the host with the rows."""
        docker = self._session.pool.get(self.host).docker
        containers = await docker.containers(self._labels)
        labelled = [c.node_id for c in containers if c.node_id is not None]
        # Read after listing: what was made meanwhile is then known to the rows, or not in the list.
        expected = await self._context.store.read(healing.on_host, self.host.node_id, labelled)
        listed = {c.id: c for c in containers}
        for node in expected.nodes.values():
            if node.host_id == self.host.node_id and node.status in _SETTLED and node.physical_id is not None:
                found = listed.get(node.physical_id)
                if at_rest(node, found):
                    continue
                unready = not node.ready and node.power is PowerState.RUNNING
                if diagnose(node, found) is not None or node.status is not NodeStatus.ACTIVE or unready:
                    self._suspects.add(node.id)
        if self._suspects:
            self._some.set()
        await self._prober.listed(n for n in expected.nodes.values() if n.host_id == self.host.node_id)
        await self._reap(containers, expected)

    # -- members -----------------------------------------------------------------------------------------------------

    async def _look_at_suspects(self) -> None:
        while True:
            await self._some.wait()
            await self._context.clock.sleep(_GATHER)
            self._some.clear()
            suspects, self._suspects = self._suspects, set()
            if suspects and await self._look(suspects):
                await self._context.clock.sleep(_BUSY_PAUSE)
                self._some.set()

    async def _look(self, node_ids: Iterable[str]) -> bool:
        """Judge members by the present state of their containers. True when some must be looked at again."""
        expected = await self._context.store.read(healing.named, list(node_ids))
        self._suspects |= {i for i in node_ids if i in expected.busy}
        docker = self._session.pool.get(self.host).docker
        found: list[Finding] = []
        well: list[Node] = []
        fit: list[tuple[Node, Container]] = []
        for node in expected.nodes.values():
            if node.id in expected.busy or node.host_id != self.host.node_id or node.physical_id is None:
                continue
            if node.status not in _SETTLED:
                continue
            container = await docker.inspect(node.physical_id)
            if await members.over(self._session, node, container):
                continue
            sick = diagnose(node, container) or self._prober.ailment(node)
            if sick is None:
                assert container is not None
                if self._checker.complains(node, expected):
                    continue
                if node.status is not NodeStatus.ACTIVE and _plainly_well(container):
                    well.append(node)
                    node = replace(node, status=NodeStatus.ACTIVE)
                fit.append((node, container))
                continue
            finding = await findings.finding(self._context, node, sick, expected)
            if finding is not None:
                found.append(finding)
        if well:
            await self._context.store.transact(healing.recovered, well, "The container runs again.")
        for node, container in fit:
            await self._prober.seen(node, container)
        if found:
            await findings.record(self._session, found)
        return bool(self._suspects)

    # -- strangers ---------------------------------------------------------------------------------------------------

    async def _reap(self, containers: Iterable[Container], expected: Expectation) -> None:
        """Remove containers of ours that nobody owns, once they were seen twice and for long enough."""
        now = self._context.clock.monotonic()
        unowned = orphans(
            containers,
            expected.nodes,
            expected.busy,
            self.host.node_id,
            expected.coming,
            helped=self._sampler.may_have_helper,
        )
        self._strangers = {c.id: self._strangers.get(c.id, now) for c in unowned}
        docker = self._session.pool.get(self.host).docker
        for container in unowned:
            if self._known and now - self._strangers[container.id] >= self._settings.reap_after:
                self._session.lease.require()
                helping = {LABEL_KEEPER, LABEL_PROBER} & set(container.labels)
                why = "the container that it helped is gone" if helping else "no node owns it"
                level = logging.INFO if helping else logging.WARNING
                log.log(level, "removing container %s on %s: %s", container.name, self.host.name, why)
                await docker.remove(container.id)
                del self._strangers[container.id]


def _plainly_well(container: Container) -> bool:
    return container.state is ContainerState.RUNNING and container.health in (None, "healthy")
