"""Messages of lifecycle hooks, put into the outbox with the change that they tell of, and the secrets that sign them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.action import Action, Cause
from spinney.store.tables import action, outbox, secret

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


def hooked(connection: Connection, told: Action, message: Message, now: float) -> None:
    """Of an action that waits from now on."""
    if told.cause is Cause.DERIVED:
        connection.execute(action.update().where(action.c.id == told.id).values(cause=Cause.HOOKED))
    tell(connection, told.project, [message], now)


def named_secret(connection: Connection, project: str, word: str) -> tuple[str, str | None] | None:
    """The id of a project's secret, and the key meant, of NAME or NAME/KEY; None: there is none, or it has no such key."""
    name, _, key = word.partition("/")
    found = connection.execute(
        sa.select(secret.c.id, secret.c.facts).where(secret.c.project == project, secret.c.name == name)
    ).first()
    if found is None or (key and key not in (found.facts.get("keys") or [key])):
        return None
    return found.id, key or None


def no_secret(word: str, at: str = "hooks") -> str:
    return f"{at}.params.secret: the project has no secret '{word}': make it, or give another as NAME or NAME/KEY"
