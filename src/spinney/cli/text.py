"""Values as people read them: pure, the present time comes in as an argument.

Text from the service is made safe for a terminal here: control characters never get through.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

_CONTROL = {code: "·" for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}
_UNITS = ("B", "K", "M", "G", "T", "P")
_STEPS = ((86400, "d"), (3600, "h"), (60, "m"))

#: Status words by how they should look.
STATUS_STYLES: Mapping[str, str] = {
    **dict.fromkeys(("ACTIVE", "SUCCEEDED", "READY", "UP", "ENABLED"), "green"),
    **dict.fromkeys(("WARNING", "WARN", "CANCELLED", "SUSPECT", "CORDONED", "DRAINING", "DISABLED"), "yellow"),
    **dict.fromkeys(("ERROR", "CRITICAL", "FAILED", "LOST", "DOWN"), "red"),
    **dict.fromkeys(("CREATING", "UPDATING", "RESIZING", "DELETING", "CHECKING", "RECOVERING", "OPERATING"), "cyan"),
    **dict.fromkeys(("INIT", "RUNNING", "WAITING", "JOINING"), "cyan"),
}


def harmless(text: str) -> str:
    """Without anything a terminal would obey."""
    return text.translate(_CONTROL)


def one_line(value: Any) -> str:
    """Any value in one cell of a table; what is unknown is a dash, never a zero."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return harmless(" ".join(value.split()))
    if isinstance(value, Mapping):
        return ", ".join(f"{harmless(str(key))}={one_line(inner)}" for key, inner in value.items()) or "-"
    if isinstance(value, Sequence):
        return ", ".join(one_line(inner) for inner in value) or "-"
    return str(value)


def many_lines(value: Any) -> str:
    """Any value in full, for showing one object."""
    if isinstance(value, Mapping) and value:
        return harmless(json.dumps(value, indent=2, ensure_ascii=False))
    if isinstance(value, list) and value:
        if all(isinstance(inner, str | int | float) for inner in value):
            return "\n".join(harmless(str(inner)) for inner in value)
        return harmless(json.dumps(value, indent=2, ensure_ascii=False))
    return harmless(value) if isinstance(value, str) and value else one_line(value)


def moment(value: Any) -> datetime | None:
    """A time from the API: an ISO string, or seconds since the epoch in actions."""
    if isinstance(value, bool) or value in (None, ""):
        return None
    try:
        if isinstance(value, int | float):
            return datetime.fromtimestamp(value, UTC)
        parsed = datetime.fromisoformat(str(value))
    except (ValueError, OverflowError, OSError):
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def ago(value: Any, now: datetime) -> str:
    at = moment(value)
    if at is None:
        return one_line(value)
    seconds = int((now - at).total_seconds())
    return f"in {duration(-seconds)}" if seconds < 0 else f"{duration(seconds)} ago"


def exact(value: Any) -> str:
    at = moment(value)
    return one_line(value) if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def duration(seconds: float) -> str:
    """The largest unit and, below ten of it, the next: ``45s``, ``3m20s``, ``2d4h``."""
    rest = int(seconds)
    for index, (step, unit) in enumerate(_STEPS):
        if rest >= step:
            count, left = divmod(rest, step)
            below, name = (_STEPS[index + 1]) if index + 1 < len(_STEPS) else (1, "s")
            return f"{count}{unit}{left // below}{name}" if count < 10 and left >= below else f"{count}{unit}"
    return f"{rest}s"


def size(value: Any) -> str:
    """Bytes with one letter, by 1024."""
    if value is None:
        return "-"
    number = float(value)
    power = 0
    while abs(number) >= 1024 and power < len(_UNITS) - 1:
        number /= 1024
        power += 1
    return f"{number:.0f}{_UNITS[power]}" if number >= 10 or number == int(number) else f"{number:.1f}{_UNITS[power]}"


def cores(value: Any) -> str:
    return "-" if value is None else f"{float(value):.2f}".rstrip("0").rstrip(".")


def bar(part: float | None, whole: float | None, width: int = 10) -> str:
    """How much of something is taken. Anything taken shows, and only all of it fills the bar."""
    if part is None or not whole or whole <= 0:
        return "·" * width
    filled = _filled(part, whole, width)
    return "█" * filled + "░" * (width - filled)


def twin_bar(above: float | None, below: float | None, whole: float | None, width: int = 10) -> str:
    """Two bars in one line: the upper halves of its blocks, and the lower ones. The rest is dotted where one is unknown."""
    if not whole or whole <= 0 or (above is None and below is None):
        return "·" * width
    upper, lower = (0 if part is None else _filled(part, whole, width) for part in (above, below))
    both, longer = sorted((upper, lower))
    rest = "·" if above is None or below is None else "░"
    return "█" * both + ("▀" if upper > lower else "▄") * (longer - both) + rest * (width - longer)


def _filled(part: float, whole: float, width: int) -> int:
    share = min(max(part / whole, 0.0), 1.0)
    return max(int(share * width), 1) if share > 0 else 0


def share_of(part: float | None, whole: float | None) -> str:
    return "-" if part is None or not whole else f"{100 * part / whole:.0f}%"
