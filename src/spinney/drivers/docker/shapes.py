"""Reading JSON from a Docker engine that may be broken or hostile.

Pure. Each function returns a value of the type it promises, or raises HostBroken, never anything else. ``null`` and an
absent key are the same, as Go programs mean them to be. Sizes are bounded before this, where bodies are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import orjson

from spinney.errors import HostBroken

#: A line of a stream of JSON longer than this is nonsense.
LONGEST_LINE = 1 << 20


def decode(body: bytes, what: str) -> Any:
    try:
        return orjson.loads(body)
    except ValueError as error:
        raise HostBroken(f"the Docker engine's {what} is no JSON") from error


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _nonsense(what, "an object", value)
    return value


def sequence(value: Any, what: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise _nonsense(what, "a list", value)
    return value


def text(value: Any, what: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _nonsense(what, "text", value)
    return value


def texts(value: Any, what: str) -> dict[str, str]:
    return {key: text(one, f"{what}.{key}") for key, one in mapping(value, what).items()}


def required(value: str, what: str) -> str:
    if not value:
        raise HostBroken(f"the Docker engine's answer lacks {what}")
    return value


def integer(value: Any, what: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise _nonsense(what, "a whole number", value)
    return value


def flag(value: Any, what: str) -> bool:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise _nonsense(what, "true or false", value)
    return value


def moment(value: Any, what: str) -> float | None:
    """Seconds since the epoch; None for Go's zero time."""
    written = text(value, what)
    if not written or written.startswith("0001-"):
        return None
    try:
        return datetime.fromisoformat(written).timestamp()
    except (ValueError, OverflowError) as error:
        raise _nonsense(what, "a time", value) from error


def _nonsense(what: str, wanted: str, value: Any) -> HostBroken:
    return HostBroken(f"the Docker engine's answer has in {what} not {wanted} but {type(value).__name__}")


class Lines:
    """Cuts a stream of bytes into lines of bounded length."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            raise HostBroken(f"the Docker engine sent a line of more than {LONGEST_LINE} bytes")
        for line in lines:
            if line.strip():
                yield line

    def rest(self) -> bytes:
        """What came after the last line end."""
        return self._rest.strip()
