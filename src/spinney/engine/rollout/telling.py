"""What is told of an update: sentences, and the outputs that the API shows. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Any

from spinney.domain.rollout import gate
from spinney.domain.rollout.model import Next
from spinney.engine.rollout.looking import Sight

_NAMED = 5


def outputs(sight: Sight, step: Next, back: str) -> dict[str, Any]:
    """How far it is. ``of``: how many batches it will have been, as far as can be told."""
    situation = sight.situation
    begun = {start.member_id for start in step.start}
    wanting = [member for member in gate.wanting(situation) if member.id not in begun]
    return {
        "total": len(situation.members),
        "done": sum(member.updated and member.under_way is None for member in situation.members),
        "failed": len(gate.failures(situation)),
        "under_way": sum(m.under_way is not None for m in situation.members) + len(step.start),
        "batch": step.batch,
        "of": step.batch + -(-len(wanting) // situation.rules.size),
        "state": step.progress.value,
        "rolling_back": bool(back),
        "reason": step.reason,
    }


def going_on(sight: Sight, step: Next, back: str) -> str:
    shown = outputs(sight, step, back)
    what = "restored" if back else "updated"
    parts = [f"{shown['done']} of {shown['total']} members are {what}"]
    if shown["under_way"]:
        parts.append(f"{shown['under_way']} under way")
    if shown["failed"]:
        parts.append(f"{shown['failed']} failed")
    of = f"Batch {step.batch} of {shown['of']}: " if step.batch else ""
    said = f"{of}{', '.join(parts)}"
    if back:
        said = f"Going back because {back}. {said}"
    return f"{said}. {step.reason}{'.' * bool(step.reason)}".strip()


def batch(sight: Sight, step: Next) -> str:
    names = {member.id: member.name for member in sight.situation.members}
    told = ", ".join(names[start.member_id] for start in step.start[:_NAMED])
    more = f" and {len(step.start) - _NAMED} more" if step.start[_NAMED:] else ""
    manners = Counter(start.manner.value for start in step.start)
    how = ", ".join(f"{count} {manner}" for manner, count in manners.items())
    return f"Batch {step.batch} begins with {told}{more} ({how})."


def done(sight: Sight, step: Next) -> str:
    count = len(sight.situation.members)
    failed = f" As many may fail as have: {step.reason}." if step.reason else ""
    return f"done: {count} node{'s' * (count != 1)}.{failed}"


def failed(sight: Sight, step: Next) -> str:
    return f"{step.reason}.{_kept(sight)}"


def cancelled(sight: Sight) -> str:
    return f"it was cancelled.{_kept(sight)}"


def went_back(because: str, step: Next) -> str:
    left = f" Not all could be restored: {step.reason}." if step.reason else ""
    return f"rolled back because {because}.{left}"


def _kept(sight: Sight) -> str:
    members = sight.situation.members
    updated = sum(member.updated for member in members)
    if not updated:
        return " Nothing was updated; the cluster keeps its profile."
    return f" {updated} of {len(members)} members have the new profile and keep it; the others, and the cluster, keep the old."
