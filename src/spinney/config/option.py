"""One setting: its default and what it means."""

from __future__ import annotations

from dataclasses import field
from typing import TypeVar

T = TypeVar("T")


def option(default: T, text: str, *, least: float | None = None) -> T:
    """``least``: lower numbers are refused; None: whatever else looks at it decides."""
    return field(default=default, metadata={"help": text, "least": least})
