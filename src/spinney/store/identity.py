"""Finding an object by what people call it: id, name, or the beginning of its id.

A word that looks like a UUID is tried as an id and then as a name, any other word as a name and then as the beginning of
an id. Guaranteed: an object outside of the scope is never found, and answers like one that does not exist; a word
that fits several objects is refused rather than guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row, Table
from sqlalchemy.sql.elements import ColumnElement

from spinney.clock import iso
from spinney.errors import BadRequest, MultipleChoices, ResourceNotFound

_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}", re.IGNORECASE)
_ID_START = re.compile(r"[0-9a-f][0-9a-f-]{0,35}", re.IGNORECASE)
_SHOWN = 255
#: Of those that a word fits.
LISTED = 5
#: Of an id, what tables show; the beginning of an id is accepted in its place.
SHORT_ID = 8


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose objects may be found: those of ``project``; with ``everywhere`` also any other by its id."""

    project: str
    everywhere: bool = False


def as_uuid(word: str) -> str | None:
    """The usual spelling of a UUID, dashes optional; None when the word is none."""
    if not _UUID.fullmatch(word):
        return None
    digits = word.replace("-", "").lower()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class Finder:
    """Finds rows of one noun. ``select`` is what a row shall hold; the statements are made once."""

    def __init__(self, kind: str, table: Table, select: sa.Select[Any], *, named: bool = True) -> None:
        self.kind = kind
        self.table = table
        self.select = select
        self._named = named
        own = table.c.project == sa.bindparam("project")
        self._by_id = select.where(table.c.id == sa.bindparam("word"))
        self._by_own_id = self._by_id.where(own)
        self._by_start = select.where(own, table.c.id.startswith(sa.bindparam("word"))).limit(LISTED + 1)
        self._by_name = select.where(own, table.c.name == sa.bindparam("word")).limit(LISTED + 1) if named else None

    def find(self, connection: Connection, word: str, scope: Scope) -> Row[Any] | None:
        """Raises: MultipleChoices."""
        if not word or "\x00" in word:
            return None
        uuid = as_uuid(word)
        if uuid is not None:
            by_id = self._by_id if scope.everywhere else self._by_own_id
            found = connection.execute(by_id, _parameters(uuid, scope, not scope.everywhere)).first()
            return found if found is not None else self._only(connection, self._by_name, word, scope)
        found = self._only(connection, self._by_name, word, scope)
        if found is None and _ID_START.fullmatch(word):
            found = self._only(connection, self._by_start, word.lower(), scope)
        return found

    def by_id(self, connection: Connection, uuid: str) -> Row[Any] | None:
        """Whosever it is."""
        return connection.execute(self._by_id, {"word": uuid}).first()

    def get(self, connection: Connection, word: str, scope: Scope) -> Row[Any]:
        """What the path of a request names. Raises: ResourceNotFound, MultipleChoices."""
        found = self.find(connection, word, scope)
        if found is None:
            raise self.absent(word)
        return found

    def refer(self, connection: Connection, word: str, scope: Scope, field: str) -> Row[Any]:
        """What ``field`` of a request's body names. Raises: BadRequest, MultipleChoices."""
        found = self.find(connection, word, scope)
        if found is None:
            raise BadRequest(f"{field}: The specified {self.kind} '{word[:_SHOWN]}' could not be found.")
        return found

    def absent(self, word: str) -> ResourceNotFound:
        return ResourceNotFound(f"The {self.kind} '{word[:_SHOWN]}' could not be found.")

    def find_many(self, connection: Connection, words: Sequence[str], scope: Scope) -> dict[str, Row[Any]]:
        """Those of the words that were found, by word; many ids cost one statement. Raises: MultipleChoices."""
        uuids = {word: uuid for word in words if (uuid := as_uuid(word)) is not None}
        found: dict[str, Row[Any]] = {}
        if uuids:
            where: list[ColumnElement[bool]] = [self.table.c.id.in_(set(uuids.values()))]
            if not scope.everywhere:
                where.append(self.table.c.project == scope.project)
            rows = {row.id: row for row in connection.execute(self.select.where(*where))}
            found = {word: rows[uuid] for word, uuid in uuids.items() if uuid in rows}
        for word in words:
            if word not in found and (row := self.find(connection, word, scope)) is not None:
                found[word] = row
        return found

    def _only(
        self, connection: Connection, statement: sa.Select[Any] | None, word: str, scope: Scope
    ) -> Row[Any] | None:
        if statement is None:
            return None
        rows = connection.execute(statement, _parameters(word, scope, True)).all()
        if len(rows) > 1:
            raise MultipleChoices(several(self.kind, word, rows))
        return rows[0] if rows else None


def several(kind: str, word: str, rows: Sequence[Row[Any]]) -> str:
    """What is said of a word that fits several: their ids, as long as tells them apart, and since when they are there.
    ``rows``: up to one more than are listed."""
    ids = [row.id for row in rows]
    length = next(n for n in range(SHORT_ID, 37) if len({one[:n] for one in ids}) == len(ids))
    told = ", ".join(_one_of(row, length) for row in sorted(rows[:LISTED], key=_since))
    more = " and more" if rows[LISTED:] else ""
    return f"'{word[:_SHOWN]}' fits more than one {kind}; give the full id of the one that is meant. They are: {told}{more}."


def _one_of(row: Row[Any], length: int) -> str:
    name = row._mapping.get("name")
    return f"{row.id[:length]} ({f'{name}, ' if name else ''}created at {iso(_since(row))})"


def _since(row: Row[Any]) -> float:
    known = (row._mapping.get(column) for column in ("init_at", "created_at", "timestamp"))
    return float(next((moment for moment in known if moment is not None), 0.0))


def _parameters(word: str, scope: Scope, own: bool) -> dict[str, str]:
    return {"word": word, "project": scope.project} if own else {"word": word}
