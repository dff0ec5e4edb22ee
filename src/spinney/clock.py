"""Time, chance and new ids, as things that are passed in.

Guaranteed: nothing else in Spinney reads a clock, sleeps, or draws a random number, so that a test or a simulation which
passes its own ``Clock`` and ``Ids`` decides all three. Not guaranteed: that two machines' clocks agree; leases are compared
with the database's clock alone.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
import uuid
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Wall-clock time, seconds since the epoch."""

    def monotonic(self) -> float:
        """Seconds on a clock that never steps back; only differences mean something."""

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Ids:
    """New ids and random choices from one seedable source. Not for secrets: whoever saw many could tell the next."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = random.Random(int.from_bytes(os.urandom(32)) if seed is None else seed)

    def new(self) -> str:
        """A random UUID (version 4) in its usual spelling."""
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def token(self, length: int, alphabet: str) -> str:
        return "".join(self._random.choices(alphabet, k=length))

    def fraction(self) -> float:
        """Evenly distributed in [0, 1): jitter."""
        return self._random.random()


def processor_time() -> float:
    """Seconds for which this thread has had a processor: what something costs, however long it had to wait."""
    return time.thread_time()


def iso(moment: float | None) -> str | None:
    """Seconds since the epoch as ``YYYY-MM-DDTHH:MM:SSZ``."""
    if moment is None:
        return None
    return datetime.fromtimestamp(int(moment), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
