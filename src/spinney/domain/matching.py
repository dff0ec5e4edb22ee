"""Patterns that come from outside, matched in time linear to the text.

Guaranteed: no pattern makes matching take longer than some constant times the length of the text, which Python's own ``re``
does not hold; memory per pattern is bounded. The price is that patterns cannot refer back to what they matched and cannot look
ahead or behind, which is refused with that reason. ``.`` matches no line break; a pattern is searched for anywhere in the text.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import re2

from spinney.domain.schema import NotAllowed, Rule

LONGEST = 1024
_MEMORY = 1 << 20


@dataclass(frozen=True, slots=True)
class Pattern:
    text: str
    _compiled: Any = field(repr=False, compare=False)

    def found_in(self, body: bytes) -> bool:
        return self._compiled.search(body) is not None


def compiled(text: str) -> Pattern:
    """Raises ValueError with what is wrong with the pattern, and what may be used instead."""
    if len(text) > LONGEST:
        raise ValueError(f"it has {len(text)} characters; at most {LONGEST} are allowed")
    options = re2.Options()
    options.max_mem = _MEMORY
    options.log_errors = False
    try:
        return Pattern(text, re2.compile(text.encode(), options))
    except UnicodeEncodeError:
        raise ValueError("it is no text that can be sent as UTF-8") from None
    except re2.error as error:
        raise ValueError(_explained(error)) from None


def fault(text: str) -> str | None:
    """Why a pattern cannot be used, or None."""
    try:
        compiled(text)
    except ValueError as error:
        return str(error)
    return None


def _usable(value: str) -> str:
    why = fault(value)
    if why is not None:
        raise NotAllowed(f"a regular expression that can be matched in linear time; {why}")
    return value


#: For texts of a specification.
PATTERN = Rule("a regular expression as RE2 has them, without lookahead, lookbehind and references to groups", _usable)


def _explained(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
    if "(?" in text or "escape sequence: \\" in text:
        return f"it is not supported ({text}): RE2 has no lookahead, no lookbehind and no references to groups"
    if "too large" in text or "repetition size" in text:
        return f"it takes too much memory ({text}): use smaller repetitions"
    return f"it is no regular expression ({text})"
