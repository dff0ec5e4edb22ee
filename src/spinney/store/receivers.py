"""Receivers, and which signed requests they have obeyed."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row
from sqlalchemy.exc import IntegrityError

from spinney.domain.receiver import Receiver
from spinney.store.identity import Finder
from spinney.store.rows import Mapper
from spinney.store.tables import action, webhook_use
from spinney.store.tables import receiver as table

RECEIVERS = Mapper(table, Receiver)
FINDER = Finder("receiver", table, RECEIVERS.select())
#: Seconds.
WINDOW = 60.0


def insert(connection: Connection, receiver: Receiver) -> None:
    RECEIVERS.insert(connection, [receiver])


def change(connection: Connection, receiver_id: str, values: dict[str, Any]) -> None:
    connection.execute(table.update().where(table.c.id == receiver_id).values(**values))


def remove(connection: Connection, receiver_id: str) -> None:
    connection.execute(webhook_use.delete().where(webhook_use.c.receiver_id == receiver_id))
    connection.execute(table.delete().where(table.c.id == receiver_id))


def forget(connection: Connection, cluster_id: str) -> None:
    """Those of a cluster that is deleted."""
    gone = sa.select(table.c.id).where(table.c.cluster_id == cluster_id)
    connection.execute(webhook_use.delete().where(webhook_use.c.receiver_id.in_(gone)))
    connection.execute(table.delete().where(table.c.cluster_id == cluster_id))


def by_id(connection: Connection, receiver_id: str) -> Row[Any] | None:
    """Whosever it is; one statement, whether there is one or not."""
    return FINDER.by_id(connection, receiver_id)


def admit(connection: Connection, receiver_id: str, secret_hash: str | None, now: float) -> bool:
    """Count one use; False: there were too many within a minute, or the receiver is no longer what was looked at."""
    fresh = table.c.window_at <= now - WINDOW
    changed = connection.execute(
        table.update()
        .where(
            table.c.id == receiver_id,
            table.c.enabled.is_(True),
            table.c.secret_hash == secret_hash,
            sa.or_(fresh, table.c.window_count < table.c.rate_limit),
        )
        .ordered_values(
            # In this order: MariaDB computes each from what the ones before it have set.
            (table.c.window_count, sa.case((fresh, 1), else_=table.c.window_count + 1)),
            (table.c.window_at, sa.case((fresh, now), else_=table.c.window_at)),
        )
    )
    return changed.rowcount == 1


def is_used(connection: Connection, receiver_id: str, signature: str) -> bool:
    """Whether a request with this signature was obeyed already."""
    mine = (webhook_use.c.receiver_id == receiver_id) & (webhook_use.c.signature == signature)
    return connection.execute(sa.select(webhook_use.c.receiver_id).where(mine)).first() is not None


def use_once(connection: Connection, receiver_id: str, signature: str, expires_at: float) -> bool:
    """Remember a signed request; False: it was obeyed before, and the transaction has failed on some databases."""
    row = {"receiver_id": receiver_id, "signature": signature, "expires_at": expires_at}
    try:
        connection.execute(webhook_use.insert(), row)
    except IntegrityError:
        return False
    return True


def name_action(connection: Connection, receiver_id: str, action_id: str) -> None:
    """After the receiver that started it, as the API has it."""
    connection.execute(action.update().where(action.c.id == action_id).values(name=f"webhook_{receiver_id[:8]}"))
