"""Updates of clusters to another profile that are under way, and what users say to them while they are.

Guaranteed: what is said is stored with the action it is said to, in one transaction with waking it; one that has ended is told
nothing any more.
"""

from __future__ import annotations

from sqlalchemy import Connection

from spinney.domain.action import LIVE_STATUSES, Action, ActionKind, ActionStatus
from spinney.store.rows import ACTIONS
from spinney.store.tables import action as table

_LIVE = [status.value for status in LIVE_STATUSES]
#: Seconds between looks whether the update before has stopped.
_PAUSE = 0.5


def under_way(connection: Connection, cluster_id: str) -> list[Action]:
    """The oldest first: where one supersedes another, both live for a while. They are locked."""
    rows = connection.execute(
        ACTIONS.select()
        .where(
            table.c.target == cluster_id,
            table.c.action == ActionKind.CLUSTER_UPDATE.value,
            table.c.status.in_(_LIVE),
        )
        .order_by(table.c.created_at, table.c.id)
        .with_for_update()
    )
    return [action for action in map(ACTIONS.value, rows) if action.rolling]


def say(connection: Connection, action: Action, wish: str, now: float) -> None:
    """To one of those. What was said before, and not heeded yet, does not count any more; the same said again does."""
    inputs = {**action.inputs, "wish": wish, "wished_at": now}
    connection.execute(table.update().where(table.c.id == action.id).values(inputs=inputs, ready_at=0.0))


def stands_back(connection: Connection, action: Action, now: float) -> bool:
    """Whether a claimed update that has not begun has to wait until the one that it supersedes has stopped; it is then back in
    the queue, holding nothing."""
    before = next((other for other in under_way(connection, action.target) if other.id != action.id), None)
    if before is None or before.created_at > action.created_at:
        return False
    connection.execute(
        table.update()
        .where(table.c.id == action.id)
        .values(
            status=ActionStatus.READY,
            status_reason=f"Waiting until the update before it, {before.id}, has stopped.",
            ready_at=now + _PAUSE,
            start_time=None,
            owner=None,
            running_target=None,
        )
    )
    return True
