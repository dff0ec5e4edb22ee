"""Being cancelled and failing, kept apart.

Before Python 3.13 a task group forgets a cancellation that arrives together with a child's failure. A loop that goes on after
failures would then never end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def apart(work: Coroutine[Any, Any, T]) -> T:
    """What ``work`` returns or raises. When the caller is cancelled, so is ``work``; once that has ended the caller is told."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task})
    except asyncio.CancelledError:
        while not task.done():
            task.cancel()
            try:
                await asyncio.wait({task})
            except asyncio.CancelledError:
                continue
        if not task.cancelled():
            task.exception()  # retrieved, so that it is not reported as forgotten
        raise
    return task.result()


async def whole(work: Coroutine[Any, Any, T], patience: float) -> T:
    """What ``work`` returns or raises. When the caller is cancelled, ``work`` gets so many seconds to come to its end before
    it is cancelled too: whoever cleans up then finds its effect."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        try:
            await asyncio.wait({task}, timeout=patience)
        finally:
            task.cancel()
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # retrieved, so that it is not reported as forgotten
        raise
