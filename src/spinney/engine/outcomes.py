"""From what came of a job to what is recorded: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from spinney.clock import Ids
from spinney.config import EngineSettings
from spinney.domain import runs
from spinney.domain.action import ActionKind, ActionStatus, Cause
from spinney.domain.container import Container, ContainerState
from spinney.domain.event import Event, Level
from spinney.domain.health import Ailment, diagnose
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.domain.readiness import as_columns, of_new
from spinney.domain.retry import TryAgain, after_failure
from spinney.engine import endings, launching
from spinney.engine.jobs import Job, Leftover, Task
from spinney.engine.results import (
    Adjusted,
    CalledOff,
    Fetched,
    Joined,
    Left,
    Made,
    Operated,
    Ready,
    Removed,
    Result,
    Seen,
    StillGood,
    Tried,
)
from spinney.errors import ContainerGone, HostError, HostUnreachable
from spinney.store import adjusting
from spinney.store.work import Outcome


@dataclass(frozen=True, slots=True)
class Recorder:
    """Makes outcomes; ``ids`` only names events."""

    settings: EngineSettings
    ids: Ids

    def success(self, job: Job, result: Result, now: float) -> Outcome:
        return launching.held(job, result, self._outcome(job, result, now), self.ids, now)

    def _outcome(self, job: Job, result: Result, now: float) -> Outcome:
        match result:
            case Made():
                return self._made(job, result, now)
            case Ready():
                return self._handed_over(job, result.container, now)
            case Left():
                return self._left(job, now)
            case Fetched():
                return self._end(job, ActionStatus.SUCCEEDED, "The image is there.", {}, now)
            case Tried():
                return Outcome(
                    action=job.action, status=ActionStatus.READY, reason="It answers.", ready_at=now, node=job.node
                )
            case Adjusted():
                changes = {"profile_id": job.action.inputs["new_profile_id"], "updated_at": now}
                changes |= {"status": NodeStatus.ACTIVE, "status_reason": "Changed in place."}
                return self._end(job, ActionStatus.SUCCEEDED, "Changed in place.", changes, now)
            case CalledOff():
                return self.cancelled(job, now)
            case Removed():
                return self._removed(job, result, now)
            case Seen():
                return self._seen(job, result, now)
            case Operated():
                return self._operated(job, result, now)
            case Joined():
                changes = {
                    "status": NodeStatus.ACTIVE,
                    "status_reason": "Creation succeeded.",
                    "physical_id": result.facts.engine_id,
                    "created_at": job.node.created_at or now,
                }
                if job.machine is not None and job.machine.name is not None:
                    changes["name"] = job.machine.name
                return self._end(job, ActionStatus.SUCCEEDED, "The host joined.", changes, now)
            case StillGood():
                changes = {
                    "status": NodeStatus.ACTIVE,
                    "status_reason": "The host answers.",
                    "physical_id": result.facts.engine_id,
                    ("created_at" if job.node.created_at is None else "updated_at"): now,
                }
                return self._end(job, ActionStatus.SUCCEEDED, "The host answers.", changes, now)

    def failure(self, job: Job, error: BaseException, now: float) -> Outcome:
        """Put off while it may pass, final otherwise."""
        action = job.action
        settings = self.settings
        if job.task is Task.REBOOT and isinstance(error, ContainerGone):
            # Without a physical object, whoever claims the recovery next makes the container anew.
            reason = "The container is gone; it is made anew."
            changes: dict[str, Any] = {"physical_id": None, "status_reason": reason}
            return Outcome(
                action=action, status=ActionStatus.READY, reason=reason, ready_at=now, node=job.node, changes=changes
            )
        verdict = after_failure(
            error,
            retries=action.retries,
            limit=settings.retries,
            base=settings.retry_delay,
            ceiling=settings.retry_ceiling,
            now=now,
            deadline=job.deadline,
        )
        if isinstance(verdict, TryAgain):
            return Outcome(
                action=action,
                status=ActionStatus.READY,
                reason=verdict.reason,
                ready_at=verdict.at,
                node=job.node,
                changes={} if job.task in _QUIET else {"status_reason": verdict.reason},
                events=self._put_off(job, verdict.reason, now),
            )
        if job.task is Task.ADJUST and isinstance(error, HostError) and not isinstance(error, HostUnreachable):
            if "manner" in action.inputs:
                return endings.not_in_place(action, job.node, verdict.reason, self.ids, now)
            reason = f"{verdict.reason}; the container is made anew instead."
            return Outcome(
                action=action,
                status=ActionStatus.READY,
                reason=reason,
                outputs={adjusting.REPLACE: verdict.reason},
                ready_at=now,
                node=job.node,
            )
        if job.task is Task.LEAVE:  # its successor serves, and the reaper sees to the rest
            return self._left(job, now)
        if job.task in (Task.EVICT, Task.HOST_TRY, Task.ADJUST, Task.FETCH):
            return endings.unmoved(action, job.node, verdict.reason, self.ids, now)
        if job.task in (Task.MOVE, Task.CALL_OFF):
            return replace(
                endings.unmoved(action, job.node, verdict.reason, self.ids, now),
                give_up_hold=True,
                setback_on=_blamed(job, error),
            )
        hint = ""
        if job.task is Task.DELETE:
            hint = "; delete with force to forget the node, its container is removed when the host answers again"
        reason = verdict.reason + hint
        changes = {"status": NodeStatus.ERROR, "status_reason": reason}
        if job.task is Task.CREATE:
            changes |= {"physical_id": None}
        outcome = self._end(job, ActionStatus.FAILED, reason, changes, now, release_placement=job.task is Task.CREATE)
        return replace(outcome, setback_on=_blamed(job, error))

    def _put_off(self, job: Job, reason: str, now: float) -> tuple[Event, ...]:
        """What a user waits for is told of each time."""
        if job.action.cause is not Cause.REQUEST:
            return ()
        return (endings.announcement(job.action, job.node, "error", Level.WARN, reason, self.ids, now),)

    def cancelled(self, job: Job, now: float) -> Outcome:
        return endings.cancelled(job.action, job.node, self.ids, now)

    def _made(self, job: Job, made: Made, now: float) -> Outcome:
        container = made.container
        verb = _VERBS[job.task]
        if container is None:
            reason = f"{verb} failed: the container vanished right after its start"
            gone = {"status": NodeStatus.ERROR, "status_reason": reason, "physical_id": None}
            return self._end(job, ActionStatus.FAILED, reason, gone, now, release_placement=job.task is Task.CREATE)
        changes: dict[str, Any] = {"physical_id": container.id, "data": _made_of(job, container)}
        ended = self._ended(job, container, changes, now)
        if ended is not None:
            return ended
        sick = diagnose(job.node, container)
        if made.unfit or (sick is not None and sick.ailment is Ailment.ENDED):
            said = f"; it said: {made.last_words}" if made.last_words else ""
            text = "" if sick is None else sick.text
            reason = made.unfit or f"{verb} failed right after its start: {text}{said}"
            changes |= {"status": NodeStatus.ERROR, "status_reason": reason, "updated_at": now}
            outcome = self._end(job, ActionStatus.FAILED, reason, changes, now)
            return replace(outcome, setback_on=job.host.node_id if job.host is not None else None)
        # One that was found well is left as its user wants it: stopped or paused.
        power = {"power": PowerState.RUNNING} if container.state is ContainerState.RUNNING else {}
        ready = {} if _untouched(job, container) else _readiness(job, container, now)
        if made.ready:
            ready = as_columns(True, "", now)
        reason = f"{verb} succeeded."
        moment = "created_at" if job.node.created_at is None else "updated_at"
        status = {"status": NodeStatus.ACTIVE, "status_reason": reason, "waiting_since": None, moment: now}
        return self._end(job, ActionStatus.SUCCEEDED, reason, {**changes, **power, **status, **ready}, now)

    def _ended(self, job: Job, container: Container, changes: dict[str, Any], now: float) -> Outcome | None:
        """A member of a run that is done already, however that went; None: it is at work, or no such member."""
        if runs.at_rest(job.node, container):
            kept = {**runs.shown_of(job.node.data), "updated_at": now}
            return self._end(job, ActionStatus.SUCCEEDED, "It had ended, and was stopped.", kept, now)
        ending = runs.ending_of(job.node, container, now)
        if ending is None:
            return None
        changes |= runs.ended_changes(replace(job.node, data=changes["data"]), ending, now)
        changes |= {"created_at": job.node.created_at or now, "waiting_since": None}
        return self._end(job, ActionStatus.SUCCEEDED, str(changes["status_reason"]), changes, now)

    def _handed_over(self, job: Job, container: Container, now: float) -> Outcome:
        """From now on the new container is the node's; the old one, if there is any, is what is left to be done."""
        old, home = job.node.physical_id, job.node.host_id
        ready = _readiness(job, container, now) if job.may_be_unready else as_columns(True, "", now)
        changes = {
            "physical_id": container.id,
            "data": _made_of(job, container),
            "profile_id": job.node.profile_id,
            "updated_at": now,
            "status": NodeStatus.ACTIVE,
            "status_reason": "A new container has taken over.",
            **(ready if container.state is ContainerState.RUNNING else {}),
        }
        if old is None or home is None:
            ended = self._end(job, ActionStatus.SUCCEEDED, "It has a new container.", changes, now)
            return replace(ended, arrived=True, give_up_hold=True)
        left = Leftover(home, old, job.stop_timeout, now)
        return Outcome(
            action=job.action,
            status=ActionStatus.READY,
            reason="The new container has taken over; the one before it leaves.",
            ready_at=now,
            node=job.node,
            changes=changes,
            arrived=True,
            progress={**job.action.data, **left.stored()},
        )

    def _left(self, job: Job, now: float) -> Outcome:
        reason = "Its container was replaced."
        if job.action.action is ActionKind.NODE_MOVE:
            reason = "Moved to another host."
            if job.host is not None and job.host.project == job.node.project:  # hosts of others have no names here
                came = f" from {job.previous_host.name}" if job.previous_host is not None else ""
                reason = f"Moved{came} to {job.host.name}."
        ended = self._end(job, ActionStatus.SUCCEEDED, reason, {"status_reason": reason}, now)
        return replace(ended, give_up_hold=True)

    def _removed(self, job: Job, removed: Removed, now: float) -> Outcome:
        if job.task is Task.UNDO:
            return self.cancelled(job, now)
        if job.task is Task.EVICT:
            return endings.evicted(job.action, job.node, self.ids, now)
        reason = "The container was removed."
        if removed.forgotten:
            reason = "The node was forgotten; its container is removed when its host answers again."
        return self._end(job, ActionStatus.SUCCEEDED, reason, {}, now, remove_node=True)

    def _seen(self, job: Job, seen: Seen, now: float) -> Outcome:
        sick = diagnose(job.node, seen.container)
        changes: dict[str, Any] = {"updated_at": now}
        if sick is None:
            changes |= {"status": NodeStatus.ACTIVE, "status_reason": "Check: the container is as it should be."}
            if not job.node.ready and seen.container is not None and not job.container_profile.probes:
                changes |= _readiness(job, seen.container, now)
            if job.node.status is NodeStatus.WARNING and not _was_cancelled(job.node):
                changes["status"] = NodeStatus.WARNING
        else:
            changes |= {"status": NodeStatus.ERROR, "status_reason": f"Check: {sick.text}."}
            if sick.ailment is Ailment.GONE:
                changes["physical_id"] = None
        if runs.at_rest(job.node, seen.container):
            changes |= runs.shown_of(job.node.data)
        return self._end(job, ActionStatus.SUCCEEDED, str(changes["status_reason"]), changes, now)

    def _operated(self, job: Job, operated: Operated, now: float) -> Outcome:
        operation = str(job.action.inputs["operation"])
        power = operated.power or job.node.power
        changes: dict[str, Any] = {"updated_at": now, "power": power}
        if operated.container is not None:
            changes["data"] = _data(job.node, operated.container)
            if operation != "kill" or operated.container.state is not ContainerState.RUNNING:
                changes |= _readiness(job, operated.container, now, power)
        running = operated.container is not None and operated.container.state in (
            ContainerState.RUNNING,
            ContainerState.PAUSED,
        )
        reason = f"Operation {operation} succeeded."
        changes |= {"status": NodeStatus.ACTIVE, "status_reason": reason}
        if power is not PowerState.STOPPED and not running and operation != "kill":
            reason = f"Operation {operation} was carried out, but the container does not run."
            changes |= {"status": NodeStatus.ERROR, "status_reason": reason}
        if job.action.cause is Cause.HEALING:
            changes |= _stopped_by_its_run(job.node, operated.container, changes, now)
        return self._end(job, ActionStatus.SUCCEEDED, reason, changes, now)

    def _end(
        self,
        job: Job,
        status: ActionStatus,
        reason: str,
        changes: Mapping[str, Any],
        now: float,
        *,
        remove_node: bool = False,
        release_placement: bool = False,
    ) -> Outcome:
        return endings.ended(
            job.action,
            job.node,
            status,
            reason,
            changes,
            self.ids,
            now,
            remove_node=remove_node,
            release_placement=release_placement,
        )


def _readiness(job: Job, container: Container, now: float, power: PowerState | None = None) -> dict[str, Any]:
    """Of a container that was started or looked at just now; ``power``: what its user wants of it from now on."""
    wanted = power or job.node.power
    if container.state is not ContainerState.RUNNING and wanted is not PowerState.RUNNING:
        return as_columns(False, f"its user has it {wanted.value}", now)
    found = of_new(job.container_profile.probes, container)
    return as_columns(found.ready, found.reason, now)


def _untouched(job: Job, container: Container) -> bool:
    """Whether it was looked at, found well and left alone: then its readiness is as it was."""
    return bool(job.action.inputs.get("check")) and job.node.ready and container.id == job.node.physical_id


def _stopped_by_its_run(
    node: Node, container: Container | None, changes: Mapping[str, Any], now: float
) -> dict[str, Any]:
    ending = runs.ending_of(node, container, now)
    if ending is None:
        return {}
    data = changes.get("data", node.data)
    told = replace(ending, reason=f"stopped because its run was over ({ending.reason})")
    return {**runs.ended_changes(replace(node, data=data), told, now), "status": NodeStatus.ACTIVE}


def _blamed(job: Job, error: BaseException) -> str | None:
    """The host to which a failed attempt at making a container counts; being out of reach is told by its state already."""
    making = job.task in (Task.CREATE, Task.RECREATE, Task.MOVE)
    if not making or job.host is None or isinstance(error, HostUnreachable):
        return None
    return job.host.node_id


def _was_cancelled(node: Node) -> bool:
    return "was cancelled" in node.status_reason


#: What is known of a container and not of the next one.
_OF_BEFORE = ("grants", "image", "recovery", "completion")
#: What the node shows is left as it is while they are put off.
_QUIET = (Task.MOVE, Task.LEAVE, Task.FETCH, Task.EVICT, Task.HOST_TRY, Task.ADJUST)
_VERBS: Mapping[Task, str] = {Task.CREATE: "Creation", Task.RECREATE: "Recovery", Task.REBOOT: "Restart"}


def _made_of(job: Job, container: Container) -> dict[str, Any]:
    """With what an operator's grants give it, and the image where that was pinned."""
    data = {key: value for key, value in _data(job.node, container).items() if key not in _OF_BEFORE}
    grants = list(job.container_profile.properties.grants)
    if grants:
        data["grants"] = grants
    if job.pin:
        data["image"] = container.image
    if job.action.action is ActionKind.NODE_RECOVER and container.id != job.node.physical_id:
        data["recovery"] = "RECREATE"
    return data


def _data(node: Node, container: Container) -> dict[str, Any]:
    """What the API shows of a container without asking its host."""
    data: dict[str, Any] = {
        key: value for key, value in node.data.items() if key not in ("evicted", "addresses", "ports")
    }
    if container.addresses:
        data["addresses"] = [{"network": a.network, "addr": a.addr, "version": a.version} for a in container.addresses]
    if container.ports:
        data["ports"] = [
            {"container": p.container_port, "host": p.host_port, "protocol": p.protocol, "host_ip": p.host_ip}
            for p in container.ports
        ]
    return data
