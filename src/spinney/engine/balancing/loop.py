"""Which load balancers this engine looks after, and who looks after each.

One engine at a time does, chosen by rendezvous hashing over the live sessions; while they do not agree, two may do the same.
That something has changed is seen within a quarter of a second where there are load balancers, within a second where there are
none.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from spinney.engine.balancing.keeper import Keeper
from spinney.engine.worker import Session
from spinney.store import pools
from spinney.store.pools import Pulses

#: Seconds between looks.
_TICK = 0.25
_IDLE = 1.0
#: How many times as long as a look takes the pause after it is, where that is longer.
_LEISURE = 8.0


@dataclass(frozen=True, slots=True)
class _Kept:
    keeper: Keeper
    task: asyncio.Task[None]


async def keep(session: Session) -> None:
    """Runs until cancelled. Raises: LeaseLost."""
    kept: dict[str, _Kept] = {}
    known: Pulses = {}
    clock = session.context.clock
    try:
        while True:
            began = clock.monotonic()
            found = await session.context.store.read(pools.pulses, session.id)
            pause = min(max(_TICK, (clock.monotonic() - began) * _LEISURE), _IDLE) if found else _IDLE
            await _let_go(kept, [one for one in kept if one not in found])
            for balancer_id, pulse in found.items():
                one = kept.get(balancer_id) or _begin(session, balancer_id)
                kept[balancer_id] = one
                if one.task.done():
                    one.task.result()
                if known.get(balancer_id) != pulse:
                    one.keeper.wake.set()
            known = found
            await _wait(session, pause)
    finally:
        await _let_go(kept, list(kept))


def _begin(session: Session, balancer_id: str) -> _Kept:
    keeper = Keeper(session, balancer_id)
    return _Kept(keeper, asyncio.create_task(keeper.run(), name=f"load balancer {balancer_id}"))


async def _wait(session: Session, seconds: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await session.pools.wait()
    session.pools.clear()


async def _let_go(kept: dict[str, _Kept], balancer_ids: list[str]) -> None:
    tasks = [kept.pop(balancer_id).task for balancer_id in balancer_ids]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
