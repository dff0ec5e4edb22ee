"""Whether members are well, and whether a batch has come through: what has to be so before anything else begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spinney.domain.rollout.model import Member, Rules, Situation


def unwell(member: Member, rules: Rules, now: float) -> bool:
    """It has ended or failed, or has not become ready for as long as it may take."""
    return member.broken or (not member.ready and now - member.ready_at >= rules.ready_timeout)


def wanting(situation: Situation) -> list[Member]:
    """Those that are still to be updated, the ones out of service first. One that was tried is not tried again."""
    found = [member for member in situation.members if _wanting(member, situation)]
    return sorted(found, key=lambda member: member.serving)


def _wanting(member: Member, situation: Situation) -> bool:
    if member.under_way is not None or member.attempt is not None:
        return False
    if not member.updated:
        return True
    sick = unwell(member, situation.rules, situation.now)
    return sick and not member.excused and not member.busy


def failures(situation: Situation) -> list[Member]:
    """Those whose update has failed: at once, or in what came of it."""
    return [member for member in situation.members if _failed(member, situation)]


def _failed(member: Member, situation: Situation) -> bool:
    attempt = member.attempt
    if attempt is None or member.under_way is not None:
        return False
    if attempt.failed:
        return not (member.updated and member.ready)
    if member.excused:
        return False
    if member.repaired and attempt.batch == situation.batch:
        return True
    return not member.busy and unwell(member, situation.rules, situation.now)


def why_failed(member: Member) -> str:
    attempt = member.attempt
    if attempt is not None and attempt.failed:
        return attempt.reason
    what = "is broken" if member.broken else "did not stay well" if member.repaired else "is not ready any more"
    return f"its new container {what}" + (f": {member.ailment}" if member.ailment else "")


@dataclass(frozen=True, slots=True)
class Batch:
    """The latest one as it stands."""

    members: Sequence[Member]
    #: Some are under way, or not ready yet.
    unsettled: tuple[str, ...]
    #: The moment when the last of them came to its end, and since when all of them are ready.
    ended_at: float
    quiet_since: float


def latest(situation: Situation) -> Batch:
    members = [member for member in situation.members if _belongs(member, situation.batch)]
    bad = {member.id for member in failures(situation)}
    judged = [m for m in members if m.under_way is None and m.id not in bad and not m.excused]
    ended_at = max((m.attempt.ended_at for m in members if m.attempt is not None), default=0.0)
    return Batch(
        members,
        tuple(m.name for m in members if m.under_way is not None)
        + tuple(m.name for m in judged if m.busy or not m.ready),
        ended_at,
        max([ended_at, *(m.ready_at for m in judged if m.ready)]),
    )


def _belongs(member: Member, batch: int) -> bool:
    """What is under way belongs to it whichever batch it began in: nothing else begins before that has ended."""
    return member.under_way is not None or (member.attempt is not None and member.attempt.batch == batch)
