"""Who is in a pool, who is to come, who finishes what it has begun: decided from rows, pure.

Guaranteed: a container is given work only while its node is ready and nobody waits for it to leave; one that is to leave is
given nothing new first, and is out once it has finished or its time is up; of a node with a new container the old one stays
until the new one is in, for a few seconds at the most; a slot is never two containers'.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from spinney.domain.balancing.model import (
    Applied,
    Candidate,
    Member,
    MemberState,
    Seen,
    Stands,
    Wish,
)

#: Seconds for which a container must have been given nothing new before it counts as finished: what was on its way then has
#: arrived.
SETTLING = 0.25
#: Seconds before somebody stops waiting at which it is taken out all the same, where that is done at once.
MARGIN = 0.5
#: Seconds for which a container waits for the one that follows it to be in.
_SUCCESSION = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """``candidates`` by node; ``busy``: those of the actions that want somebody out which are not over; ``seen``: what the load
    balancer said last; ``admits``: whether anybody may come in."""

    balancer_id: str
    cluster_id: str
    members: Sequence[Member]
    candidates: Mapping[str, Candidate]
    busy: Collection[str] = ()
    seen: Mapping[str, Seen]
    admits: bool = True
    drain_time: float = 30.0
    #: Seconds before somebody stops waiting at which it is taken out all the same.
    margin: float = MARGIN
    now: float


def decide(pool: Pool) -> tuple[Member, ...]:
    """The members as they are to be; those that are left out are forgotten."""
    kept = [after for member in pool.members if (after := _judged(pool, member)) is not None]
    known = {(member.node_id, member.physical_id) for member in kept}
    new = [
        _new(pool, candidate)
        for _, candidate in sorted(pool.candidates.items())
        if candidate.ready and pool.admits and (candidate.node_id, candidate.physical_id) not in known
    ]
    return _with_slots([*kept, *new])


def _new(pool: Pool, candidate: Candidate) -> Member:
    reached = candidate.address is not None
    return Member(
        balancer_id=pool.balancer_id,
        node_id=candidate.node_id,
        physical_id=candidate.physical_id,
        cluster_id=pool.cluster_id,
        address=candidate.address,
        port=candidate.port if reached else None,
        state=MemberState.JOINING if reached else MemberState.OUT,
        state_reason=candidate.problem,
        since=pool.now,
    )


def _judged(pool: Pool, member: Member) -> Member | None:
    member = _without_old_wish(pool, member)
    candidate = pool.candidates.get(member.node_id)
    present = candidate if candidate is not None and candidate.physical_id == member.physical_id else None
    asked = member.leave_by is not None
    if present is not None and present.ready and present.address is not None and not asked:
        if member.state is MemberState.OUT and not pool.admits:
            return None
        return _wanted_in(pool, member, present)
    if member.state is MemberState.OUT:
        if present is not None and present.ready and not asked and pool.admits:
            return replace(member, address=None, port=None, state_reason=present.problem)
        return member if asked else None
    if member.state is MemberState.DRAINING:
        return member
    if present is None and candidate is not None:
        member = replace(member, data={"former_since": pool.now, **member.data})
        if _waits_for_successor(pool, member, candidate):
            return member
    reason = "It is about to stop." if asked else _why(candidate, present)
    return replace(member, state=MemberState.DRAINING, state_reason=reason, since=pool.now)


def _without_old_wish(pool: Pool, member: Member) -> Member:
    """Whoever wanted it out is done: what becomes of it now is told by its readiness alone."""
    if member.leave_by is None or member.data.get("asked_by") in pool.busy:
        return member
    data = {key: value for key, value in member.data.items() if key != "asked_by"}
    return replace(member, leave_by=None, data=data)


def _wanted_in(pool: Pool, member: Member, present: Candidate) -> Member:
    data = {key: value for key, value in member.data.items() if key != "former_since"}
    member = replace(member, address=present.address, port=present.port, data=data)
    if member.state in (MemberState.JOINING, MemberState.IN):
        return member
    return replace(member, state=MemberState.JOINING, state_reason="", since=pool.now)


def _waits_for_successor(pool: Pool, member: Member, candidate: Candidate) -> bool:
    followed = any(
        other.node_id == member.node_id and other.physical_id == candidate.physical_id and other.state is MemberState.IN
        for other in pool.members
    )
    patient = pool.now - float(member.data["former_since"]) < _SUCCESSION
    return candidate.ready and candidate.address is not None and not followed and patient


def _why(candidate: Candidate | None, present: Candidate | None) -> str:
    if candidate is None:
        return "It has left the cluster."
    if present is None:
        return "Its node has another container."
    return present.problem if present.ready else "It is not ready."


def _with_slots(members: Sequence[Member]) -> tuple[Member, ...]:
    taken = {member.slot for member in members if member.slot is not None}
    free = (number for number in range(1, len(members) + len(taken) + 1) if number not in taken)
    return tuple(
        replace(member, slot=next(free)) if member.slot is None and member.state is not MemberState.OUT else member
        for member in members
    )


def wishes(pool: Pool, members: Iterable[Member]) -> tuple[Wish, ...]:
    """What is asked of the load balancer for them."""
    return tuple(
        Wish(member.node_id, member.physical_id, member.address or "", member.port or 0, member.slot, stands)
        for member in members
        if member.slot is not None and (stands := _stands(pool, member)) is not Stands.OUT
    )


def _stands(pool: Pool, member: Member) -> Stands:
    if member.state in (MemberState.JOINING, MemberState.IN):
        return Stands.IN
    if member.state is MemberState.OUT or _has_finished(pool, member):
        return Stands.OUT
    return Stands.DRAINING


def _has_finished(pool: Pool, member: Member) -> bool:
    seen = pool.seen.get(member.physical_id)
    drained = seen is not None and seen.stands is Stands.DRAINING and seen.sessions == 0
    quiet = drained or (seen is not None and seen.stands is Stands.OUT)
    if quiet and pool.now - member.since >= SETTLING:
        return True
    until = member.since + pool.drain_time if member.leave_by is None else member.leave_by - pool.margin
    return pool.now >= until


def applied(members: Iterable[Member], said: Applied, now: float) -> tuple[Member, ...]:
    """The members once the load balancer has said what it does."""
    return tuple(_applied(member, said.members.get(member.physical_id), now) for member in members)


def _applied(member: Member, seen: Seen | None, now: float) -> Member:
    stands = Stands.OUT if seen is None else seen.stands
    member = _with_fault(member, "" if seen is None else seen.problem)
    if member.state is MemberState.JOINING and stands is Stands.IN:
        member = replace(member, state=MemberState.IN, state_reason="", since=now)
    elif member.state is MemberState.DRAINING and stands is Stands.OUT:
        return replace(member, state=MemberState.OUT, slot=None, since=now)
    if member.state is MemberState.IN and seen is not None:
        return replace(member, state_reason="" if seen.well else "The load balancer's own check fails.")
    return member


def _with_fault(member: Member, problem: str) -> Member:
    if member.fault == problem:
        return member
    data = {key: value for key, value in member.data.items() if key != "fault"}
    return replace(member, data=data | ({"fault": problem} if problem else {}))


def in_motion(members: Iterable[Member]) -> bool:
    """Whether something is to be looked at again soon."""
    return any(member.state in (MemberState.JOINING, MemberState.DRAINING) for member in members)
