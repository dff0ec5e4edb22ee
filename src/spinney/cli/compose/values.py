"""Values of Compose files: the forms it lets them have. Numbers, sizes and truth values are left to the profile's own readers.

Raises everywhere: Unfit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from spinney.cli.compose.places import Items, Part, Scalar, Spot, Table, Unfit

_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:us|ms|s|m|h))+")
_STEP = re.compile(r"([0-9]+(?:\.[0-9]+)?)(us|ms|s|m|h)")
_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def scalar(part: Part) -> Scalar:
    if not isinstance(part, Scalar):
        raise Unfit(part.at, f"one value is needed here, not a {'map' if isinstance(part, Table) else 'list'}")
    if part.value is None:
        raise Unfit(part.at, "a value is needed: give one, or leave the key out")
    return part


def text(part: Part) -> str:
    """What is written. A number that YAML spells in another way is refused rather than guessed at."""
    found = scalar(part)
    if isinstance(found.value, str):
        return found.value
    read = str(found.value).lower() if isinstance(found.value, bool) else str(found.value)
    if read != found.written:
        raise Unfit(part.at, f"{found.written} is read as {read}: put it in quotes to mean the text, or write {read}")
    return read


def whole(part: Part) -> int:
    found = scalar(part)
    written = found.written.strip()
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", written):
        raise Unfit(part.at, f"{written!r} is not allowed: a whole number")
    return int(written)


def flag(part: Part) -> bool:
    words = {"true": True, "false": False}
    found = words.get(scalar(part).written.lower())
    if found is None:
        raise Unfit(part.at, f"{scalar(part).written!r} is not allowed: true or false")
    return found


def duration(part: Part) -> float:
    """Seconds, of ``1h5m30s20ms`` and the like."""
    written = scalar(part).written.strip()
    if not _DURATION.fullmatch(written):
        raise Unfit(part.at, f"{written!r} is not allowed: a duration with units, as in 90s, 1m30s or 500ms")
    return sum(float(number) * _SECONDS[unit] for number, unit in _STEP.findall(written))


def seconds(part: Part) -> int | float:
    """The same, as a whole number where it is one."""
    found = round(duration(part), 6)
    return int(found) if found.is_integer() else found


def table(part: Part) -> Table:
    if not isinstance(part, Table):
        raise Unfit(part.at, "a map is needed here")
    return part


def items(part: Part) -> tuple[Part, ...]:
    if not isinstance(part, Items):
        raise Unfit(part.at, "a list is needed here")
    return part.items


def one_or_more(part: Part) -> tuple[Part, ...]:
    """A list, or one value instead of a list of one."""
    return part.items if isinstance(part, Items) else (scalar(part),)


def words(part: Part) -> list[str]:
    return [text(one) for one in items(part)]


def pairs(part: Part) -> Iterator[tuple[str, Scalar | None, Spot]]:
    """The entries of a map, or of a list of ``key=value``; None: a key without a value."""
    if isinstance(part, Table):
        for key, inner in part.entries.items():
            if isinstance(inner, Scalar) and inner.value is None:
                yield key, None, inner.at
            else:
                text(inner)
                yield key, scalar(inner), inner.at
        return
    for one in items(part):
        key, equals, value = text(one).partition("=")
        if not key:
            raise Unfit(one.at, f"{text(one)!r} is not allowed: KEY=VALUE, or KEY alone")
        yield key, Scalar(one.at, value, value) if equals else None, one.at
