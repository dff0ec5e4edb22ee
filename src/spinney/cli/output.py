"""Showing results: tables for people, JSON, YAML or names for programs.

On a terminal tables are drawn by rich and fit its width: the columns that can best be spared go first, long reasons end in
an ellipsis, and only then are cells folded. Anywhere else they are plain columns, never cut, and nothing of rich is loaded.
Programs get the objects of the API as they came, without their envelope; a list is an array. What is said beside the result
goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from spinney.cli import text

Row = Mapping[str, Any]


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Column:
    title: str
    #: The cell of one object; a key of the object or a function of it.
    source: str | Callable[[Row], str]
    is_time: bool = False
    is_status: bool = False
    right: bool = False
    #: Left out of a table in which it would be empty on every line.
    optional: bool = False
    #: How a cell looks on a terminal, a style of rich.
    style: Callable[[str], str] | None = None
    #: Drawn on a terminal alone.
    picture: bool = False
    #: Long words, cut to what the others leave of a terminal's width; to be shown whole by another command.
    cut: bool = False
    #: Left out of a table too wide for the terminal, the highest first; 0: never.
    spare: int = 0

    def cell(self, row: Row, now: datetime) -> str:
        if callable(self.source):
            return self.source(row)
        value = row.get(self.source)
        return text.ago(value, now) if self.is_time else text.one_line(value)

    def style_of(self, cell: str) -> str:
        if self.style is not None:
            return self.style(cell)
        return text.STATUS_STYLES.get(cell.partition(" ")[0].upper(), "") if self.is_status else ""


def reason_of(status: str, well: str) -> Column:
    """Why something has its status, unless all is well."""

    def reason(row: Row) -> str:
        return "" if row.get(status) == well else text.one_line(row.get(f"{status}_reason"))

    return Column("REASON", reason, cut=True)


def emit(line: str) -> None:
    sys.stdout.write(line + "\n")


def note(line: str) -> None:
    """Beside the result."""
    sys.stdout.flush()
    sys.stderr.write(text.harmless(line) + "\n")
    sys.stderr.flush()


def name_of(row: Row) -> str:
    return text.harmless(str(row.get("name") or row.get("id") or row.get("action") or ""))


def coloured(stream: Any = None) -> bool:
    target = stream or sys.stdout
    return bool(target.isatty()) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def to_json(value: Any, indent: int | None = None) -> str:
    """As readable as standard output can carry it."""
    readable = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return json.dumps(value, indent=indent, ensure_ascii=not readable)


def dump(value: Any, form: Format) -> None:
    if form is Format.JSON:
        emit(to_json(value, indent=2))
        return
    import yaml

    sys.stdout.write(yaml.safe_dump(value, sort_keys=False, allow_unicode=True))


def show_list(rows: Sequence[Row], columns: Sequence[Column], form: Format, empty: str) -> None:
    if form is Format.NAME:
        for row in rows:
            emit(name_of(row))
    elif form is not Format.TABLE:
        dump(list(rows), form)
    elif not rows:
        note(empty)
    else:
        now = datetime.now(UTC)
        on_terminal = sys.stdout.isatty()
        wanted = [column for column in columns if on_terminal or not column.picture]
        drawn = [(column, [column.cell(row, now) for row in rows]) for column in wanted]
        shown = [(column, cells) for column, cells in drawn if any(cells) or not column.optional]
        draw([column for column, _ in shown], list(zip(*(cells for _, cells in shown), strict=True)))


def draw(columns: Sequence[Column], cells: Sequence[Sequence[str]]) -> None:
    if not sys.stdout.isatty():
        for drawn in plain_table([column.title for column in columns], cells):
            emit(drawn)
        return
    from rich.cells import cell_len
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    widths = [
        max(map(cell_len, (column.title, *(line[index] for line in cells)))) for index, column in enumerate(columns)
    ]
    kept, room = fitting(columns, widths, console.width)
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, GAP, 0, 0))
    for index in kept:
        table.add_column(columns[index].title, justify="right" if columns[index].right else "left", overflow="fold")
    for line in cells:
        shown = [Text(line[index], style=columns[index].style_of(line[index])) for index in kept]
        for index, cell in zip(kept, shown, strict=True):
            if columns[index].cut:
                cell.truncate(room, overflow="ellipsis")
        table.add_row(*shown)
    console.print(table)


#: Between two columns.
GAP = 2
#: A reason cut shorter than this says nothing.
_LEAST_ROOM = 20


def fitting(columns: Sequence[Column], widths: Sequence[int], width: int) -> tuple[list[int], int]:
    """Which columns to keep, and how wide those that are cut may be."""
    kept = list(range(len(columns)))

    def needed(index: int) -> int:
        return min(widths[index], _LEAST_ROOM) if columns[index].cut else widths[index]

    while sum(needed(index) + GAP for index in kept) - GAP > width:
        most = max(columns[index].spare for index in kept)
        if most == 0:
            break
        kept = [index for index in kept if columns[index].spare < most]
    taken = sum(widths[index] + GAP for index in kept if not columns[index].cut)
    cuts = sum(columns[index].cut for index in kept)
    room = (width - taken) // cuts - GAP * (cuts - 1) if cuts else width
    return kept, max(room, _LEAST_ROOM)


def plain_table(titles: Sequence[str], cells: Sequence[Sequence[str]]) -> list[str]:
    lines = [titles, *cells]
    widths = [max(len(line[index]) for line in lines) for index in range(len(titles))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]


#: What people look for; the rest follows as it came.
_FIRST = ("name", "id", "status", "status_reason", "state", "state_reason", "level", "action", "type", "version")


def show_object(value: Row, form: Format, times: Sequence[str] = ()) -> None:
    """One object, every field of it, times exact."""
    if form is Format.NAME:
        emit(name_of(value))
    elif form is not Format.TABLE:
        dump(value, form)
    else:
        ordered = sorted(value.items(), key=lambda item: _FIRST.index(item[0]) if item[0] in _FIRST else len(_FIRST))
        show_fields([(key, text.exact(inner) if key in times else inner) for key, inner in ordered])


def show_fields(fields: Sequence[tuple[str, Any]]) -> None:
    shown = [(key, text.many_lines(value).split("\n")) for key, value in fields]
    width = max((len(key) for key, _ in shown), default=0)
    bold = coloured()
    for key, lines in shown:
        title = key.ljust(width)
        first = lines[0]
        if bold:
            title = f"\x1b[1m{title}\x1b[0m"
            first = painted(first, text.STATUS_STYLES.get(first, "") if key in ("status", "state", "level") else "")
        emit(f"{title}  {first}")
        for line in lines[1:]:
            emit(f"{'':{width}}  {line}")


_CODES = {"green": 32, "yellow": 33, "red": 31, "cyan": 36, "blue": 34, "magenta": 35}


def painted(words: str, style: str) -> str:
    code = _CODES.get(style)
    return f"\x1b[{code}m{words}\x1b[0m" if code else words
