"""Actions that wait until somebody outside completes them: held, released, called off.

Guaranteed: a held action is in nobody's hands; it goes on when it is completed or when its time is up (``ready_at``), whichever
engine notices. One that has not begun becomes CANCELLED at once when it is cancelled; one that has (``start_time``) goes on, so
that an engine clears up what it has done. A message that says it is about to happen is not sent any more once it was completed
or called off; whether one had been sent before is not known here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.action import Action, ActionStatus
from spinney.store import telling, work
from spinney.store.tables import action as table
from spinney.store.tables import outbox
from spinney.store.telling import Message

_HELD = table.c.status == ActionStatus.WAITING_LIFECYCLE_COMPLETION.value
_GO_ON = {"status": ActionStatus.READY, "status_reason": "Waiting for an engine."}


def hold(
    connection: Connection,
    action: Action,
    data: Mapping[str, Any],
    reason: str,
    deadline: float,
    message: Message,
    now: float,
) -> None:
    """Put a claimed action aside until it is completed or its time is up, and have that told. What was claimed for the first
    time has not begun."""
    begun = action.start_time if action.attempt > 1 else None
    connection.execute(
        table.update()
        .where(table.c.id == action.id)
        .values(
            status=ActionStatus.WAITING_LIFECYCLE_COMPLETION,
            status_reason=reason,
            data=dict(data),
            ready_at=deadline,
            start_time=begun,
            owner=None,
            running_target=None,
            updated_at=now,
        )
    )
    telling.hooked(connection, action, message, now)


def release(connection: Connection, action_id: str, now: float) -> None:
    """Let an action go on; one that is not held is left as it is."""
    released = connection.execute(table.update().where(table.c.id == action_id, _HELD).values(ready_at=now, **_GO_ON))
    if released.rowcount:
        forget(connection, [action_id])


def due(connection: Connection, now: float) -> bool:
    """Whether the time of any is up."""
    return connection.execute(sa.select(table.c.id).where(_HELD, table.c.ready_at <= now).limit(1)).first() is not None


def release_due(connection: Connection, now: float) -> bool:
    return connection.execute(table.update().where(_HELD, table.c.ready_at <= now).values(**_GO_ON)).rowcount > 0


def cancel(connection: Connection, where: Sequence[sa.ColumnElement[bool]], now: float) -> None:
    """Those of the actions that are held and have not begun are CANCELLED; the others go on, and end themselves."""
    found = connection.execute(
        sa.select(table.c.id, table.c.parent_id, table.c.start_time).where(_HELD, *where).with_for_update()
    ).all()
    if not found:
        return
    begun = [row.id for row in found if row.start_time is not None]
    connection.execute(table.update().where(table.c.id.in_(begun)).values(ready_at=now, **_GO_ON))
    unbegun = [row for row in found if row.start_time is None]
    connection.execute(
        table.update()
        .where(table.c.id.in_([row.id for row in unbegun]))
        .values(
            status=ActionStatus.CANCELLED,
            status_reason="Cancelled before it began.",
            cancel_requested=True,
            end_time=now,
            updated_at=now,
        )
    )
    forget(connection, [row.id for row in found])
    work.wake_parents(connection, {row.parent_id for row in unbegun if row.parent_id is not None}, now)


def forget(connection: Connection, action_ids: Collection[str]) -> None:
    """Messages about these are not sent any more."""
    connection.execute(outbox.delete().where(outbox.c.action_id.in_(list(action_ids))))
