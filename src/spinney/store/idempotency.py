"""What became of requests with an Idempotency-Key.

A row is written in the same transaction as the first thing its request changes, so that there is never an effect without its
row, nor a second effect: whoever comes second finds the row, or meets its primary key.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from spinney.errors import SpinneyError
from spinney.store.tables import idempotency as table

#: Seconds for which an answer is kept.
KEPT = 86400.0


class KeyTaken(SpinneyError):
    """Another request with the same key has written in between; nothing was written here."""


@dataclass(frozen=True, slots=True)
class Place:
    """Whose key: where its row is."""

    project: str
    key_hash: str

    @property
    def row(self) -> sa.ColumnElement[bool]:
        return (table.c.project == self.project) & (table.c.key_hash == self.key_hash)


@dataclass(frozen=True, slots=True)
class Kept:
    """``status`` None: the request has changed something, but how it was answered is not known; ``sealed`` holds its steps."""

    digest: str
    status: int | None
    sealed: bytes


def find(connection: Connection, place: Place, now: float) -> Kept | None:
    query = sa.select(table.c.digest, table.c.status, table.c.answer).where(place.row, table.c.expires_at > now)
    row = connection.execute(query).first()
    return None if row is None else Kept(row.digest, row.status, row.answer)


def take(connection: Connection, place: Place, kept: Kept, now: float) -> None:
    """Raises: KeyTaken."""
    connection.execute(table.delete().where(place.row, table.c.expires_at <= now))
    values = {"project": place.project, "key_hash": place.key_hash, "created_at": now, "expires_at": now + KEPT}
    try:
        connection.execute(table.insert().values(**values, digest=kept.digest, status=kept.status, answer=kept.sealed))
    except IntegrityError as error:
        raise KeyTaken(f"the key {place.key_hash} of {place.project} has been used by now") from error


def change(connection: Connection, place: Place, before: bytes, status: int | None, after: bytes) -> None:
    """Raises: KeyTaken when it is no longer as it was ``before``."""
    as_it_was = (table.c.answer == before) & table.c.status.is_(None)
    changed = connection.execute(table.update().where(place.row, as_it_was).values(status=status, answer=after))
    if changed.rowcount != 1:
        raise KeyTaken(f"the key {place.key_hash} of {place.project} has been used by now")


def prune(connection: Connection, now: float, at_most: int) -> int:
    old = sa.select(table.c.project, table.c.key_hash).where(table.c.expires_at <= now).limit(at_most)
    places = [Place(*row) for row in connection.execute(old).all()]
    for place in places:
        connection.execute(table.delete().where(place.row, table.c.expires_at <= now))
    return len(places)
