"""The queue is the table of actions: submitting, cancelling, and who stands in whose way.

The rules of conflict, in the order they are applied to a new action of a user:

1. a deletion stands in nobody's way: whatever lives on its target is asked to stop, and the deletion starts when it has;
2. an operation on a node queues behind whatever works on the node;
3. an update that takes a cluster's members to another profile stands in the way of other such updates alone, and of those of
   the cluster's profile; where one supersedes it, it is asked to stop instead, and the new one begins when it has;
4. otherwise a running action of a user on the same target refuses the new one (ResourceIsLocked), a waiting one too
   (ActionConflict); work of the system is asked to stop instead, because it yields to users. Only a change of a cluster's
   policies leaves it alone: that takes a moment, and what is at work goes on as it began.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.action import LIVE_STATUSES, Action, ActionKind, ActionStatus, Cause, rolls
from spinney.errors import ActionConflict, ActionImmutable, ResourceIsLocked, ResourceNotFound
from spinney.store import database, lifecycle, windows
from spinney.store.identity import SHORT_ID
from spinney.store.rows import ACTIONS
from spinney.store.tables import action as table
from spinney.store.tables import cluster, node

_LIVE = [status.value for status in LIVE_STATUSES]


def submit(connection: Connection, action: Action) -> None:
    """Queue an action of a user. Raises: ResourceIsLocked, ActionConflict."""
    kind = action.action
    if kind is ActionKind.CLUSTER_DELETE:
        request_cancel(connection, table.c.cluster_id == action.target)
    if kind in (ActionKind.CLUSTER_DELETE, ActionKind.NODE_DELETE):
        request_cancel(connection, table.c.target == action.target)
    elif kind is not ActionKind.NODE_OPERATION:
        _refuse_conflict(connection, action)
    ACTIONS.insert(connection, [action])


def _refuse_conflict(connection: Connection, action: Action) -> None:
    live = connection.execute(
        sa.select(
            table.c.id, table.c.action, table.c.status, table.c.cause, table.c.running_target, table.c.inputs
        ).where(table.c.target == action.target, table.c.status.in_(_LIVE), table.c.action != ActionKind.NODE_FETCH)
    ).all()
    for other in sorted(live, key=lambda row: row.running_target is None):  # what is at work is told first
        if other.cause == Cause.HEALING:
            if not action.action.about_policy:
                request_cancel(connection, _with_whoever_waits(other.id))
            continue
        what = f"{other.action} {other.id[:SHORT_ID]} ({other.status})"
        rolling = rolls(ActionKind(other.action), other.inputs)
        if rolling and not _of_profile(action):
            continue
        if rolling and action.inputs.get("supersede"):
            request_cancel(connection, table.c.id == other.id)
            continue
        if rolling or other.running_target is not None:
            remedy = "wait for it, cancel it or supersede it" if rolling else "wait for it or cancel it"
            raise ResourceIsLocked(f"{_refused(connection, action)}: {what} is at work on it; {remedy}.")
        raise ActionConflict(f"{_refused(connection, action)}: {what} is queued before it; wait for it or cancel it.")


def _refused(connection: Connection, action: Action) -> str:
    nouns = (("cluster", cluster), ("node", node))
    named = (sa.select(sa.literal(noun), one.c.name).where(one.c.id == action.target) for noun, one in nouns)
    found = connection.execute(sa.union_all(*named)).first()
    target = action.target if found is None else f"the {found[0]} '{found[1]}'"
    return f"{action.action} on {target} is refused"


def _with_whoever_waits(action_id: str) -> sa.ColumnElement[bool]:
    """The action, and of what it has ordered that which waits for somebody's answer before it begins: nobody is to wait for
    that, too."""
    held = table.c.status == ActionStatus.WAITING_LIFECYCLE_COMPLETION.value
    return sa.or_(table.c.id == action_id, sa.and_(table.c.parent_id == action_id, held, table.c.start_time.is_(None)))


def _of_profile(action: Action) -> bool:
    """Whether it changes which profile a cluster has."""
    return action.action is ActionKind.CLUSTER_UPDATE and action.inputs.get("new_profile_id") is not None


def request_cancel(connection: Connection, *where: sa.ColumnElement[bool]) -> None:
    """Ask live actions to stop at their next safe point. An engine makes them final; those that wait to be completed by
    somebody outside are so at once."""
    lifecycle.cancel(connection, where, database.now(connection))
    connection.execute(
        table.update()
        .where(table.c.status.in_(_LIVE), table.c.cancel_requested.is_(False), *where)
        .values(cancel_requested=True, ready_at=0.0)
    )


def cancel(connection: Connection, action_id: str) -> None:
    """Ask an action and what it has ordered to stop. Raises: ResourceNotFound, ActionImmutable."""
    found = ACTIONS.one(connection, table.c.id == action_id)
    if found is None:
        raise ResourceNotFound(f"The action '{action_id}' could not be found.")
    if found.final:
        raise ActionImmutable(f"The action '{action_id}' is already {found.status} and can no longer be cancelled.")
    # What a drain, a rebalance or an update has begun is its own to end; only no more of it begins.
    children = sa.false() if windows.in_window(found.action) else table.c.parent_id == action_id
    request_cancel(connection, sa.or_(table.c.id == action_id, children))


def get_many(connection: Connection, ids: Collection[str]) -> list[Action]:
    return ACTIONS.all(connection, table.c.id.in_(ids)) if ids else []


def insert(connection: Connection, actions: Sequence[Action]) -> None:
    """Queue actions that need no look at conflicts: children, and work of the system."""
    ACTIONS.insert(connection, actions)


def live_targets(connection: Connection, targets: Collection[str]) -> set[str]:
    """Those of the targets on which an action lives, whatever its status, that does not leave them alone."""
    if not targets:
        return set()
    rows = connection.execute(
        sa.select(table.c.target).where(
            table.c.target.in_(targets), table.c.status.in_(_LIVE), table.c.action != ActionKind.NODE_FETCH
        )
    )
    return set(rows.scalars())


def dependencies(connection: Connection, actions: Sequence[Action]) -> dict[str, list[str]]:
    """For each action the ids of its live children: what it still depends on."""
    waiting = [a.id for a in actions if a.status in (ActionStatus.WAITING, ActionStatus.READY, ActionStatus.RUNNING)]
    found: dict[str, list[str]] = {a.id: [] for a in actions}
    if waiting:
        rows = connection.execute(
            sa.select(table.c.parent_id, table.c.id)
            .where(table.c.parent_id.in_(waiting), table.c.status.in_(_LIVE))
            .order_by(table.c.id)
        )
        for parent, child in rows:
            found[parent].append(child)
    return found
