"""What is told of how far a type of profile or policy is supported."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Support:
    status: str  # EXPERIMENTAL | SUPPORTED | DEPRECATED | UNSUPPORTED
    since: str  # YYYY.MM


def entries(found: Iterable[Support]) -> list[dict[str, str]]:
    """As the API shows them."""
    return [{"status": item.status, "since": item.since} for item in found]
