"""Waiting for something of the machine, which rings no bell."""

from __future__ import annotations

import time
from collections.abc import Callable

_STEP = 0.02


def until(what: str, holds: Callable[[], object], *, seconds: float = 30.0) -> None:
    """Returns as soon as ``holds`` says so; raises TimeoutError when it does not in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds:g} s for {what}")
        time.sleep(_STEP)
