"""Runs: the work of clusters that do a job and end. Pure.

A run makes members, up to ``parallelism`` at a time, until ``completions`` of them have ended with exit code 0. One that fails
is tried again after a while, as a new member, until its completion has failed more often than ``retries``. What does not count
as a failure is that a member was taken away (deleted, drained) or that its host fell silent: it is begun anew at once.

What a run has to remember is small: how many completions were begun, and of those that are not done, which attempt each is in.
``decide`` is asked again and again, with what can be seen of the members. Guaranteed: asked twice with the same it answers the
same, and a member that it has counted it never looks at again. Not guaranteed: that a completion is run by one member only: one
whose host fell silent may still run there beside its successor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

from spinney.clock import iso
from spinney.domain.container import Container, ContainerState
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.domain.retry import backoff

#: Seconds before a member that is to stop is asked again: one that was being made may have come to life nevertheless.
STOP_AGAIN = 3.0
#: Under which a member says what it is, and how it ended, in its node's ``data``.
_MEMBER, _ENDING = "run", "completion"


class RunStatus(StrEnum):
    #: It begins when the one before it has ended.
    WAITING = "WAITING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    #: Its time came and it was not begun.
    SKIPPED = "SKIPPED"


#: In which a run still means to make members.
LIVE = (RunStatus.WAITING, RunStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class RunRules:
    """What a run begins with and keeps, whatever becomes of the policy. Times in seconds."""

    parallelism: int = 1
    completions: int = 1
    retries: int = 3
    #: Between a failure and the next attempt: first, and at most.
    initial: float = 10.0
    ceiling: float = 360.0
    timeout: float | None = None
    #: For how long a host has to be silent until its members are begun anew elsewhere.
    lost_after: float = 120.0
    #: It may run beside others of its cluster.
    beside: bool = False
    #: It begins so many seconds after its scheduled time at the latest.
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Try:
    """An unfinished completion. ``node_id`` None: its next attempt begins at ``at``; else, of a run that is over, it is told to
    stop again then."""

    index: int
    attempt: int = 1
    failures: int = 0
    node_id: str | None = None
    at: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """``ended_at`` is set once no member of it is left at work: some time after ``status`` has become final."""

    id: str
    cluster_id: str
    policy_id: str
    number: int
    status: RunStatus = RunStatus.WAITING
    status_reason: str = "Waiting to begin."
    #: None: somebody asked for it.
    scheduled_at: float | None = None
    created_at: float = 0.0
    started_at: float | None = None
    ended_at: float | None = None
    #: Completions that are done, and attempts that failed.
    succeeded: int = 0
    failed: int = 0
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rules(self) -> RunRules:
        return RunRules(**self.data["rules"])

    @property
    def profile_id(self) -> str:
        return str(self.data["profile_id"])

    @property
    def begun(self) -> int:
        """Completions that were begun, in the order of their indices."""
        return int(self.data["begun"])

    @property
    def open(self) -> tuple[Try, ...]:
        return tuple(Try(**one) for one in self.data["open"])


def first_data(rules: RunRules, profile_id: str) -> dict[str, Any]:
    return {"rules": asdict(rules), "profile_id": profile_id, "begun": 0, "open": []}


# --- members ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """What a member is of its run. ``completion`` counts from 0, ``attempt`` from 1."""

    number: int
    completion: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How a member's container ended. ``exit_code`` None: nobody knows."""

    exit_code: int | None
    reason: str
    ended_at: float

    @property
    def good(self) -> bool:
        return self.exit_code == 0


def member_data(place: Place) -> dict[str, Any]:
    return {_MEMBER: asdict(place)}


def place_of(data: Mapping[str, Any]) -> Place | None:
    """None: the node is no member of a run."""
    found = data.get(_MEMBER)
    return None if found is None else Place(**found)


def finished(node: Node) -> bool:
    """A member of a run that is to do nothing any more; its container is kept for its log."""
    return _MEMBER in node.data and _ENDING in node.data and node.power is PowerState.STOPPED


def shown_of(data: Mapping[str, Any]) -> dict[str, Any]:
    """What a member shows that has ended, from its node's data."""
    place, ending = Place(**data[_MEMBER]), data[_ENDING]
    which = f"Completion {place.completion} of run {place.number}, attempt {place.attempt}"
    status = NodeStatus.ACTIVE if ending["exit_code"] == 0 else NodeStatus.ERROR
    return {"status": status, "status_reason": f"{which}: {ending['reason']}."}


def environment(data: Mapping[str, Any]) -> dict[str, str]:
    """What a member's container is told about itself, from its node's data."""
    place = place_of(data)
    if place is None:
        return {}
    return {
        "SPINNEY_RUN": str(place.number),
        "SPINNEY_COMPLETION_INDEX": str(place.completion),
        "SPINNEY_ATTEMPT": str(place.attempt),
    }


def ending_of(node: Node, container: Container | None, now: float) -> Ending | None:
    """How the container of a member has ended; None: it has not, or is nobody's member's."""
    if _MEMBER not in node.data or finished(node):
        return None
    if container is None:
        return Ending(None, "its container was removed behind Spinney's back", now)
    if container.state is ContainerState.CREATED:
        return Ending(None, "its container was never started", now)
    if container.state not in (ContainerState.EXITED, ContainerState.DEAD):
        return None
    ended_at = container.finished_at or now
    if container.oom_killed:
        return Ending(
            container.exit_code or 137, "it ran out of memory and was killed (give it more in the profile)", ended_at
        )
    error = f": {container.error}" if container.error else ""
    return Ending(container.exit_code, f"exit code {container.exit_code}{error}", ended_at)


def ended_changes(node: Node, ending: Ending, now: float) -> dict[str, Any]:
    """The columns of a member's row once its container has ended: healing leaves it alone from then on."""
    told = {"exit_code": ending.exit_code, "reason": ending.reason, "ended_at": iso(ending.ended_at)}
    data = {**node.data, _ENDING: told}
    return {
        **shown_of(data),
        "power": PowerState.STOPPED,
        "data": data,
        "ready": False,
        "ready_reason": "It has ended.",
        "ready_at": now if node.ready else node.ready_at,
        "updated_at": now,
    }


def at_rest(node: Node, container: Container | None) -> bool:
    """Whether a member that has ended stays so: it may be looked at no more."""
    running = (ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING)
    return finished(node) and (container is None or container.state not in running)


class Life(StrEnum):
    #: It waits for room, is being made, or runs.
    ALIVE = "alive"
    ENDED = "ended"
    #: It could not be made.
    UNMADE = "unmade"
    #: It does not run, because its user has stopped it.
    HALTED = "halted"
    #: Its host does not answer any more.
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Seen:
    """What can be seen of a member."""

    life: Life
    exit_code: int | None = None
    reason: str = ""


def seen(node: Node, *, busy: bool, silent_for: float, lost_after: float) -> Seen:
    """``busy``: an action works on it; ``silent_for``: seconds since its host, if that is silent, last answered."""
    if finished(node):
        ending = node.data[_ENDING]
        return Seen(Life.ENDED, ending["exit_code"], str(ending["reason"]))
    if busy:
        return Seen(Life.ALIVE)
    if node.physical_id is None:
        unmade = node.status is NodeStatus.ERROR and node.waiting_since is None
        return Seen(Life.UNMADE, reason=node.status_reason.rstrip(".")) if unmade else Seen(Life.ALIVE)
    if silent_for >= lost_after:
        return Seen(Life.LOST, reason=f"its host has not answered for {lost_after:g} s")
    return Seen(Life.HALTED if node.power is PowerState.STOPPED else Life.ALIVE)


# --- deciding ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Step:
    """``run`` as it is to be stored, apart from the nodes of those in ``make``, which are still to be named."""

    run: Run
    make: tuple[Try, ...] = ()
    #: Nodes that are to be ended, whatever they are at.
    stop: tuple[str, ...] = ()
    #: Nodes that count as ended although nobody has seen them end.
    lost: tuple[str, ...] = ()


def decide(run: Run, members: Mapping[str, Seen], now: float, *, clear: bool = True) -> Step:
    """``members``: those of ``run.open`` that there still are, by node id; ``clear``: no earlier run is in the way."""
    if run.status is RunStatus.WAITING:
        due_by = run.rules.deadline
        if due_by is not None and run.scheduled_at is not None and now > run.scheduled_at + due_by:
            return Step(skipped(run, f"It could not begin within {due_by:g} s of its time.", now))
        if not clear:
            return Step(run)
        run = replace(run, status=RunStatus.RUNNING, started_at=now)
    return _running(run, members, now) if run.status is RunStatus.RUNNING else _ending(run, members, now)


def _running(run: Run, members: Mapping[str, Seen], now: float) -> Step:
    rules = run.rules
    left: list[Try] = []
    succeeded, failed, fault = run.succeeded, run.failed, ""
    lost = _lost(run, members)
    for one in run.open:
        found = members.get(one.node_id) if one.node_id is not None else None
        if one.node_id is None or (found is not None and found.life in (Life.ALIVE, Life.HALTED)):
            left.append(one)
        elif found is None or found.life is Life.LOST:
            left.append(replace(one, attempt=one.attempt + 1, node_id=None, at=now))
        elif found.life is Life.ENDED and found.exit_code == 0:
            succeeded += 1
        else:
            failed += 1
            again = replace(one, attempt=one.attempt + 1, failures=one.failures + 1, node_id=None)
            if again.failures > rules.retries:
                times = f"{again.failures} time{'s' * (again.failures != 1)}"
                fault = fault or f"Completion {one.index} failed {times}, at last: {found.reason}."
            else:
                left.append(replace(again, at=now + backoff(again.failures, rules.initial, rules.ceiling)))
    run = _with(replace(run, succeeded=succeeded, failed=failed), left)
    if not fault and not left and run.begun >= rules.completions:
        done = f"{succeeded} completion{'s' * (succeeded != 1)} done" + _failures(failed)
        return Step(replace(run, status=RunStatus.SUCCEEDED, status_reason=f"{done}.", ended_at=now), lost=lost)
    if not fault and rules.timeout is not None and run.started_at is not None and now >= run.started_at + rules.timeout:
        fault = f"It was not done within its timeout of {rules.timeout:g} s; {succeeded} of {rules.completions} were."
    if fault:
        over = _ending(replace(run, status=RunStatus.FAILED, status_reason=fault), members, now)
        return replace(over, lost=lost)
    return _going_on(run, now, lost)


def _going_on(run: Run, now: float, lost: tuple[str, ...]) -> Step:
    """Attempts that are due before completions that were never begun."""
    rules = run.rules
    free = rules.parallelism - sum(one.node_id is not None for one in run.open)
    # A clock that was set back must not make anybody wait for longer than was ever meant.
    due = [one for one in run.open if one.node_id is None and not now < one.at <= now + rules.ceiling][: max(free, 0)]
    fresh = min(max(free - len(due), 0), rules.completions - run.begun)
    new = [Try(run.begun + number) for number in range(fresh)]
    data = {**run.data, "begun": run.begun + fresh}
    run = _with(replace(run, data=data), [*run.open, *new])
    return Step(replace(run, status_reason=_progress(run, due + new)), make=(*due, *new), lost=lost)


def _ending(run: Run, members: Mapping[str, Seen], now: float) -> Step:
    """A run that is over whose members may not be."""
    left: list[Try] = []
    stop: list[str] = []
    for one in run.open:
        if one.node_id is None or one.node_id not in members or members[one.node_id].life is not Life.ALIVE:
            continue
        if now < one.at <= now + STOP_AGAIN:
            left.append(one)
        else:
            left.append(replace(one, at=now + STOP_AGAIN))
            stop.append(one.node_id)
    run = _with(run, left)
    return Step(run if left else replace(run, ended_at=now), stop=tuple(stop), lost=_lost(run, members))


def _lost(run: Run, members: Mapping[str, Seen]) -> tuple[str, ...]:
    nodes = [one.node_id for one in run.open if one.node_id is not None]
    return tuple(node for node in nodes if node in members and members[node].life is Life.LOST)


def named(run: Run, made: Mapping[int, str]) -> Run:
    """With the nodes of the attempts that were made, by completion."""
    return _with(run, [replace(one, node_id=made.get(one.index, one.node_id)) for one in run.open])


def put_off(run: Run, tries: Sequence[Try]) -> Run:
    """With these tries as they are given, instead of what it has of the same completions."""
    given = {one.index: one for one in tries}
    return _with(run, [given.get(one.index, one) for one in run.open])


def cancelled(run: Run, reason: str, now: float) -> Run:
    """One that is live; its members are ended by the steps that follow."""
    over = replace(run, status=RunStatus.CANCELLED, status_reason=reason)
    return over if any(one.node_id is not None for one in run.open) else replace(_with(over, ()), ended_at=now)


def skipped(run: Run, reason: str, now: float) -> Run:
    return replace(run, status=RunStatus.SKIPPED, status_reason=reason, ended_at=now)


def _with(run: Run, tries: Sequence[Try]) -> Run:
    return replace(run, data={**run.data, "open": [asdict(one) for one in tries]})


def _progress(run: Run, making: Sequence[Try]) -> str:
    at_work = sum(one.node_id is not None for one in run.open) + len(making)
    resting = len(run.open) - at_work
    again = f", {resting} tried again later" if resting else ""
    return f"{run.succeeded} of {run.rules.completions} done, {at_work} at work{again}{_failures(run.failed)}."


def _failures(failed: int) -> str:
    return f"; {failed} attempt{'s' * (failed != 1)} failed" if failed else ""
