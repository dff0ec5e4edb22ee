"""Values as people read them and as programs do: JSON stays JSON with ``-f json``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cliff.columns import FormattableColumn

from spinney.osc.wire import RENAMES

Row = Mapping[str, Any]
Table = tuple[Sequence[str], Iterable[Sequence[Any]]]
Fields = tuple[Sequence[str], Sequence[Any]]

#: How many characters of an id lists show, unless asked for all of them.
SHORT = 8


class _Whole(FormattableColumn[Any]):
    def machine_readable(self) -> Any:
        return self._value


class Indented(_Whole):
    """A map or list, over several lines."""

    def human_readable(self) -> str:
        return json.dumps(self._value, indent=2, ensure_ascii=False)


class Inline(_Whole):
    """A map or list, in one line."""

    def human_readable(self) -> str:
        return json.dumps(self._value, ensure_ascii=False) if self._value else ""


class Lines(_Whole):
    """Words, one to a line."""

    def human_readable(self) -> str:
        return "\n".join(self._value)


class Support(_Whole):
    """Since when what of a type is supported."""

    def human_readable(self) -> str:
        found = [one for versions in self._value.values() for one in versions]
        return "\n".join(f"{one['status']} since {one['since']}" for one in found)


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a list: its heading, and the key on the wire if that is another."""

    name: str
    key: str = ""
    is_id: bool = False
    shape: type[FormattableColumn[Any]] | None = None

    def cell(self, row: Row, full: bool) -> Any:
        value: Any = row
        for part in (self.key or self.name).split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if self.is_id and not full:
            value = [one[:SHORT] for one in value] if isinstance(value, list) else (value or "")[:SHORT]
        if self.shape is not None:
            return self.shape(value)
        return Lines(value) if isinstance(value, list) else Inline(value) if isinstance(value, dict) else value


def table(columns: Sequence[Column], rows: Iterable[Row], full: bool = True) -> Table:
    return [column.name for column in columns], [tuple(column.cell(row, full) for column in columns) for row in rows]


def fields(row: Row, renames: Mapping[str, str] = RENAMES) -> Fields:
    """An object, sorted by the names that openstacksdk has for its keys."""
    named = {renames.get(key, key): value for key, value in row.items()}
    names = sorted(named)
    return names, [shaped(named[name]) for name in names]


def shaped(value: Any) -> Any:
    if isinstance(value, dict):
        return Indented(value)
    if isinstance(value, list):
        return Lines(value) if all(isinstance(one, str) for one in value) else Indented(value)
    return value
