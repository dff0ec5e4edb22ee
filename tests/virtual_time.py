"""An event loop on which waiting costs nothing: when everybody sleeps, the clock jumps to the first alarm."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise RuntimeError("everybody waits and no alarm is set: nothing will ever happen")
            self.loop.virtual += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.virtual = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.virtual


class VirtualClock:
    """Wall clock and monotonic clock of whatever virtual loop is running; outside of one, time stands still."""

    EPOCH = 1_800_000_000.0
    #: By how many seconds somebody has set the wall clock.
    set_by = 0.0

    def now(self) -> float:
        return self.EPOCH + self.monotonic() + self.set_by

    def monotonic(self) -> float:
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:
            return 0.0

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def run_virtually(main: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
