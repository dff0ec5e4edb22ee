"""Everything in the database that API processes seal for each other with their key ring.

Guaranteed: what is replaced is what was read, so that who changes it meanwhile wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Table

from spinney.store.tables import exec_session, idempotency, receiver


@dataclass(frozen=True, slots=True)
class Place:
    table: Table
    column: Column[Any]

    @property
    def key(self) -> tuple[Column[Any], ...]:
        return tuple(self.table.primary_key.columns)


PLACES = (
    Place(receiver, receiver.c.signing_key),
    Place(idempotency, idempotency.c.answer),
    Place(exec_session, exec_session.c.request),
)


@dataclass(frozen=True, slots=True)
class Token:
    """A sealed value and the key of its row."""

    key: tuple[Any, ...]
    content: bytes


def page(connection: Connection, place: Place, after: Sequence[Any] | None, limit: int) -> list[Token]:
    """Up to ``limit`` of them, in order, from behind that key on."""
    # Of a session that was used nothing is left to open.
    there = (place.column.is_not(None), place.column != b"")
    found = sa.select(*place.key, place.column.label("sealed")).where(*there).order_by(*place.key)
    if after is not None:
        found = found.where(sa.tuple_(*place.key) > sa.tuple_(*map(sa.literal, after)))
    return [Token(tuple(row[:-1]), row.sealed) for row in connection.execute(found.limit(limit))]


def replace(connection: Connection, place: Place, tokens: Iterable[tuple[Token, bytes]]) -> None:
    for token, anew in tokens:
        where = [column == value for column, value in zip(place.key, token.key, strict=True)]
        connection.execute(
            place.table.update().where(*where, place.column == token.content).values({place.column: anew})
        )
