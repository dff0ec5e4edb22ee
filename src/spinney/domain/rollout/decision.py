"""What an update does next, decided from what is there: pure.

No list of members is kept: batches are cut from whoever is a member when a batch begins. Guaranteed: no member is stopped
while that would leave fewer in service than have to stay; a batch begins only when the one before it has ended, was ready for
the monitor time and the pause is over; each member is tried once; where members are restored, none that serves is touched
before those that do not serve were tried. So an update whose attempts end comes to its end, or says what holds it up. Not
guaranteed: that members stay up by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from spinney.clock import iso
from spinney.domain.drain import reasons
from spinney.domain.rollout import gate
from spinney.domain.rollout.choosing import Choice, choose, to_ask_for
from spinney.domain.rollout.gate import Batch
from spinney.domain.rollout.model import Manner, Member, Next, OnFailure, Progress, Situation

_TOLD = 3


def decide(situation: Situation) -> Next:
    if situation.paused:
        return Next(Progress.PAUSED, situation.batch, situation.paused)
    return _tripped(situation) or _go_on(situation)


def asking(situation: Situation) -> list[str]:
    """The members for whose new containers room should be looked for before it is decided."""
    if situation.paused or _tripped(situation) is not None:
        return []
    wanting = gate.wanting(situation)
    return to_ask_for(situation, wanting, min(situation.rules.size, len(wanting)))


def _tripped(situation: Situation) -> Next | None:
    """More have failed than may; a canary may not fail at all."""
    rules = situation.rules
    failed = gate.failures(situation)
    trial = rules.canary > 0 and not situation.promoted
    if not failed or rules.on_failure is OnFailure.CONTINUE or (len(failed) <= rules.tolerated and not trial):
        return None
    reason = f"{len(failed)} of {len(situation.members)} members failed{' as the canary' * trial}: {_whys(failed)}"
    return _give_up(situation, reason)


def _give_up(situation: Situation, reason: str) -> Next:
    batch = situation.batch
    under_way = sum(member.under_way is not None for member in situation.members)
    match situation.rules.on_failure:
        case OnFailure.ROLLBACK:
            return Next(Progress.TURNING, batch, reason)
        case OnFailure.PAUSE:
            return Next(Progress.PAUSED, batch, reason)
    if under_way:
        return Next(Progress.UPDATING, batch, f"{reason}; it ends when the {under_way} under way have ended")
    return Next(Progress.FAILED, batch, reason)


def _whys(failed: Sequence[Member]) -> str:
    told = "; ".join(f"{member.name}: {gate.why_failed(member)}" for member in failed[:_TOLD])
    return told + (f"; and {len(failed) - _TOLD} more" if failed[_TOLD:] else "")


def _go_on(situation: Situation) -> Next:
    wanting = gate.wanting(situation)
    batch = gate.latest(situation)
    if situation.restoring:
        mended = _mend(situation, wanting)
        if mended is not None:
            return mended
    return _within(situation, batch, wanting) or _between(situation, batch, wanting)


def _mend(situation: Situation, wanting: Sequence[Member]) -> Next | None:
    """Those that serve nobody come back first, all at once: there is nothing to lose. None: none of them can, or is."""
    number = max(situation.batch, 1)
    down = [member for member in wanting if not member.serving and not member.excused]
    chosen = choose(situation, down, len(down))
    if chosen.start:
        return Next(Progress.UPDATING, number, "Those out of service are restored first", tuple(chosen.start))
    if any(m.under_way is Manner.REPLACE and not m.excused for m in situation.members):
        return Next(Progress.UPDATING, number, "Those out of service are restored first")
    return None


def _within(situation: Situation, batch: Batch, wanting: Sequence[Member]) -> Next | None:
    """The latest batch goes on, or is watched; None: it has passed."""
    watched_until = batch.quiet_since + situation.rules.monitor
    if not batch.members:
        return None
    chosen = choose(situation, wanting, min(situation.planned - len(batch.members), _left(situation)))
    number = situation.batch
    if chosen.start or batch.unsettled:
        return Next(Progress.UPDATING, number, _waiting(batch), tuple(chosen.start), tuple(chosen.held))
    if situation.now >= watched_until:
        return None
    said = f"Batch {number} has to stay ready until {iso(watched_until)}"
    return Next(Progress.WATCHING, number, said, until=watched_until)


def _between(situation: Situation, batch: Batch, wanting: Sequence[Member]) -> Next:
    rules, number = situation.rules, situation.batch
    promoted = situation.promoted
    if rules.canary and not promoted and number and (_left(situation) <= 0 or not wanting):
        passed = batch.quiet_since + rules.monitor
        until = None if rules.promote_after is None else passed + rules.promote_after
        if until is None or situation.now < until:
            how = "until it is promoted" if until is None else f"until it is promoted, or until {iso(until)}"
            return Next(Progress.CANARY, number, f"The canary is updated; the others wait {how}", until=until)
        promoted = True
    if not wanting:
        return _ended(situation)
    rested = batch.ended_at + rules.pause
    if batch.members and situation.now < rested:
        return Next(
            Progress.RESTING, number, f"The next batch begins at {iso(rested)}", until=rested, promoted=promoted
        )
    slots = rules.size if promoted else _left(situation)
    chosen = choose(situation, wanting, slots)
    if chosen.start:
        start, held, planned = tuple(chosen.start), tuple(chosen.held), min(slots, len(wanting))
        return Next(Progress.UPDATING, number + 1, "", start, held, promoted=promoted, planned=planned)
    return _held(situation, chosen, promoted)


def _held(situation: Situation, chosen: Choice, promoted: bool) -> Next:
    said = reasons(chosen.held)
    since = situation.now if situation.held_since is None else situation.held_since
    patience = situation.rules.patience
    if situation.now - since >= patience:
        return _give_up(situation, f"nothing could begin for {patience:.0f} s: {said}")
    return Next(
        Progress.HELD, situation.batch, said, held=tuple(chosen.held), until=since + patience, promoted=promoted
    )


def _ended(situation: Situation) -> Next:
    failed = gate.failures(situation)
    if not failed:
        return Next(Progress.DONE, situation.batch)
    reason = f"{len(failed)} of {len(situation.members)} members failed: {_whys(failed)}"
    good = len(failed) <= situation.rules.tolerated
    return Next(Progress.DONE if good else Progress.FAILED, situation.batch, reason)


def _left(situation: Situation) -> int:
    """How many a batch may have. Until it is promoted, no more than make up the rest of the canary."""
    rules = situation.rules
    if not rules.canary or situation.promoted:
        return rules.size
    tried = sum(m.under_way is not None or m.attempt is not None for m in situation.members)
    return min(rules.size, rules.canary - tried)


def advanced(situation: Situation, step: Next) -> Situation:
    """The situation as it is remembered after the step; what becomes of its members is for others to say."""
    new = step.batch > situation.batch
    return replace(
        situation,
        batch=step.batch,
        planned=step.planned if new else situation.planned,
        promoted=situation.promoted or step.promoted,
    )


def _waiting(batch: Batch) -> str:
    names = batch.unsettled
    more = f" and {len(names) - _TOLD} more" if names[_TOLD:] else ""
    return f"Waiting for {', '.join(names[:_TOLD])}{more}" if names else ""
