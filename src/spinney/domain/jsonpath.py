"""Paths into JSON values: the part of JSONPath that names things.

``$`` may begin a path; then come ``name`` or ``.name``, ``['name']``, ``[3]``, ``[-1]``, ``*`` and ``[*]``. Filters, slices
and ``..`` are not understood, and refused rather than misread.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

_STEP = re.compile(
    r"""\.?(?P<name>[A-Za-z_][A-Za-z0-9_-]*) | \.?(?P<star>\*) | \[(?P<all>\*)\] | \[(?P<index>-?[0-9]{1,9})\]
    | \[ (?P<quote>['"]) (?P<quoted>[^'"\[\]]*) (?P=quote) \]""",
    re.VERBOSE,
)
_STEPS = 32


@dataclass(frozen=True, slots=True)
class Every:
    """All members of a list, all values of a map."""


Step = str | int | Every


def parse(path: str) -> tuple[Step, ...]:
    """Raises ValueError naming where it is not understood."""
    position = 1 if path.startswith("$") else 0
    steps: list[Step] = []
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None or len(steps) == _STEPS:
            raise ValueError(f"it is not understood from {path[position:][:40]!r} on; give names as in details.status")
        if match["index"] is not None:
            steps.append(int(match["index"]))
        elif match["star"] or match["all"]:
            steps.append(Every())
        else:
            steps.append(match["name"] or match["quoted"] or "")
        position = match.end()
    return tuple(steps)


def matches(value: Any, steps: Sequence[Step]) -> Iterator[Any]:
    """What is at the end of the path, in the order in which it stands there."""
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    if isinstance(step, Every):
        members = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        for member in members:
            yield from matches(member, rest)
    elif isinstance(step, str):
        if isinstance(value, dict) and step in value:
            yield from matches(value[step], rest)
    elif isinstance(value, list) and -len(value) <= step < len(value):
        yield from matches(value[step], rest)
