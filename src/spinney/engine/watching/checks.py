"""What one process knows of health policies. No I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from spinney.store.health_rules import Ruled

#: URLs that one process asks at a time.
_AT_A_TIME = 32


class Checks:
    """Written by the loop that reads policies, read by those that look at members."""

    def __init__(self) -> None:
        #: By cluster.
        self.ruled: Mapping[str, Ruled] = {}
        self.gate = asyncio.Semaphore(_AT_A_TIME)
