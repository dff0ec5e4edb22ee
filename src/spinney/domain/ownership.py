"""Which engine looks after which host: rendezvous hashing.

When an engine joins or leaves, only the hosts it gains or loses change hands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def owner(key: str, engines: Iterable[str]) -> str | None:
    """The engine responsible for ``key``; None without engines. The same for every process that sees the same engines."""
    return max(
        engines,
        key=lambda engine: (hashlib.blake2b(f"{engine}/{key}".encode(), digest_size=8).digest(), engine),
        default=None,
    )
