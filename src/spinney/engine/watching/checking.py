"""Looking at the members of one host as the health policies of their clusters say.

Guaranteed: a member on which an action lives is left alone, whoever carries that out; what was found is recorded only while the
member is as it was when it was looked at, and never within the time that its policy gives it after a change. Members are looked
at at different places of the interval, so many of a host at a time; looks that were missed are not made up for. This goes on
while the host does not answer, which is what one of the modes is about. Not guaranteed: that no look is missed, or made early,
when another engine takes the host over.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from spinney.domain import event as events
from spinney.domain.breaker import trial_due
from spinney.domain.event import Level
from spinney.domain.health import COMPLAINT, Ailment, Diagnosis, RestartPolicy, changed_at
from spinney.domain.health_rules import Detect, Mode
from spinney.domain.health_sights import (
    Says,
    Sight,
    of_container,
    of_docker_health,
    of_host,
    of_probes,
    unknown,
    verdict,
)
from spinney.domain.host import Host, HostState
from spinney.domain.identity import Owner
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.domain.runs import place_of
from spinney.engine.catalog import ContainerProfile
from spinney.engine.watching import findings, urls
from spinney.engine.watching.probing import Prober
from spinney.engine.worker import Session
from spinney.errors import HostError
from spinney.store import healing, health_rules
from spinney.store.healing import Expectation
from spinney.store.health_rules import Ruled
from spinney.store.rows import EVENTS

log = logging.getLogger(__name__)

#: Seconds between looks at what is due.
_TICK = 1.0
#: Members of one host that are looked at at a time.
_AT_A_TIME = 8
#: Seconds between looks at a member that is tried while its cluster's breaker is open, and for which it must have been well
#: where nothing but events tells.
_TRIAL_PACE, _STEADY = 5.0, 10.0
#: Seconds within which members that were left alone are looked at again when that may have an end.
_SOON = 5.0


@dataclass(slots=True)
class _Watched:
    """``suspect``: at how many looks in a row its host has been. ``told``: what is unknown of it, as last told."""

    policy_id: str
    due: float
    suspect: int = 0
    told: str = ""
    task: asyncio.Task[None] | None = None


class Checker:
    """``suspect``: told of a node whose container somebody should look at."""

    def __init__(self, session: Session, host: Host, prober: Prober, suspect: Callable[[str], None]) -> None:
        self._session = session
        self._context = session.context
        self._host = host
        self._prober = prober
        self._suspect = suspect
        self._watched: dict[str, _Watched] = {}
        self._versions: dict[str, tuple[str, bool, float]] = {}
        self._gate = asyncio.Semaphore(_AT_A_TIME)

    def complains(self, node: Node, expected: Expectation) -> bool:
        """Whether polling has found it ill, so that only polling can call it well."""
        one = findings.ruled(node, expected)
        return one is not None and bool(one.rules.polled) and node.status_reason.startswith(COMPLAINT)

    async def run(self) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as group:
            while True:
                await self._context.clock.sleep(_TICK)
                ruled = self._context.checks.ruled
                if ruled or self._versions:
                    await self._round(group, ruled)

    async def _round(self, group: asyncio.TaskGroup, ruled: Mapping[str, Ruled]) -> None:
        concerned = {*ruled, *self._versions}
        nodes = await self._context.store.read(health_rules.members_on, self._host.node_id, concerned)
        nodes = [node for node in nodes if place_of(node.data) is None]
        self._nudge(nodes, ruled)
        here = {node.id for node in nodes}
        self._watched = {key: one for key, one in self._watched.items() if key in here or one.task is not None}
        now = self._context.clock.monotonic()
        for node in nodes:
            one = ruled.get(node.cluster_id)
            if one is not None and one.rules.polled and self._is_due(node, one, now):
                watched = self._watched[node.id]
                watched.task = group.create_task(self._look_at(node, one, watched))
            elif one is not None and one.breaker.open:
                await self._prove_steady(node, one)

    def _nudge(self, nodes: Iterable[Node], ruled: Mapping[str, Ruled]) -> None:
        """Members that were left alone are looked at again when what is to be done about them may have changed."""
        now = self._context.clock.now()
        versions = {cluster_id: one.version for cluster_id, one in ruled.items()}
        changed = {key for key in {*versions, *self._versions} if versions.get(key) != self._versions.get(key)}
        self._versions = versions
        tried = {key for key, one in ruled.items() if trial_due(one.rules.breaker, one.breaker, now)}
        for node in nodes:
            if node.status is NodeStatus.ACTIVE or node.cluster_id not in changed | tried:
                continue
            self._suspect(node.id)
            watched = self._watched.get(node.id)
            if watched is not None and node.cluster_id in changed:
                watched.due = min(watched.due, self._context.clock.monotonic() + _spread(node) * _SOON)

    def _is_due(self, node: Node, one: Ruled, now: float) -> bool:
        interval = one.rules.interval
        watched = self._watched.get(node.id)
        if watched is None or watched.policy_id != one.policy_id:
            watched = self._watched[node.id] = _Watched(one.policy_id, now + _spread(node) * interval)
        if one.breaker.open and one.breaker.trial == node.id:
            watched.due = min(watched.due, now + _TRIAL_PACE)
        if watched.task is not None or watched.due > now:
            return False
        watched.due = now + interval
        return True

    # -- one member --------------------------------------------------------------------------------------------------

    async def _look_at(self, node: Node, one: Ruled, watched: _Watched) -> None:
        try:
            sights = [await self._sight(node, mode, watched) for mode in one.rules.polled]
            found = verdict(sights, every=one.rules.every)
            if found.says is Says.ILL:
                await self._ill(node, one, found)
            elif found.says is Says.WELL:
                await self._well(node, one)
            await self._tell_unknown(node, watched, found.text if found.says is Says.UNKNOWN else "")
        finally:
            watched.task = None

    async def _sight(self, node: Node, mode: Mode, watched: _Watched) -> Sight:
        match mode.detect:
            case Detect.NODE_STATUS_POLL_URL:
                assert mode.url is not None
                return await urls.look(self._context, mode.url, node.name)
            case Detect.HYPERVISOR_STATUS_POLLING:
                state = await self._context.store.read(health_rules.host_state, self._host.node_id)
                watched.suspect = watched.suspect + 1 if state is HostState.SUSPECT else 0
                return of_host(state, watched.suspect)
            case Detect.PROBES:
                ailing = self._prober.ailment(node)
                return of_probes("" if ailing is None else ailing.text, node, mode.probes)
        return await self._inspected(node, mode)

    async def _inspected(self, node: Node, mode: Mode) -> Sight:
        container = None
        try:
            async with self._gate:
                if node.physical_id is not None:
                    container = await self._session.pool.get(self._host).docker.inspect(node.physical_id)
        except HostError as error:
            return unknown(f"its host could not be asked: {error.message}")
        if mode.detect is Detect.DOCKER_HEALTH:
            return of_docker_health(container)
        found = await self._context.store.read(self._context.rules.catalog.load, [node.profile_id])
        profile = found.get(node.profile_id)
        return of_container(
            node, container, profile.restart if isinstance(profile, ContainerProfile) else RestartPolicy.NEVER
        )

    # -- what follows ------------------------------------------------------------------------------------------------

    async def _ill(self, before: Node, one: Ruled, found: Sight) -> None:
        expected = await self._context.store.read(healing.named, [before.id])
        node = expected.nodes.get(before.id)
        if node is None or before.id in expected.busy or not self._same(before, node, one, expected):
            return
        if self._context.clock.now() < changed_at(node) + one.rules.grace:
            return
        sick = found.sick or Diagnosis(Ailment.UNHEALTHY, found.text)
        made = await findings.finding(self._context, node, sick, expected, polled=True)
        if made is not None:
            await findings.record(self._session, [made])

    def _same(self, before: Node, node: Node, one: Ruled, expected: Expectation) -> bool:
        """Whether what was looked at is still what is there, under the same policy."""
        there = findings.ruled(node, expected)
        return (
            there is not None
            and there.policy_id == one.policy_id
            and node.host_id == self._host.node_id
            and node.power is PowerState.RUNNING
            and (before.physical_id, before.generation, changed_at(before))
            == (node.physical_id, node.generation, changed_at(node))
        )

    async def _well(self, node: Node, one: Ruled) -> None:
        if node.status is not NodeStatus.ACTIVE and node.status_reason.startswith(COMPLAINT):
            await self._context.store.transact(healing.recovered, [node], "Its health policy finds it well.")
            self._suspect(node.id)  # its readiness was withdrawn, if it was broken
        if one.breaker.open and one.breaker.trial == node.id:
            await self._prove(node, one)

    async def _prove_steady(self, node: Node, one: Ruled) -> None:
        tried = one.breaker.trial_at
        if one.rules.polled or one.breaker.trial != node.id or tried is None:
            return
        since = max(tried, node.ready_at or 0.0)
        if node.status is NodeStatus.ACTIVE and node.ready and self._context.clock.now() - since >= _STEADY:
            await self._prove(node, one)

    async def _prove(self, node: Node, one: Ruled) -> None:
        context = self._context
        await context.store.transact(health_rules.proven, one, node.id, context.ids.new(), context.clock.now())

    async def _tell_unknown(self, node: Node, watched: _Watched, text: str) -> None:
        """Once, for as long as it stays so."""
        if text and text != watched.told:
            log.info("node %s: whether it is well is not known: %s", node.name, text)
            event = events.of_node(
                Owner(node.user, node.project, node.domain),
                node_id=node.id,
                node_name=node.name,
                cluster_id=node.cluster_id,
                kind="HEALTH_UNKNOWN",
                level=Level.WARN,
                reason=f"Whether it is well is not known: {text}.",
                event_id=self._context.ids.new(),
                now=self._context.clock.now(),
            )
            await self._context.store.transact(EVENTS.insert, [event])
        watched.told = text


def _spread(node: Node) -> float:
    """Its place in any interval, 0 to 1."""
    return zlib.crc32(node.id.encode()) / 2**32
