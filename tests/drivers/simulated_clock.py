"""A clock whose time passes only when everybody sleeps, so that tests of minutes take no time."""

from __future__ import annotations

import asyncio
import heapq

#: Turns of the event loop that everybody else gets before time jumps to the next sleeper.
_TURNS = 5


class JumpingClock:
    def __init__(self, start: float = 1_700_000_000.0) -> None:
        self._now = start
        self._wakings: list[float] = []

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        waking = self._now + max(0.0, seconds)
        heapq.heappush(self._wakings, waking)
        try:
            while self._now < waking:
                for _ in range(_TURNS):
                    await asyncio.sleep(0)
                if self._wakings[0] == waking:
                    self._now = max(self._now, waking)
        finally:
            self._wakings.remove(waking)
            heapq.heapify(self._wakings)
