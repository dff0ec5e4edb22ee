"""What can be said to an update that is under way, and when: pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from spinney.domain.rollout.model import Progress


class Wish(StrEnum):
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    ABORT = "abort"


def objection(
    wish: Wish, outputs: Mapping[str, Any], inputs: Mapping[str, Any], *, stopping: bool = False, canary: bool = False
) -> str | None:
    """Why that makes no sense to an update which shows these outputs and has these inputs; None: it does. ``stopping``: it was
    asked to stop; ``canary``: it has one."""
    if stopping:
        return "it was asked to stop, and ends when what it has begun has ended"
    state, pending = outputs.get("state"), inputs.get("wish")
    if wish is Wish.RESUME and state != Progress.PAUSED and pending != Wish.PAUSE:
        return f"it is not paused{_state(state)}"
    if wish is Wish.PROMOTE:
        if not canary:
            return "it has no canary, which an update policy of the cluster would give it"
        if state != Progress.CANARY:
            return f"its canary is not what the others wait for{_state(state)}; wait until it has come through"
    if outputs.get("rolling_back") and wish is Wish.ABORT and state != Progress.PAUSED:
        return "it is going back already"
    return None


def _state(state: Any) -> str:
    return f": it is {state}" if state else ""
