"""Claiming actions and recording how they ended: the engine's side of the queue.

Guaranteed: an action is claimed by one live engine at a time; at most one claimed action per target; every write about a
claimed action is fenced by owner and attempt, so that an engine which lost its session changes nothing; an action's end, its
node, its event, its cluster's status and the waking of its parent are one transaction. Not guaranteed: any order between
actions but that a project's older ones are claimed first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row
from sqlalchemy.exc import IntegrityError

from spinney.domain.action import FINAL_STATUSES, LIVE_STATUSES, Action, ActionKind, ActionStatus, Cause
from spinney.domain.event import Event
from spinney.domain.node import Node, NodeStatus
from spinney.domain.runs import place_of
from spinney.errors import LeaseLost
from spinney.store import adjusting, engines, networks, placements, readiness, status, telling, windows
from spinney.store.rows import ACTIONS, EVENTS
from spinney.store.tables import action as table
from spinney.store.tables import cluster, node, setback
from spinney.store.telling import Message

#: What nodes show that serve nobody.
_OUT_OF_SERVICE = (NodeStatus.INIT, NodeStatus.CREATING, NodeStatus.DELETING, NodeStatus.ERROR)
_RESIZING = (ActionKind.NODE_CREATE, ActionKind.NODE_DELETE)
#: Projects served in one claim; the rest are served by the next one, because the served ones' queues shrink.
_PROJECTS = 32
_MANY = 2**31
_other = table.alias("other")
#: Nothing else works on the target, or that does not matter. A project all of whose actions wait for that must not use up a
#: place among the served.
_FREE = sa.or_(
    windows.UNHOLDING, ~sa.exists().where(_other.c.running_target == table.c.target, _other.c.id != table.c.id)
)


def claim(
    connection: Connection, engine_id: str, limit: int, after: str = "", allowed: Callable[[str], int] = lambda _: _MANY
) -> list[Action]:
    """Up to ``limit`` actions that may run now, shared evenly between projects. Raises: LeaseLost.

    Projects take turns in the order of their names, beginning behind ``after``: pass the one served last. ``allowed``: how
    many more a project may have at most.
    """
    now = engines.require(connection, engine_id)
    ready = (table.c.status == ActionStatus.READY.value) & (table.c.ready_at <= now)
    # By target: two actions that hold one object never run together.
    found: dict[str, Row[Any]] = {}
    hungry = [project for project in _projects(connection, ready, after) if allowed(project) > 0]
    # Each project gets its share; what short queues leave of theirs goes to the longer ones in a further round.
    shares = dict.fromkeys(hungry, 0)
    while hungry and len(found) < limit:
        extra = max((limit - len(found)) // len(hungry), 1)
        for project in list(hungry):
            shares[project] = min(shares[project] + min(extra, limit - len(found)), allowed(project))
            rows = _claimable(connection, ready & (table.c.project == project), shares[project])
            if len(rows) < shares[project] or shares[project] == allowed(project):
                hungry.remove(project)
            for row in rows:
                found.setdefault(row.id if windows.unholding(row.action, row.start_time) else row.target, row)
            if len(found) >= limit:
                break
    claimed = list(found.values())
    if not claimed:
        return []
    try:
        with connection.begin_nested():
            for holding in (True, False):
                ids = [r.id for r in claimed if windows.unholding(r.action, r.start_time) is not holding]
                _mark(connection, ids, engine_id, now, holding=holding)
    except IntegrityError:
        return []  # another engine took an action on one of the targets at the same moment; the next round sees it
    return [_as_claimed(row, engine_id, now) for row in claimed]


def give_back(connection: Connection, actions: Collection[Action]) -> None:
    """Into the queue again, untouched, where they were claimed in this transaction."""
    if actions:
        connection.execute(
            table.update()
            .where(table.c.id.in_([action.id for action in actions]))
            .values(status=ActionStatus.READY, owner=None, running_target=None)
        )


def _projects(connection: Connection, ready: sa.ColumnElement[bool], after: str) -> list[str]:
    """Projects with something to claim, in turn from ``after``. One step in the index each: a long queue costs nothing."""
    names: list[str] = []
    last, wrapped = after, False
    while len(names) < _PROJECTS:
        ahead = ready & _FREE & (table.c.project > last)
        if wrapped:
            ahead &= table.c.project <= after
        name = connection.execute(sa.select(table.c.project).where(ahead).order_by(table.c.project).limit(1)).scalar()
        if name is not None:
            names.append(name)
            last = name
        elif wrapped or not after:
            break
        else:
            last, wrapped = "", True
    return names


def _claimable(connection: Connection, ready: sa.ColumnElement[bool], limit: int) -> Sequence[Row[Any]]:
    query = (
        ACTIONS.select()
        .where(ready, _FREE)
        .order_by(table.c.ready_at, table.c.created_at, table.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    return connection.execute(query).all()


def _mark(connection: Connection, ids: Sequence[str], engine_id: str, now: float, *, holding: bool) -> None:
    if not ids:
        return
    connection.execute(
        table.update()
        .where(table.c.id.in_(ids))
        .values(
            status=ActionStatus.RUNNING,
            owner=engine_id,
            attempt=table.c.attempt + 1,
            running_target=table.c.target if holding else None,
            start_time=sa.func.coalesce(table.c.start_time, now),
            updated_at=now,
        )
    )


def _as_claimed(row: Row[Any], engine_id: str, now: float) -> Action:
    return ACTIONS.value(
        row,
        status=ActionStatus.RUNNING,
        owner=engine_id,
        attempt=row.attempt + 1,
        start_time=now if row.start_time is None else row.start_time,
        updated_at=now,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one claimed action ended, or why it is put off (``status`` READY, or WAITING_LIFECYCLE_COMPLETION; until
    ``ready_at``)."""

    action: Action
    status: ActionStatus
    reason: str
    outputs: Mapping[str, Any] = field(default_factory=dict)
    ready_at: float = 0.0
    #: The node as loaded, and the columns to change in its row.
    node: Node | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    remove_node: bool = False
    release_placement: bool = False
    #: The node lives where its hold is from now on; with ``give_up_hold`` nothing of it is left where it was.
    arrived: bool = False
    #: The node will not arrive where its hold is, or has left there.
    give_up_hold: bool = False
    #: The action's ``data`` from now on: it has come a step further, and what failed before that does not count any more.
    progress: Mapping[str, Any] | None = None
    #: Its container could not be made or run on this host: placement avoids the pair for a while.
    setback_on: str | None = None
    events: tuple[Event, ...] = ()
    #: Whom to tell of an action that waits to be completed.
    message: Message | None = None

    @property
    def final(self) -> bool:
        return self.status in FINAL_STATUSES


@dataclass(frozen=True, slots=True)
class Finished:
    #: (host id, project) pairs whose network has lost its last user.
    freed_networks: tuple[tuple[str, str], ...] = ()
    #: Something can be claimed now that could not before.
    more: bool = False
    #: Some host may have room that it had not before.
    room: bool = False


def finish(connection: Connection, engine_id: str, outcomes: Sequence[Outcome], now: float) -> Finished:
    """Record a group of outcomes; those of claims that are no longer ours are left out."""
    ours = _fenced(connection, engine_id, outcomes)
    if not ours:
        return Finished()
    _end_actions(connection, ours, now)
    _note_setbacks(connection, ours, now)
    freed = _settle_nodes(connection, ours, now)
    final = [(o.action, o.node, o.status is ActionStatus.SUCCEEDED) for o in ours if o.final]
    roomier = adjusting.settle(connection, final)
    parents = {o.action.parent_id for o in ours if o.action.parent_id is not None}
    more = wake_parents(connection, parents, now) or _queued_behind(connection, ours)
    EVENTS.insert(connection, [event for outcome in ours for event in outcome.events])
    _follow_members(connection, ours)
    # Not of children of an action of the cluster itself, which refreshes it in the end.
    alone = {
        o.node.cluster_id: o.reason
        for o in ours
        if o.node is not None and (o.action.parent_id is None or not o.action.cause.derived)
    }
    for cluster_id, reason in alone.items():
        status.refresh(connection, [cluster_id], reason)
    return Finished(tuple(freed), more, roomier or any(_makes_room(outcome) for outcome in ours))


def _makes_room(outcome: Outcome) -> bool:
    alone = outcome.node is not None and outcome.node.host_id is None
    joined = alone and outcome.action.action in (ActionKind.NODE_CREATE, ActionKind.NODE_JOIN)
    return outcome.release_placement or outcome.remove_node or outcome.arrived or outcome.give_up_hold or joined


def _queued_behind(connection: Connection, outcomes: Sequence[Outcome]) -> bool:
    """Whether any action waited for the targets of these."""
    targets = [outcome.action.target for outcome in outcomes]
    queued = sa.select(table.c.id).where(table.c.target.in_(targets), table.c.status == ActionStatus.READY.value)
    return connection.execute(queued.limit(1)).first() is not None


def _fenced(connection: Connection, engine_id: str, outcomes: Sequence[Outcome]) -> list[Outcome]:
    rows = connection.execute(
        sa.select(table.c.id, table.c.attempt)
        .where(
            table.c.id.in_([outcome.action.id for outcome in outcomes]),
            table.c.owner == engine_id,
            table.c.status == ActionStatus.RUNNING.value,
        )
        .with_for_update()
    )
    valid = {(row.id, row.attempt) for row in rows}
    return [outcome for outcome in outcomes if (outcome.action.id, outcome.action.attempt) in valid]


def _end_actions(connection: Connection, outcomes: Sequence[Outcome], now: float) -> None:
    rows = []
    for outcome in outcomes:
        final = outcome.final
        rows.append(
            {
                "b_id": outcome.action.id,
                "b_status": outcome.status,
                "b_reason": outcome.reason,
                "b_outputs": outcome.outputs,
                "b_ready_at": outcome.ready_at,
                "b_retries": outcome.action.retries + (0 if final else 1) if outcome.progress is None else 0,
                "b_end_time": now if final else None,
            }
        )
    connection.execute(
        table.update()
        .where(table.c.id == sa.bindparam("b_id"))
        .values(
            status=sa.bindparam("b_status"),
            status_reason=sa.bindparam("b_reason"),
            outputs=sa.bindparam("b_outputs", type_=sa.JSON),
            ready_at=sa.bindparam("b_ready_at"),
            retries=sa.bindparam("b_retries"),
            end_time=sa.bindparam("b_end_time"),
            updated_at=now,
            owner=None,
            running_target=None,
        ),
        rows,
    )
    for outcome in outcomes:
        if outcome.message is not None:
            telling.hooked(connection, outcome.action, outcome.message, now)
    further = [{"b_id": o.action.id, "b_data": o.progress} for o in outcomes if o.progress is not None]
    if further:
        data: sa.BindParameter[Any] = sa.bindparam("b_data", type_=sa.JSON)
        connection.execute(table.update().where(table.c.id == sa.bindparam("b_id")).values(data=data), further)


def _note_setbacks(connection: Connection, outcomes: Iterable[Outcome], now: float) -> None:
    rows = [
        {"node_id": o.node.id, "at": now, "host_id": o.setback_on, "profile_id": o.node.profile_id}
        for o in outcomes
        if o.setback_on is not None and o.node is not None
    ]
    if rows:
        connection.execute(setback.insert(), rows)


def _settle_nodes(connection: Connection, outcomes: Sequence[Outcome], now: float) -> list[tuple[str, str]]:
    moved = [o.node for o in outcomes if o.arrived and o.node is not None]
    placements.hand_over(connection, moved, now)
    given_up = placements.give_up(connection, [o.node.id for o in outcomes if o.give_up_hold and o.node is not None])
    leaving, removed = [], []
    changed: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.node is None:
            continue
        if outcome.release_placement or outcome.remove_node:
            leaving.append(outcome.node)
        if outcome.remove_node:
            removed.append(outcome.node.id)
        elif outcome.changes:
            row = {"b_id": outcome.node.id} | {f"b_{name}": value for name, value in outcome.changes.items()}
            changed[tuple(sorted(outcome.changes))].append(row)
    given_up += placements.release(connection, leaving)
    for names, rows in changed.items():
        values = {name: sa.bindparam(f"b_{name}", type_=node.c[name].type) for name in names}
        connection.execute(node.update().where(node.c.id == sa.bindparam("b_id")).values(values), rows)
    _settle_readiness(connection, [o for o in outcomes if not o.remove_node], now)
    if removed:
        connection.execute(node.delete().where(node.c.id.in_(removed)))
    projects = {o.node.id: o.node.project for o in outcomes if o.node is not None}
    pairs = {(n.host_id, n.project) for n in [*leaving, *moved] if n.host_id is not None}
    pairs |= {(h.host_id, projects[h.node_id]) for h in given_up}
    return networks.drop_unused(connection, pairs)


def _settle_readiness(connection: Connection, outcomes: Iterable[Outcome], now: float) -> None:
    """Whatever came of an action: a node without a container, or one that is broken, is not ready."""
    unready: dict[str, str] = {}
    hosts = []
    for outcome in outcomes:
        if outcome.node is None:
            continue
        changes = outcome.changes
        gone = outcome.release_placement or changes.get("physical_id", "") is None
        if gone or changes.get("status") in _OUT_OF_SERVICE:
            unready[outcome.node.id] = str(changes.get("status_reason", outcome.reason))
        if outcome.node.host_id is None and "status" in changes:
            hosts.append(outcome.node.id)
    readiness.withdraw(connection, unready, now)
    readiness.follow_hosts(connection, hosts, now)


def _follow_members(connection: Connection, outcomes: Iterable[Outcome]) -> None:
    """A member that its user has made or deleted by itself changes the size that its cluster wants.

    Not while an action of the cluster is at work: that one has set the size it is working towards.
    """
    clusters = {
        o.node.cluster_id
        for o in outcomes
        if o.node is not None and o.action.action in _RESIZING and o.action.cause is Cause.REQUEST
        if place_of(o.node.data) is None  # the cluster of which wants no members of its own
        if o.final
        # What a deletion policy of the cluster says.
        if (o.action.data.get("deletion") or {}).get("reduce_desired_capacity", True)
    }
    for cluster_id in sorted(clusters - {""}):
        at_work = sa.exists().where(table.c.running_target == cluster_id)
        members = sa.select(sa.func.count()).select_from(node).where(node.c.cluster_id == cluster_id)
        connection.execute(
            cluster.update()
            .where(cluster.c.id == cluster_id, ~at_work)
            .values(desired_capacity=members.scalar_subquery())
        )


def wake_parents(connection: Connection, parents: set[str], now: float) -> bool:
    """Parents whose last child is final, or any child of a window, go back into the queue; True when there were any.

    Locking them first keeps two engines that finish the last two children at the same time from each leaving the waking to
    the other.
    """
    if not parents:
        return False
    woken = False
    waiting = connection.execute(
        sa.select(table.c.id, table.c.action)
        .where(table.c.id.in_(parents), table.c.status == ActionStatus.WAITING.value)
        .with_for_update()
    )
    for parent_id, kind in waiting.all():
        live = sa.select(table.c.id).where(
            table.c.parent_id == parent_id, table.c.status.in_([s.value for s in LIVE_STATUSES])
        )
        if windows.in_window(kind) or connection.execute(live.limit(1)).first() is None:
            connection.execute(
                table.update()
                .where(table.c.id == parent_id)
                .values(status=ActionStatus.READY, ready_at=now, owner=None)
            )
            woken = True
    return woken


def wait_for_children(connection: Connection, action: Action, data: Mapping[str, Any], reason: str) -> None:
    """A parent steps back until its children are final; it goes on holding its target."""
    connection.execute(
        table.update()
        .where(table.c.id == action.id)
        .values(status=ActionStatus.WAITING, status_reason=reason, data=dict(data), owner=None)
    )


def wanted_of(connection: Connection, engine_id: str, action_ids: Collection[str]) -> set[str]:
    """Those of the actions that are still this engine's to carry out: nobody asked them to stop or ended them by force."""
    rows = connection.execute(
        sa.select(table.c.id).where(
            table.c.owner == engine_id,
            table.c.status == ActionStatus.RUNNING.value,
            table.c.cancel_requested.is_(False),
        )
    )
    return set(action_ids) & set(rows.scalars())


def require_claim(connection: Connection, action: Action) -> None:
    """The fence for writes in the middle of an action. Raises: LeaseLost."""
    held = sa.select(table.c.id).where(
        table.c.id == action.id,
        table.c.owner == action.owner,
        table.c.attempt == action.attempt,
        table.c.status == ActionStatus.RUNNING.value,
    )
    if connection.execute(held.with_for_update()).first() is None:
        raise LeaseLost(f"action {action.id} is no longer ours")
