"""A nudge, never the truth: losing every ring costs latency, not work."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress
from typing import Protocol

from spinney.clock import Clock


class Doorbell(Protocol):
    def ring(self) -> None: ...

    async def wait(self, timeout: float) -> None:
        """Return when somebody rang since the last ``wait`` returned, or after ``timeout`` seconds."""


class LocalDoorbell:
    """Within one process. Not for use from other threads."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()

    def ring(self) -> None:
        self._rung.set()

    async def wait(self, timeout: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._rung.wait()
        self._rung.clear()


class SqliteDoorbell(LocalDoorbell):
    """Between processes on one SQLite file: every commit of another process rings, by ``PRAGMA data_version``."""

    def __init__(self, path: str, clock: Clock, interval: float = 0.05) -> None:
        super().__init__()
        self._connection = sqlite3.connect(path, timeout=1.0, isolation_level=None)
        self._clock = clock
        self._interval = interval

    def _version(self) -> int:
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    async def watch(self) -> None:
        """Runs until cancelled."""
        seen = self._version()
        while True:
            await self._clock.sleep(self._interval)
            version = self._version()
            if version != seen:
                seen = version
                self.ring()

    def close(self) -> None:
        self._connection.close()
