"""The node actions of one claim: what each comes down to, decided and stored together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain.action import Action, ActionKind, Cause
from spinney.domain.event import Event, Level
from spinney.domain.host import Host
from spinney.domain.node import Node
from spinney.domain.placement.scheduler import Waiting
from spinney.engine import endings, joining
from spinney.engine.catalog import Catalog, ContainerProfile, HostProfile
from spinney.engine.jobs import Job, Task
from spinney.engine.landing import SHOWN_WHILE, Lander, Work, decided
from spinney.store import hosts, placements, status, work
from spinney.store.rows import EVENTS, NODES
from spinney.store.tables import host as host_table
from spinney.store.tables import node as table
from spinney.store.work import Outcome

_ROWS_ONLY = (ActionKind.NODE_JOIN, ActionKind.NODE_LEAVE)
_TASKS: Mapping[ActionKind, Task] = {
    ActionKind.NODE_CREATE: Task.CREATE,
    ActionKind.NODE_DELETE: Task.DELETE,
    ActionKind.NODE_CHECK: Task.CHECK,
    ActionKind.NODE_OPERATION: Task.OPERATE,
    ActionKind.NODE_UPDATE: Task.RECREATE,
}


class Batch:
    """``prepare`` fills ``jobs``, ``freed`` (networks that lost their last user) and ``more`` (to be claimed at once)."""

    def __init__(
        self, connection: Connection, engine_id: str, catalog: Catalog, subnet_count: int, ids: Ids, now: float
    ) -> None:
        self.jobs: list[Job] = []
        self.freed: list[tuple[str, str]] = []
        self.more = False
        self._connection = connection
        self._engine_id = engine_id
        self._catalog = catalog
        self._subnet_count = subnet_count
        self._ids = ids
        self._now = now
        self._profiles: Mapping[str, ContainerProfile | HostProfile] = {}
        self._ended: list[Outcome] = []
        self._promised: set[str] = set()

    def prepare(self, actions: Sequence[Action]) -> None:
        """Raises: PlacementRace."""
        nodes = {n.id: n for n in NODES.all(self._connection, table.c.id.in_([a.target for a in actions]))}
        profile_ids = {n.profile_id for n in nodes.values()}
        profile_ids |= {str(a.inputs["new_profile_id"]) for a in actions if a.inputs.get("new_profile_id")}
        self._profiles = self._catalog.load(self._connection, profile_ids)
        pending = [(action, nodes[action.target]) for action in actions if action.target in nodes]
        self._ended = [endings.missing(action) for action in actions if action.target not in nodes]
        EVENTS.insert(self._connection, self._announcements(pending))
        landing: list[Work] = []
        working: list[Work] = []
        for action, node in pending:
            if not self._settle(action, node):
                (landing if self._wants_place(action, node) else working).append((action, node))
        landed = Lander(self._connection, self._profiles, self._now).land(landing)
        for action, node, answer in landed.stuck:
            self._stuck(action, node, answer)
        working = self._show(working) + list(landed.placed)
        self._make_jobs(working)
        status.refresh(self._connection, {node.cluster_id for action, node in working if action.parent_id is None})
        if self._ended:
            finished = work.finish(self._connection, self._engine_id, self._ended, self._now)
            self.freed += finished.freed_networks
            self.more = finished.more

    def _announcements(self, pending: Sequence[Work]) -> list[Event]:
        return [
            endings.announcement(action, node, "start", Level.INFO, "", self._ids, self._now)
            for action, node in pending
            if action.cause is not Cause.DERIVED and action.attempt == 1
        ]

    def _settle(self, action: Action, node: Node) -> bool:
        """Deal with what needs no container; True when that was all."""
        assert action.start_time is not None
        profile = self._profiles.get(node.profile_id)
        if action.cancel_requested:
            self._cancel(action, node)
        elif self._now > action.start_time + action.timeout:
            self._fail(action, node, f"{action.action.value} exceeded its timeout of {action.timeout} s")
        elif profile is None:
            self._fail(action, node, f"profile {node.profile_id} no longer exists")
        elif action.action in _ROWS_ONLY:
            self._ended.append(joining.settle(self._connection, action, node, self._now))
        elif isinstance(profile, HostProfile):
            self._host_action(action, node, profile)
        elif action.action is ActionKind.NODE_UPDATE and not action.inputs.get("new_profile_id"):
            self._ended.append(endings.rows_changed(action, node, self._ids, self._now))
        else:
            return False
        return True

    def _wants_place(self, action: Action, node: Node) -> bool:
        kind = action.action
        if kind is ActionKind.NODE_CREATE:
            return node.host_id is None
        recreates = kind is ActionKind.NODE_UPDATE or (kind is ActionKind.NODE_RECOVER and _recreates(action, node))
        return recreates and not decided(action, node)

    def _show(self, working: Sequence[Work]) -> list[Work]:
        """Let the API see what the nodes are going through."""
        shown = [
            (action, replace(node, status=SHOWN_WHILE[action.action]))
            if action.action in SHOWN_WHILE
            else (action, node)
            for action, node in working
        ]
        changed = [node for (_, node), (_, before) in zip(shown, working, strict=True) if node is not before]
        if changed:
            self._connection.execute(
                table.update().where(table.c.id == sa.bindparam("b_id")).values(status=sa.bindparam("b_status")),
                [{"b_id": node.id, "b_status": node.status} for node in changed],
            )
        return shown

    def _make_jobs(self, working: Sequence[Work]) -> None:
        needed = {str(action.data["previous_host"]) for action, _ in working if action.data.get("previous_host")}
        needed |= {node.host_id for _, node in working if node.host_id is not None}
        known = self._hosts(needed)
        tasks = [(action, node, _task(action, node)) for action, node in working]
        making = [node for _, node, task in tasks if task in (Task.CREATE, Task.RECREATE)]
        subnets = placements.subnets(
            self._connection,
            {(node.host_id, node.project) for node in making if node.host_id is not None and self._networked(node)},
            self._subnet_count,
        )
        for action, node, task in tasks:
            subnet_index = subnets.get((node.host_id or "", node.project))
            if subnet_index is None and task in (Task.CREATE, Task.RECREATE) and self._networked(node):
                self._ended.append(endings.without_network(action, node, self._subnet_count, self._ids, self._now))
                continue
            job = Job(
                task=task,
                action=action,
                node=node,
                profile=self._profiles[node.profile_id],
                host=known.get(node.host_id or ""),
                previous_host=known.get(str(action.data.get("previous_host"))),
                subnet_index=subnet_index,
            )
            self.jobs.append(job)

    def _hosts(self, ids: set[str]) -> dict[str, Host]:
        return {h.node_id: h for h in hosts.find(self._connection, host_table.c.node_id.in_(ids))} if ids else {}

    def _networked(self, node: Node) -> bool:
        profile = self._profiles[node.profile_id]
        return isinstance(profile, ContainerProfile) and profile.properties.network == "bridge"

    def _host_action(self, action: Action, node: Node, profile: HostProfile) -> None:
        outcome = joining.host_outcome(self._connection, action, node, self._ids, self._now)
        if outcome is not None:
            self._ended.append(outcome)
            return
        registered = self._hosts({node.id}).get(node.id)
        machine = None
        if registered is None:
            machine = joining.machine_for(self._connection, action, profile, self._promised)
            if machine is None:
                self._fail(action, node, "every endpoint of the profile is registered as a host already; name others")
                return
        ((_, node),) = self._show([(action, node)])
        task = Task.HOST_JOIN if machine is not None else Task.HOST_CHECK
        self.jobs.append(Job(task=task, action=action, node=node, profile=profile, host=registered, machine=machine))

    def _cancel(self, action: Action, node: Node) -> None:
        """A creation that was begun has its container removed first."""
        profile = self._profiles.get(node.profile_id)
        home = self._hosts({node.host_id}) if node.host_id is not None else {}
        if action.action is ActionKind.NODE_CREATE and home and isinstance(profile, ContainerProfile):
            self.jobs.append(
                Job(task=Task.UNDO, action=action, node=node, profile=profile, host=home[node.host_id or ""])
            )
        else:
            self._ended.append(endings.cancelled(action, node))

    def _fail(self, action: Action, node: Node, reason: str) -> None:
        self._ended.append(endings.failed(action, node, reason, self._ids, self._now))

    def _stuck(self, action: Action, node: Node, answer: Waiting) -> None:
        """Without room a new node waits; one that has a container keeps it."""
        if node.host_id is None:
            self._ended.append(endings.waiting(action, node, answer, self._ids, self._now))
            return
        reason = f"there is no room for its new container: {answer.summary}"
        self._ended.append(endings.failed(action, node, reason, self._ids, self._now, shows=node.status))


def _task(action: Action, node: Node) -> Task:
    if action.action is ActionKind.NODE_RECOVER:
        return Task.RECREATE if _recreates(action, node) else Task.REBOOT
    return _TASKS[action.action]


def _recreates(action: Action, node: Node) -> bool:
    """REBOOT acts on the container that is there; without one, and by default, recovery makes it anew."""
    return node.physical_id is None or str(action.inputs.get("operation") or "RECREATE").upper() != "REBOOT"
