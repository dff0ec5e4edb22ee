"""Asking the members of one host whether they have started, may be given work, and live.

What follows from the answers is decided in ``domain.readiness``; here members are found, asked on time, and what has changed
is written, in groups. A container is known by its id and its latest start: whatever was known of an earlier start is forgotten.
Guaranteed: a member without probes is never asked anything; so many questions at a time at most are put to a host; a member
that another engine has watched so far stays ready until its probes say otherwise. Not guaranteed: that this engine knows
of a *started* probe which has passed already while another one watched: then it is asked again, if the member is not ready.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from spinney.domain import event as events
from spinney.domain.container import Container, ContainerEvent, ContainerEventKind, ContainerState
from spinney.domain.event import Level
from spinney.domain.health import Ailment, Diagnosis
from spinney.domain.host import Host
from spinney.domain.identity import Owner
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.domain.probe_spec import Role, unknown
from spinney.domain.readiness import State, Verdict, answered, begin, of_new, verdict
from spinney.engine.carrying.questions import ask
from spinney.engine.catalog import Catalog, ContainerProfile, HostProfile
from spinney.engine.worker import Session
from spinney.errors import HostError
from spinney.store import readiness
from spinney.store.readiness import Finding

log = logging.getLogger(__name__)

#: Questions at a time to one host.
_AT_A_TIME = 16
#: Seconds between looks at the rows of members that are asked; how soon one that was started is looked for at first, and for
#: how long.
_LOOK, _SOON, _PATIENCE = 1.0, 0.05, 300.0
#: Seconds in which findings are gathered.
_GATHER = 0.02
#: Seconds until a container that could not be looked at is looked at again.
_AGAIN = 1.0
#: What nodes show whose container may serve: nobody else is asked.
_ASKED = (NodeStatus.ACTIVE, NodeStatus.WARNING, NodeStatus.ERROR, NodeStatus.UPDATING)
_SETTLED = (NodeStatus.ACTIVE, NodeStatus.WARNING)

Profiles = Mapping[str, ContainerProfile | HostProfile]


@dataclass(slots=True, eq=False)
class _Member:
    #: As its row was last seen.
    node: Node
    profile: ContainerProfile
    #: As it was last looked at; None: it has to be.
    container: Container | None = None
    #: Its latest start that is known of.
    started_at: float | None = None
    state: State = field(default_factory=State)
    verdict: Verdict | None = None
    asking: set[Role] = field(default_factory=set)


@dataclass(slots=True)
class _Stirred:
    """A container that was started, and whose node may not say so yet."""

    container_id: str
    until: float
    pace: float = _SOON


class Prober:
    """``look``: told of a node whose container somebody should look at."""

    def __init__(self, session: Session, host: Host, look: Callable[[str], None]) -> None:
        self._context = session.context
        self._pool = session.pool
        self._host = host
        self._look = look
        self._members: dict[str, _Member] = {}
        self._stirred: dict[str, _Stirred] = {}
        self._updated: set[str] = set()
        #: Members without probes that were not ready when they were last looked at.
        self._awaited: set[str] = set()
        self._agenda: list[tuple[float, int, _Member, Role | None]] = []
        self._serial = itertools.count()
        self._found: dict[str, Finding] = {}
        self._room = asyncio.Semaphore(_AT_A_TIME)
        self._stir, self._wake, self._some = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Runs until cancelled; may be run again. A host that fails is not its business."""
        self._agenda = []
        for member in self._members.values():
            member.asking.clear()
            self._look_anew(member)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep_up())
            group.create_task(self._ask_on_time(group))
            group.create_task(self._write())

    # -- what others tell --------------------------------------------------------------------------------------------

    def heard(self, event: ContainerEvent, node_id: str) -> bool:
        """True when the node's container should be looked at for it."""
        if event.kind is ContainerEventKind.STARTED:
            self._expect(node_id, event.container_id)
        return event.kind is ContainerEventKind.HEALTHY or (
            event.kind is ContainerEventKind.STARTED and node_id in self._awaited
        )

    def updated(self, node_id: str) -> None:
        """Its profile may ask for probes although its container is the one that it was."""
        if node_id not in self._members:  # their rows are looked at anyway
            self._updated.add(node_id)
            self._stir.set()

    def _expect(self, node_id: str, container_id: str) -> None:
        member = self._members.get(node_id)
        if member is not None and member.node.physical_id == container_id:
            self._look_anew(member)
            return
        self._stirred[node_id] = _Stirred(container_id, self._context.clock.monotonic() + _PATIENCE)
        self._stir.set()

    async def listed(self, nodes: Iterable[Node]) -> None:
        """All nodes of the host, as their rows are now."""
        known = list(nodes)
        found = await self._context.store.read(self._context.rules.catalog.load, [n.profile_id for n in known])
        self._follow(known, found)
        self._awaited &= {node.id for node in known}

    async def seen(self, node: Node, container: Container) -> None:
        """Somebody has looked at the node's container, and found nothing to repair."""
        member = self._members.get(node.id)
        if member is not None and member.node.physical_id == container.id:
            self._looked(member, container)
            return
        found = await self._context.store.read(self._context.rules.catalog.load, [node.profile_id])
        profile = found.get(node.profile_id)
        if not isinstance(profile, ContainerProfile) or node.power is not PowerState.RUNNING:
            return
        if profile.probes:
            self._expect(node.id, container.id)
            return
        told = of_new(profile.probes, container)
        (self._awaited.discard if told.ready else self._awaited.add)(node.id)
        self._tell(node, told)

    def ailment(self, node: Node) -> Diagnosis | None:
        """What its probes say is to be healed."""
        member = self._members.get(node.id)
        if member is None or member.verdict is None or member.node.physical_id != node.physical_id:
            return None
        return Diagnosis(Ailment.UNHEALTHY, member.verdict.ailment) if member.verdict.ailment else None

    # -- who is asked ------------------------------------------------------------------------------------------------

    async def _keep_up(self) -> None:
        while True:
            await self._until(self._stir, self._next_look())
            await self._context.clock.sleep(_SOON)
            self._stir.clear()
            ids = list({*self._members, *self._stirred, *self._updated})
            self._updated.clear()
            if ids:
                nodes, profiles = await self._context.store.read(_load, self._context.rules.catalog, ids)
                self._follow(nodes, profiles)
                there = {node.id: node for node in nodes}
                for node_id in set(self._members) - set(there):
                    del self._members[node_id]
                self._settle_stirred(there, profiles)

    def _next_look(self) -> float | None:
        paces = [stirred.pace for stirred in self._stirred.values()]
        return min([*paces, _LOOK]) if self._members or paces else None

    def _settle_stirred(self, there: Mapping[str, Node], profiles: Profiles) -> None:
        now = self._context.clock.monotonic()
        for node_id, stirred in list(self._stirred.items()):
            node = there.get(node_id)
            named = node is not None and node.physical_id == stirred.container_id
            if stirred.until < now or named or (node is not None and _asks_nothing(node, profiles)):
                del self._stirred[node_id]
            else:
                stirred.pace = min(2 * stirred.pace, _LOOK)

    def _follow(self, nodes: Iterable[Node], profiles: Profiles) -> None:
        for node in nodes:
            profile = profiles.get(node.profile_id)
            member = self._members.get(node.id)
            if not isinstance(profile, ContainerProfile) or not profile.probes or not self._is_asked(node):
                if self._members.pop(node.id, None) is not None and not node.ready:
                    self._look(node.id)
            elif (
                member is None or member.node.physical_id != node.physical_id or member.profile.probes != profile.probes
            ):
                self._members[node.id] = member = _Member(node, profile)
                self._look_anew(member)
            else:
                self._compare(member, node)

    def _is_asked(self, node: Node) -> bool:
        return (
            node.host_id == self._host.node_id
            and node.physical_id is not None
            and node.power is PowerState.RUNNING
            and node.status in _ASKED
        )

    def _compare(self, member: _Member, node: Node) -> None:
        """Somebody else has written what the row says of its readiness when the container was made, started or stopped."""
        before, member.node = member.node, node
        if (before.ready, before.ready_at, before.ready_reason) != (node.ready, node.ready_at, node.ready_reason):
            self._look_anew(member)
        elif before.status is not node.status and member.container is not None:
            self._judge(member)

    # -- asking ------------------------------------------------------------------------------------------------------

    def _plan(self, at: float, member: _Member, role: Role | None) -> None:
        heapq.heappush(self._agenda, (at, next(self._serial), member, role))
        if self._agenda[0][2] is member:
            self._wake.set()

    def _look_anew(self, member: _Member) -> None:
        member.container = None
        self._plan(self._context.clock.monotonic(), member, None)

    async def _ask_on_time(self, group: asyncio.TaskGroup) -> None:
        while True:
            self._wake.clear()
            now = self._context.clock.monotonic()
            while self._agenda and self._agenda[0][0] <= now:
                at, _, member, role = heapq.heappop(self._agenda)
                if self._holds_still(at, member, role):
                    if role is not None:
                        member.asking.add(role)
                    group.create_task(self._attend_to(member, role))
            # uvloop gives no timer for less than a millisecond.
            await self._until(self._wake, max(self._agenda[0][0] - now, 0.001) if self._agenda else None)

    def _holds_still(self, at: float, member: _Member, role: Role | None) -> bool:
        """Whether what was planned is still wanted."""
        if self._members.get(member.node.id) is not member:
            return False
        if role is None:
            return member.container is None
        track = member.state.tracks.get(role)
        running = member.container is not None and member.container.state is ContainerState.RUNNING
        return running and track is not None and track.due == at and role not in member.asking

    async def _attend_to(self, member: _Member, role: Role | None) -> None:
        async with self._room:
            await (self._inspect(member) if role is None else self._ask(member, role))

    async def _inspect(self, member: _Member) -> None:
        if member.container is not None:
            return  # somebody else was faster
        try:
            container = await self._pool.get(self._host).docker.inspect(member.node.physical_id or "")
            if container is not None:
                self._looked(member, container)
                return
            self._look(member.node.id)
        except HostError:
            pass
        self._plan(self._context.clock.monotonic() + _AGAIN, member, None)

    async def _ask(self, member: _Member, role: Role) -> None:
        clock, state, begun = self._context.clock, member.state, member.started_at
        probe, asked = member.profile.probes.of(role), clock.monotonic()
        assert probe is not None
        secretive = bool(member.profile.properties.secrets)
        try:
            docker = self._pool.get(self._host).docker
            answer = await ask(docker, member.node.physical_id or "", probe, secretive=secretive)
        except HostError as error:
            answer = unknown(error.message)
        finally:
            member.asking.discard(role)
        # Not what was said before the container's latest start.
        if member.started_at == begun and member.state.tracks.get(role) is state.tracks.get(role):
            member.state = answered(member.profile.probes, member.state, role, answer, asked, clock.monotonic())
        self._schedule(member)
        if member.container is not None:
            self._judge(member)

    def _looked(self, member: _Member, container: Container) -> None:
        now, probes = self._context.clock.monotonic(), member.profile.probes
        if member.started_at is None:
            spread = zlib.crc32(member.node.id.encode()) % 1000 / 1000
            member.state = begin(probes, now, ready=member.node.ready, spread=spread)
        elif container.started_at != member.started_at:
            member.state = begin(probes, now)
        member.container, member.started_at = container, container.started_at
        self._schedule(member)
        self._judge(member)

    def _schedule(self, member: _Member) -> None:
        for role, track in member.state.tracks.items():
            if role not in member.asking:
                self._plan(track.due, member, role)

    # -- what follows ------------------------------------------------------------------------------------------------

    def _judge(self, member: _Member) -> None:
        assert member.container is not None
        now = self._context.clock.monotonic()
        found = verdict(member.profile.probes, member.state, member.container, now)
        ailed = member.verdict.ailment if member.verdict is not None else ""
        member.verdict = found
        if found.ailment != ailed or (found.ailment and member.node.status in _SETTLED):
            self._look(member.node.id)
        self._tell(member.node, found)

    def _tell(self, node: Node, found: Verdict) -> None:
        """What is broken says so itself, and nobody is called ready who is being replaced."""
        quiet = node.status not in _SETTLED and (found.ready or not node.ready)
        if quiet or (found.ready, found.reason) == (node.ready, node.ready_reason):
            self._found.pop(node.id, None)
            return
        event = None
        if found.ready != node.ready:
            event = events.of_node(
                Owner(node.user, node.project, node.domain),
                node_id=node.id,
                node_name=node.name,
                cluster_id=node.cluster_id,
                kind="CONTAINER_READY" if found.ready else "CONTAINER_NOT_READY",
                level=Level.INFO if found.ready else Level.WARN,
                reason=found.reason or "It may be given work.",
                event_id=self._context.ids.new(),
                now=self._context.clock.now(),
            )
        self._found[node.id] = Finding(node, found.ready, found.reason, event)
        self._some.set()

    async def _write(self) -> None:
        while True:
            await self._some.wait()
            await self._context.clock.sleep(_GATHER)
            self._some.clear()
            findings, self._found = list(self._found.values()), {}
            now = self._context.clock.now()
            written = await self._context.store.transact(readiness.record, findings, now)
            for found in written:
                member = self._members.get(found.node.id)
                if member is not None and member.node is found.node:
                    at = now if found.ready != found.node.ready else found.node.ready_at
                    member.node = replace(member.node, ready=found.ready, ready_at=at, ready_reason=found.reason)
            if any(found.event is not None for found in written):
                # Whoever waits for readiness need not wait for the next look at the rows.
                self._context.doorbell.ring()
            if len(written) < len(findings):
                self._stir.set()

    async def _until(self, news: asyncio.Event, patience: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await news.wait()


def _asks_nothing(node: Node, profiles: Profiles) -> bool:
    """Whether it is being made from a profile without probes."""
    profile = profiles.get(node.profile_id)
    return node.status is NodeStatus.CREATING and isinstance(profile, ContainerProfile) and not profile.probes


def _load(connection: Connection, catalog: Catalog, node_ids: list[str]) -> tuple[list[Node], Profiles]:
    nodes = readiness.look(connection, node_ids)
    return nodes, catalog.load(connection, [node.profile_id for node in nodes])
