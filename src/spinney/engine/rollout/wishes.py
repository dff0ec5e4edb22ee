"""What people wish of an update that is under way: written into the inputs of its action, heeded at its next step. Pure."""

from __future__ import annotations

from dataclasses import replace

from spinney.domain.action import Action
from spinney.engine.rollout.looking import Progressing

ASKED = "It was paused by request; resume the update to go on, or abort it to go back"


def heed(action: Action, progress: Progressing, now: float) -> Progressing:
    """What is remembered from now on. A wish counts once; the same one is another if it was wished at another moment."""
    wish = action.inputs.get("wish")
    wished = (wish, action.inputs.get("wished_at"))
    if wish is None or wished == progress.heeded:
        return progress
    progress = replace(progress, heeded=wished)
    match wish:
        case "pause":
            return replace(progress, paused=progress.paused or ASKED)
        case "resume":  # whoever failed has another try
            return replace(progress, paused="", since=now)
        case "promote":
            return replace(progress, promoted=True, paused="")
        case "abort":
            return turned(progress, "it was aborted", now)
    return progress


def turned(progress: Progressing, because: str, now: float) -> Progressing:
    """Everything goes back. What goes back already goes on."""
    if progress.back:
        return replace(progress, paused="")
    return replace(progress, back=because, since=now, paused="", held_since=None)
