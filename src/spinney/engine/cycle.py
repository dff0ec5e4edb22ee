"""One transaction of an engine: claim, load, decide, record. What remains is returned as jobs for hosts.

Guaranteed: when ``take`` returns, every choice that its jobs act on (host, generation, subnet) is stored; an action that only
concerns rows is already final. A successor that claims the same action later finds those choices and makes the same job.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain import event as events
from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.event import Event, Level
from spinney.domain.host import HostState
from spinney.domain.node import Node, NodeStatus
from spinney.domain.placement import PlacementRequest, Waiting, place
from spinney.engine import clusters, joining
from spinney.engine.catalog import Catalog, ContainerProfile, HostProfile
from spinney.engine.clusters import ClusterRules
from spinney.engine.jobs import Job, Task
from spinney.store import database, hosts, placements, status, work
from spinney.store.placements import Landing, PlacementRace
from spinney.store.rows import EVENTS, NODES
from spinney.store.tables import action as action_table
from spinney.store.tables import host as host_table
from spinney.store.tables import node as table
from spinney.store.work import Outcome

log = logging.getLogger(__name__)

_SHOWN_WHILE = {
    ActionKind.NODE_CREATE: NodeStatus.CREATING,
    ActionKind.NODE_DELETE: NodeStatus.DELETING,
    ActionKind.NODE_UPDATE: NodeStatus.UPDATING,
    ActionKind.NODE_RECOVER: NodeStatus.RECOVERING,
    ActionKind.NODE_OPERATION: NodeStatus.OPERATING,
}
_ROWS_ONLY = (ActionKind.NODE_JOIN, ActionKind.NODE_LEAVE)
_LOST = (HostState.SUSPECT, HostState.LOST)


@dataclass(frozen=True, slots=True)
class Rules:
    """What deciding needs beside the rows."""

    catalog: Catalog
    cluster: ClusterRules
    subnet_count: int


@dataclass(frozen=True, slots=True)
class Taken:
    jobs: tuple[Job, ...]
    #: How many actions were claimed, those settled within the transaction included.
    claimed: int
    freed_networks: tuple[tuple[str, str], ...] = ()


def take(connection: Connection, engine_id: str, limit: int, rules: Rules, ids: Ids) -> Taken:
    """Raises: LeaseLost, PlacementRace (nothing was written: take again)."""
    actions = work.claim(connection, engine_id, limit)
    now = database.now(connection)
    for action in actions:
        if action.action.on_cluster:
            _guarded(
                connection, action, partial(clusters.advance, connection, action, rules.cluster, ids, now), ids, now
            )
    node_actions = [action for action in actions if not action.action.on_cluster]
    batch = _Batch(connection, engine_id, rules, ids, now)
    if node_actions:
        try:
            with connection.begin_nested():
                batch.prepare(node_actions)
        except (PlacementRace, sa.exc.DBAPIError):
            raise
        except Exception:
            log.exception("a batch of %d actions could not be prepared; trying them one by one", len(node_actions))
            batch = _Batch(connection, engine_id, rules, ids, now)
            for action in node_actions:
                _guarded(connection, action, partial(batch.prepare, [action]), ids, now)
    return Taken(tuple(batch.jobs), len(actions), tuple(batch.freed))


def _guarded(connection: Connection, action: Action, run: Callable[[], None], ids: Ids, now: float) -> None:
    """An action that makes our own code fail is ended with that; it must not hold up the others for ever."""
    try:
        with connection.begin_nested():
            run()
    except (PlacementRace, sa.exc.OperationalError):
        raise
    except Exception as error:
        log.exception("%s %s could not be decided", action.action, action.id)
        reason = f"{action.action.value} failed inside Spinney: {type(error).__name__}: {error}"
        if action.action.on_cluster:
            clusters.fail(connection, action, reason, ids, now)
        else:
            node = NODES.one(connection, table.c.id == action.target)
            changes = {"status": NodeStatus.ERROR, "status_reason": reason}
            outcome = Outcome(action=action, status=ActionStatus.FAILED, reason=reason, node=node, changes=changes)
            assert action.owner is not None
            work.finish(connection, action.owner, [outcome], now)


class _Batch:
    """The node actions of one claim."""

    def __init__(self, connection: Connection, engine_id: str, rules: Rules, ids: Ids, now: float) -> None:
        self.connection = connection
        self.engine_id = engine_id
        self.rules = rules
        self.ids = ids
        self.now = now
        self.jobs: list[Job] = []
        self.freed: list[tuple[str, str]] = []
        self._ended: list[Outcome] = []
        self._events: list[Event] = []

    def prepare(self, actions: Sequence[Action]) -> None:
        nodes = {n.id: n for n in NODES.all(self.connection, table.c.id.in_([a.target for a in actions]))}
        profile_ids = {n.profile_id for n in nodes.values()}
        profile_ids |= {str(a.inputs["new_profile_id"]) for a in actions if a.inputs.get("new_profile_id")}
        self._profiles = self.rules.catalog.load(self.connection, profile_ids)
        pending: list[tuple[Action, Node]] = []
        for action in actions:
            node = nodes.get(action.target)
            if node is None:
                gone = action.action is ActionKind.NODE_DELETE
                self._end(action, ActionStatus.SUCCEEDED if gone else ActionStatus.FAILED, "The node no longer exists.")
            else:
                self._announce(action, node)
                pending.append((action, node))
        self._decide(pending)
        if self._ended:
            self.freed += work.finish(self.connection, self.engine_id, self._ended, self.now)
            self._ended = []
        EVENTS.insert(self.connection, self._events)
        self._events = []

    def _announce(self, action: Action, node: Node) -> None:
        if action.cause is not Cause.DERIVED and action.attempt == 1:
            self._events.append(
                events.of_action(action, node.name, "start", Level.INFO, "", event_id=self.ids.new(), now=self.now)
            )

    def _decide(self, pending: Sequence[tuple[Action, Node]]) -> None:
        landing: list[tuple[Action, Node]] = []
        working: list[tuple[Action, Node]] = []
        for action, node in pending:
            assert action.start_time is not None
            profile = self._profiles.get(node.profile_id)
            if action.cancel_requested:
                self._cancelled(action, node)
            elif self.now > action.start_time + action.timeout:
                self._failed(action, node, f"{action.action.value} exceeded its timeout of {action.timeout} s")
            elif profile is None:
                self._failed(action, node, f"profile {node.profile_id} no longer exists")
            elif action.action in _ROWS_ONLY:
                self._ended.append(joining.settle(self.connection, action, node, self.now))
            elif isinstance(profile, HostProfile):
                self._host_action(action, node, profile)
            elif self._wants_place(action, node):
                landing.append((action, node))
            else:
                working.append((action, node))
        placed = self._land(landing)
        self._show(working)
        self._make_jobs(working + placed)

    def _wants_place(self, action: Action, node: Node) -> bool:
        kind = action.action
        if kind is ActionKind.NODE_CREATE:
            return node.host_id is None
        if kind is ActionKind.NODE_UPDATE:
            return bool(action.inputs.get("new_profile_id")) and not _decided(action, node)
        if kind is ActionKind.NODE_RECOVER and _recreates(action, node):
            return not _decided(action, node)
        return False

    def _land(self, pending: Sequence[tuple[Action, Node]]) -> list[tuple[Action, Node]]:
        fresh = [(a, n) for a, n in pending if n.host_id is None]
        moving = [(a, n) for a, n in pending if n.host_id is not None]
        landed = self._place(fresh)
        for action, node in moving:
            landed += self._place_anew(action, node)
        return landed

    def _place(self, pending: Sequence[tuple[Action, Node]]) -> list[tuple[Action, Node]]:
        """Place nodes that have no host, all in one pass; those without room wait."""
        if not pending:
            return []
        requests = [self._request(action, node) for action, node in pending]
        found = placements.candidates(self.connection, requests)
        taken = placements.taken_ports(self.connection, requests, [host.node_id for host in found])
        landings: list[Landing] = []
        landed: list[tuple[Action, Node]] = []
        for (action, node), request, answer in zip(pending, requests, place(requests, found, taken), strict=True):
            if isinstance(answer, Waiting):
                self._waits(action, node, answer)
                continue
            generation = node.generation + 1
            landings.append(Landing(request, answer.host_id, generation))
            shown = _SHOWN_WHILE[action.action]
            landed.append(
                (
                    action,
                    replace(
                        node,
                        host_id=answer.host_id,
                        generation=generation,
                        reserved_cpu=request.cpu,
                        reserved_memory=request.memory,
                        status=shown,
                        profile_id=str(action.inputs.get("new_profile_id") or node.profile_id),
                    ),
                )
            )
        placements.reserve(self.connection, landings, self.now)
        self._show(landed)
        return landed

    def _place_anew(self, action: Action, node: Node) -> list[tuple[Action, Node]]:
        """A new generation of a node that has a host: on the same one, unless its profile changes or the host is lost."""
        profile_id = str(action.inputs.get("new_profile_id") or node.profile_id)
        home = hosts.find(self.connection, host_table.c.node_id == node.host_id)
        stays = profile_id == node.profile_id and bool(home) and home[0].state not in _LOST
        self._remember(action, node)
        if stays:
            moved = replace(node, generation=node.generation + 1, status=_SHOWN_WHILE[action.action])
            self.connection.execute(
                table.update()
                .where(table.c.id == node.id)
                .values(generation=moved.generation, placed_at=self.now, status=moved.status)
            )
            return [(action, moved)]
        attempt = self.connection.begin_nested()
        placements.release(self.connection, [node])
        free = replace(node, host_id=None)
        request = self._request(action, free)
        found = placements.candidates(self.connection, [request])
        taken = placements.taken_ports(self.connection, [request], [host.node_id for host in found])
        answer = place([request], found, taken)[0]
        if isinstance(answer, Waiting):
            attempt.rollback()
            self._failed(action, node, f"there is no room for its new container: {answer.summary}", keep=True)
            return []
        placements.reserve(self.connection, [Landing(request, answer.host_id, node.generation + 1)], self.now)
        attempt.commit()
        moved = replace(
            node,
            host_id=answer.host_id,
            generation=node.generation + 1,
            reserved_cpu=request.cpu,
            reserved_memory=request.memory,
            profile_id=profile_id,
        )
        self._show([(action, moved)])
        return [(action, moved)]

    def _remember(self, action: Action, node: Node) -> None:
        """Which generation this action made, and where the container before it is: for whoever resumes the action."""
        data = {"generation": node.generation + 1, "previous_host": node.host_id}
        self.connection.execute(action_table.update().where(action_table.c.id == action.id).values(data=data))

    def _request(self, action: Action, node: Node) -> PlacementRequest:
        profile = self._profiles[str(action.inputs.get("new_profile_id") or node.profile_id)]
        assert isinstance(profile, ContainerProfile)
        return PlacementRequest(
            node.id, profile.cpu, profile.memory, profile.host_node, profile.host_cluster, profile.ports
        )

    def _show(self, working: Sequence[tuple[Action, Node]]) -> None:
        """Let the API see what the nodes are going through."""
        rows = [
            {"b_id": node.id, "b_status": _SHOWN_WHILE[action.action], "b_profile": node.profile_id}
            for action, node in working
            if action.action in _SHOWN_WHILE
        ]
        if rows:
            self.connection.execute(
                table.update()
                .where(table.c.id == sa.bindparam("b_id"))
                .values(status=sa.bindparam("b_status"), profile_id=sa.bindparam("b_profile")),
                rows,
            )
            alone = {n.cluster_id for a, n in working if a.parent_id is None and a.action in _SHOWN_WHILE}
            status.refresh(self.connection, alone)

    def _make_jobs(self, working: Sequence[tuple[Action, Node]]) -> None:
        previous = {str(a.data.get("previous_host")) for a, _ in working if a.data.get("previous_host")}
        previous |= {n.host_id for _, n in working if n.host_id is not None}
        known = (
            {h.node_id: h for h in hosts.find(self.connection, host_table.c.node_id.in_(previous))} if previous else {}
        )
        tasks = [(a, n, self._task(a, n)) for a, n in working]
        making = [n for _, n, task in tasks if task in (Task.CREATE, Task.RECREATE, Task.DELETE)]
        networks = placements.subnets(
            self.connection,
            {(n.host_id, n.project) for n in making if n.host_id is not None and self._networked(n)},
            self.rules.subnet_count,
        )
        for action, node, task in tasks:
            if task is None:
                self._rows_changed(action, node)
                continue
            self.jobs.append(
                Job(
                    task=task,
                    action=action,
                    node=node,
                    profile=self._profiles[node.profile_id],
                    host=known.get(node.host_id or ""),
                    previous_host=known.get(str(action.data.get("previous_host"))),
                    subnet_index=networks.get((node.host_id or "", node.project)),
                )
            )

    def _networked(self, node: Node) -> bool:
        profile = self._profiles[node.profile_id]
        return isinstance(profile, ContainerProfile) and profile.properties.network == "bridge"

    def _task(self, action: Action, node: Node) -> Task | None:
        kind = action.action
        if kind is ActionKind.NODE_CREATE:
            return Task.CREATE
        if kind is ActionKind.NODE_DELETE:
            return Task.DELETE
        if kind is ActionKind.NODE_CHECK:
            return Task.CHECK
        if kind is ActionKind.NODE_OPERATION:
            return Task.OPERATE
        if kind is ActionKind.NODE_UPDATE:
            return Task.RECREATE if action.inputs.get("new_profile_id") else None
        return Task.RECREATE if _recreates(action, node) else Task.REBOOT

    def _host_action(self, action: Action, node: Node, profile: HostProfile) -> None:
        outcome = joining.host_outcome(self.connection, action, node, self.now)
        if outcome is not None:
            self._ended.append(outcome)
            return
        joins = action.action in (ActionKind.NODE_CREATE, ActionKind.NODE_RECOVER)
        task = Task.HOST_JOIN if joins else Task.HOST_CHECK
        self._show([(action, node)])
        self.jobs.append(Job(task=task, action=action, node=node, profile=profile))

    def _rows_changed(self, action: Action, node: Node) -> None:
        changes = {
            key: action.inputs[key]
            for key in ("name", "role", "metadata", "tainted")
            if action.inputs.get(key) is not None
        }
        changes |= {"updated_at": self.now, "status": NodeStatus.ACTIVE, "status_reason": "Update succeeded."}
        self._end(action, ActionStatus.SUCCEEDED, "Update succeeded.", node, changes)

    def _waits(self, action: Action, node: Node, answer: Waiting) -> None:
        reason = f"Waiting for room: {answer.summary}."
        data = {**node.data, "waiting": {"summary": answer.summary, "hosts": [asdict(u) for u in answer.hosts[:100]]}}
        changes = {
            "status": NodeStatus.INIT,
            "status_reason": reason,
            "waiting_since": node.waiting_since or self.now,
            "data": data,
        }
        self._end(action, ActionStatus.FAILED, reason, node, changes)

    def _cancelled(self, action: Action, node: Node) -> None:
        if action.action is ActionKind.NODE_CREATE and node.host_id is not None:
            known = hosts.find(self.connection, host_table.c.node_id == node.host_id)
            profile = self._profiles.get(node.profile_id)
            if known and isinstance(profile, ContainerProfile):
                self.jobs.append(Job(task=Task.UNDO, action=action, node=node, profile=profile, host=known[0]))
                return
        self._ended.append(cancelled(action, node))

    def _failed(self, action: Action, node: Node, reason: str, *, keep: bool = False) -> None:
        status = node.status if keep and node.status is not NodeStatus.RECOVERING else NodeStatus.ERROR
        self._end(action, ActionStatus.FAILED, reason, node, {"status": status, "status_reason": reason})

    def _end(
        self,
        action: Action,
        status: ActionStatus,
        reason: str,
        node: Node | None = None,
        changes: dict[str, Any] | None = None,
    ) -> None:
        announced: tuple[Event, ...] = ()
        if action.cause is not Cause.DERIVED and node is not None:
            good = status is ActionStatus.SUCCEEDED
            phase, level = ("end", Level.INFO) if good else ("error", Level.ERROR)
            event_id = self.ids.new()
            announced = (events.of_action(action, node.name, phase, level, reason, event_id=event_id, now=self.now),)
        self._ended.append(
            Outcome(action=action, status=status, reason=reason, node=node, changes=changes or {}, events=announced)
        )


def cancelled(action: Action, node: Node) -> Outcome:
    """What a node shows after an action on it was cancelled: nothing is known of it until somebody looks."""
    reason = f"{action.action.value} was cancelled."
    unmade = node.physical_id is None
    changes: dict[str, Any] = {
        "status": NodeStatus.ERROR if unmade else NodeStatus.WARNING,
        "status_reason": reason if unmade else f"{reason} Check the node to see how it is.",
    }
    return Outcome(action=action, status=ActionStatus.CANCELLED, reason=reason, node=node, changes=changes)


def _recreates(action: Action, node: Node) -> bool:
    """REBOOT acts on the container that is there; without one, and by default, recovery makes it anew."""
    return node.physical_id is None or str(action.inputs.get("operation") or "RECREATE").upper() != "REBOOT"


def _decided(action: Action, node: Node) -> bool:
    """Whether this action has already chosen the node's present generation."""
    return node.host_id is not None and action.data.get("generation") == node.generation
