"""Actions that wait until somebody outside completes them: held, released, called off.

Guaranteed: a held action is in nobody's hands; it goes on when it is completed or when its time is up (``ready_at``), whichever
engine notices, and becomes CANCELLED at once when it is cancelled. A message that says it is about to happen is not sent any
more once it was completed or called off; whether one had been sent before is not known here.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.action import ActionStatus
from spinney.store import work
from spinney.store.tables import action as table
from spinney.store.tables import outbox, secret

_HELD = table.c.status == ActionStatus.WAITING_LIFECYCLE_COMPLETION.value
_GO_ON = {"status": ActionStatus.READY, "status_reason": "Waiting for an engine."}
#: Seconds for which a message is worth sending, at least: also where the hook's time is shorter.
_WORTH_SENDING = 60.0
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Message:
    """``secret_id`` and ``secret_key`` tell what signs it."""

    id: str
    action_id: str
    url: str
    body: dict[str, Any]
    deadline: float
    secret_id: str | None = None
    secret_key: str | None = None


def tell(connection: Connection, project: str, messages: Sequence[Message], now: float) -> None:
    """Have the messages sent."""
    rows = [
        {
            "id": one.id,
            "action_id": one.action_id,
            "project": project,
            "url": one.url,
            "secret_id": one.secret_id,
            "secret_key": one.secret_key,
            "body": one.body,
            "attempts": 0,
            "next_at": now,
            "expires_at": max(one.deadline, now + _WORTH_SENDING),
        }
        for one in messages
    ]
    for start in range(0, len(rows), _CHUNK):
        connection.execute(outbox.insert(), rows[start : start + _CHUNK])


def named_secret(connection: Connection, project: str, word: str) -> tuple[str, str | None] | None:
    """The id of a project's secret, and the key meant, of NAME or NAME/KEY; None: there is none, or it has no such key."""
    name, _, key = word.partition("/")
    found = connection.execute(
        sa.select(secret.c.id, secret.c.facts).where(secret.c.project == project, secret.c.name == name)
    ).first()
    if found is None or (key and key not in (found.facts.get("keys") or [key])):
        return None
    return found.id, key or None


def no_secret(word: str) -> str:
    return f"hooks.params.secret: the project has no secret '{word}': make it, or give another as NAME or NAME/KEY"


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
    """Those of the actions that are held are CANCELLED at once: nothing of them has begun."""
    found = connection.execute(sa.select(table.c.id, table.c.parent_id).where(_HELD, *where).with_for_update()).all()
    if not found:
        return
    ids = [row.id for row in found]
    connection.execute(
        table.update()
        .where(table.c.id.in_(ids))
        .values(
            status=ActionStatus.CANCELLED,
            status_reason="Cancelled before it began.",
            cancel_requested=True,
            end_time=now,
            updated_at=now,
        )
    )
    forget(connection, ids)
    work.wake_parents(connection, {row.parent_id for row in found if row.parent_id is not None}, now)


def forget(connection: Connection, action_ids: Collection[str]) -> None:
    """Messages about these are not sent any more."""
    connection.execute(outbox.delete().where(outbox.c.action_id.in_(list(action_ids))))
