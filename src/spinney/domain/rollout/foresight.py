"""What an update would do if all goes well: the very decisions that carry it out, asked one after the other."""

from __future__ import annotations

from dataclasses import replace

from spinney.domain.rollout.decision import decide
from spinney.domain.rollout.model import Attempt, Member, Next, Progress, Situation, Start


def foresee(situation: Situation) -> tuple[tuple[tuple[Start, ...], ...], Next]:
    """Batch by batch who is updated and how, and the decision after which there is nothing more to do.

    Each is taken to become ready at once, and to leave as much room as it has taken.
    """
    batches: dict[int, list[Start]] = {}
    while True:
        step = decide(situation)
        batches.setdefault(step.batch, []).extend(step.start)
        if not step.start and step.until is None and step.progress is not Progress.CANARY:
            break
        if not step.start and step.progress is Progress.HELD:
            break
        now = situation.now if step.until is None else max(step.until, situation.now)
        done = {one.member_id for one in step.start}
        situation = replace(
            situation,
            members=[_updated(m, step.batch, now) if m.id in done else m for m in situation.members],
            now=now,
            batch=step.batch,
            promoted=situation.promoted or step.promoted or step.progress is Progress.CANARY,
        )
    return tuple(tuple(batch) for _, batch in sorted(batches.items()) if batch), step


def _updated(member: Member, batch: int, now: float) -> Member:
    idle = bool(member.excused)
    return replace(
        member, updated=True, broken=False, ready=not idle, serving=not idle, ready_at=now, attempt=Attempt(batch, now)
    )
