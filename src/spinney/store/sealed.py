"""Everything in the database that is sealed for engines: what for which key, and sealing it anew.

Guaranteed: a box is replaced only while it is the one that was read, so that who changes a value meanwhile wins.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection, LargeBinary, Table

from spinney.store.tables import credential, secret

#: Each has the columns id and sealed; a box is sealed for its row's id. In the order of their names.
TABLES: Mapping[str, Table] = {"credential": credential, "secret": secret}


@dataclass(frozen=True, slots=True)
class Box:
    table: str
    id: str
    content: bytes


def _key_id(table: Table) -> sa.ColumnElement[bytes]:
    """The bytes of a box that say which key it is sealed for."""
    return sa.func.substr(table.c.sealed, 2, 8, type_=LargeBinary)


def any_there(connection: Connection) -> bool:
    return any(
        connection.execute(sa.select(table.c.id).where(table.c.sealed.is_not(None)).limit(1)).first() is not None
        for table in TABLES.values()
    )


def by_key(connection: Connection) -> Counter[str]:
    """How many boxes are sealed for which key."""
    found: Counter[str] = Counter()
    for table in TABLES.values():
        key = _key_id(table)
        counted = sa.select(key, sa.func.count()).where(table.c.sealed.is_not(None)).group_by(key)
        for key_id, count in connection.execute(counted):
            found[bytes(key_id).hex()] += count
    return found


def for_others(connection: Connection, key_id: str, after: tuple[str, str], limit: int) -> list[Box]:
    """Up to ``limit`` boxes that are sealed for another key than this one, from behind that table and id on."""
    found: list[Box] = []
    for name, table in TABLES.items():
        if name < after[0]:
            continue
        others = sa.select(table.c.id, table.c.sealed).where(
            table.c.sealed.is_not(None),
            _key_id(table) != bytes.fromhex(key_id),
            table.c.id > (after[1] if name == after[0] else ""),
        )
        rows = connection.execute(others.order_by(table.c.id).limit(limit - len(found)))
        found += [Box(name, row.id, row.sealed) for row in rows]
        if len(found) >= limit:
            break
    return found


def replace(connection: Connection, boxes: Iterable[tuple[Box, bytes]]) -> int:
    """Put what was sealed anew in the place of what was read; how many were."""
    count = 0
    for box, anew in boxes:
        table = TABLES[box.table]
        changed = table.update().where(table.c.id == box.id, table.c.sealed == box.content).values(sealed=anew)
        count += connection.execute(changed).rowcount
    return count
