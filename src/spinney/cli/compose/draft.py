"""What is asked of Spinney, put together value by value, each of which remembers where in the file it stands.

Guaranteed: two keys of the file that say the same thing of one matter agree; else both are named.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from spinney.cli.compose.places import Faults, Part, Scalar, Spot, Table

#: Keys of maps and places in lists, from the outside in.
Path = tuple[str | int, ...]


@dataclass(slots=True)
class Draft:
    faults: Faults
    _held: dict[Path, tuple[Any, Spot]] = field(default_factory=dict)

    def put(self, path: Path, value: Any, at: Spot) -> None:
        held = self._held.setdefault(path, (value, at))
        if held[0] != value:
            self.faults.add(at, f"{held[1].path} in line {held[1].line} says something else of this: give one of them")

    def put_part(self, path: Path, part: Part) -> None:
        """A value as it stands, all that is inside it included."""
        if isinstance(part, Scalar):
            self.put(path, part.value, part.at)
            return
        parts = part.entries.items() if isinstance(part, Table) else enumerate(part.items)
        self.mark(path, part.at, {} if isinstance(part, Table) else [])
        for key, inner in parts:
            self.put_part((*path, key), inner)

    def mark(self, path: Path, at: Spot, empty: Any) -> None:
        """A map or list that is there even with nothing in it."""
        self._held.setdefault(path, (empty, at))

    def has(self, path: Path) -> bool:
        return any(held[: len(path)] == path for held in self._held)

    def at(self, path: Path) -> Spot | None:
        """Where the value stands, or the innermost of those it is in."""
        for length in range(len(path), 0, -1):
            found = self._held.get(path[:length]) or self._first_below(path[:length])
            if found is not None:
                return found[1]
        return None

    def _first_below(self, path: Path) -> tuple[Any, Spot] | None:
        below = [held for key, held in self._held.items() if key[: len(path)] == path]
        return min(below, key=lambda held: held[1].line, default=None)

    def value(self, path: Path) -> Any:
        """All below a path as maps, lists and values; None: there is nothing."""
        found: dict[Path, Any] = {
            key[len(path) :]: held[0] for key, held in self._held.items() if key[: len(path)] == path
        }
        return _nested(found) if found else None


def _nested(found: dict[Path, Any]) -> Any:
    below: dict[str | int, dict[Path, Any]] = {}
    for path, value in found.items():
        if path:
            below.setdefault(path[0], {})[path[1:]] = value
    if not below:
        return found[()]
    if all(isinstance(key, int) for key in below):
        return [_nested(below[key]) for key in sorted(below)]
    return {key: _nested(inner) for key, inner in below.items()}
