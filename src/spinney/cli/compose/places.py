"""The parts of a file, each of which knows its place, and the faults found in them.

Guaranteed: faults come out in the order of the file, each with its line; the same fault is told once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Spot:
    """``path`` as in ``services.web.ports[0]``; ``line`` counts from 1."""

    file: str
    line: int
    path: str = ""

    def key(self, name: str, line: int | None = None) -> Spot:
        return Spot(self.file, self.line if line is None else line, f"{self.path}.{name}" if self.path else name)

    def item(self, index: int, line: int | None = None) -> Spot:
        return Spot(self.file, self.line if line is None else line, f"{self.path}[{index}]")

    def says(self, words: str) -> str:
        return f"{self.file}:{self.line}: {f'{self.path}: ' if self.path else ''}{words}"


class Unfit(Exception):
    """One value cannot be as it is; ``says`` follows its path."""

    def __init__(self, at: Spot, says: str) -> None:
        super().__init__(says)
        self.at = at
        self.says = says


@dataclass(frozen=True, slots=True)
class Scalar:
    """``written``: how it stands in the file, variables put in."""

    at: Spot
    value: str | int | float | bool | None
    written: str


@dataclass(frozen=True, slots=True)
class Table:
    at: Spot
    entries: Mapping[str, Part]


@dataclass(frozen=True, slots=True)
class Items:
    at: Spot
    items: tuple[Part, ...]


Part = Scalar | Table | Items
#: Text with variables put in.
Substitute = Callable[[str, Spot], str]


def is_null(part: Part) -> bool:
    return isinstance(part, Scalar) and part.value is None


def plain(part: Part) -> Any:
    """The value without its places."""
    if isinstance(part, Table):
        return {key: plain(inner) for key, inner in part.entries.items()}
    return [plain(inner) for inner in part.items] if isinstance(part, Items) else part.value


@dataclass(slots=True)
class Faults:
    """``notes`` are what should be known of a file that can be used all the same."""

    found: dict[str, Spot] = field(default_factory=dict)
    notes: dict[str, Spot] = field(default_factory=dict)

    def add(self, at: Spot, says: str) -> None:
        self.found.setdefault(at.says(says), at)

    def note(self, at: Spot, says: str) -> None:
        self.notes.setdefault(at.says(says), at)

    def lines(self) -> list[str]:
        return _in_order(self.found)

    def noted(self) -> list[str]:
        return _in_order(self.notes)

    @contextmanager
    def caught(self) -> Iterator[None]:
        """What does not fit within the block is noted, and the rest of the file goes on being read."""
        try:
            yield
        except Unfit as unfit:
            self.add(unfit.at, unfit.says)


def _in_order(told: Mapping[str, Spot]) -> list[str]:
    files = list(dict.fromkeys(at.file for at in told.values()))
    return sorted(told, key=lambda says: (files.index(told[says].file), told[says].line))
