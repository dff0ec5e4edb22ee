"""One step of a cluster's runs, within one transaction: what is due begins, what goes on is carried on, what is old goes.

Guaranteed: for one scheduled time there is one run at most, and what a run has counted is in its row in the transaction that
orders what follows from it. So whoever takes the next step, in whatever process, goes on from there. A step that finds nothing
to do writes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection

from spinney.clock import Ids, iso
from spinney.domain import run_schedule
from spinney.domain import runs as domain
from spinney.domain.event import Level
from spinney.domain.quota import Amounts
from spinney.domain.run_schedule import Due, JobRules, Overlap, admit, due, outlived
from spinney.domain.runs import LIVE, Ending, Life, Run, RunStatus, Try
from spinney.engine.runs.scene import Scene
from spinney.store import bindings, placements, runs, status
from spinney.store.bindings import JobBinding
from spinney.store.runs import Member

#: Seconds until an attempt that a limit has held up is looked at again.
_HELD_UP = 5.0
#: The event, how bad it is, and what the cluster says of it.
_TOLD = {
    RunStatus.RUNNING: ("RUN_STARTED", Level.INFO, "has begun"),
    RunStatus.SUCCEEDED: ("RUN_SUCCEEDED", Level.INFO, "has succeeded"),
    RunStatus.FAILED: ("RUN_FAILED", Level.ERROR, "has failed"),
    RunStatus.CANCELLED: ("RUN_CANCELLED", Level.WARN, "was cancelled"),
    RunStatus.SKIPPED: ("RUN_SKIPPED", Level.WARN, "was skipped"),
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What a step has led to: something to claim, or room on some host."""

    ordered: bool = False
    room: bool = False


def step(connection: Connection, cluster_id: str, max_nodes: int, limits: Amounts, ids: Ids, now: float) -> Taken:
    cluster = runs.held(connection, cluster_id)
    if cluster is None:
        return Taken()
    scene = Scene(connection, cluster, max_nodes, limits, ids, now)
    job = bindings.job_of(connection, cluster_id)
    if job is not None:
        _begin_what_is_due(scene, job)
    carry_on(scene)
    if job is not None:
        _forget_what_is_old(scene, job.rules)
    return Taken(scene.ordered, scene.room)


def carry_on(scene: Scene) -> None:
    """Every run that has not ended, one step."""
    earlier: list[Run] = []
    for run in runs.unended(scene.connection, [scene.cluster.id]).get(scene.cluster.id, []):
        run = _advance(scene, run, clear=run.rules.beside or not earlier)
        if run.ended_at is None:
            earlier.append(run)


# --- beginning --------------------------------------------------------------------------------------------------------


def order(scene: Scene, rules: JobRules, policy_id: str, scheduled_at: float | None, said: str) -> Run:
    """A run that begins as soon as no other is in its way."""
    run = Run(
        id=scene.ids.new(),
        cluster_id=scene.cluster.id,
        policy_id=policy_id,
        number=runs.next_number(scene.connection, scene.cluster.id),
        status_reason=said,
        scheduled_at=scheduled_at,
        created_at=scene.now,
        data=domain.first_data(rules.run, scene.cluster.profile_id),
    )
    runs.insert(scene.connection, run)
    return run


def give_way(scene: Scene, unended: tuple[Run, ...], reason: str) -> None:
    """Cancel those of the runs that are live."""
    for run in unended:
        if run.status in LIVE:
            settle(scene, run, domain.cancelled(run, reason, scene.now))


def _begin_what_is_due(scene: Scene, job: JobBinding) -> None:
    """What comes while the policy is disabled is not missed: nobody wanted it."""
    found = looked_at(job, scene.now)
    if found is None:
        return
    bindings.stamp(scene.connection, scene.cluster.id, [job.policy_id], found.looked_at)
    if not job.enabled:
        return
    if job.looked_at is None and job.rules.schedule is None and job.rules.start and not _at_work(scene, job.policy_id):
        order(scene, job.rules, job.policy_id, None, "Its policy was attached.")
    known = runs.known_times(scene.connection, scene.cluster.id, [*found.start, *found.missed])
    _tell_missed(scene, found, known)
    start = [moment for moment in found.start if moment not in known]
    if start:
        _begin(scene, job, start)


def _at_work(scene: Scene, policy_id: str) -> bool:
    """Whether somebody was faster, and has asked for a run of this policy."""
    unended = runs.unended(scene.connection, [scene.cluster.id]).get(scene.cluster.id, ())
    return any(run.policy_id == policy_id for run in unended)


def looked_at(job: JobBinding, now: float) -> Due | None:
    """None: there is nothing new since it was looked at the last time."""
    schedule = job.rules.schedule
    if job.looked_at is None:
        return Due(looked_at=now) if job.enabled else None
    if schedule is None:
        return None
    found = due(schedule, job.rules.run.deadline, job.looked_at, now)
    return None if found.looked_at == job.looked_at else found


def _tell_missed(scene: Scene, found: Due, known: set[float]) -> None:
    missed = [moment for moment in found.missed if moment not in known]
    if missed:
        least = "at least " if len(found.missed) + len(found.start) >= run_schedule.LOOKED_AT else ""
        times = f"{least}{len(missed)} scheduled time{'s' * (len(missed) != 1)}"
        reason = f"Nobody was there to begin a run: {times}, from {iso(missed[0])} to {iso(missed[-1])}."
        scene.tell("RUN_MISSED", Level.WARN, reason)


def _begin(scene: Scene, job: JobBinding, start: list[float]) -> None:
    """Those that were missed and are made up for wait for each other, unless they may be beside each other."""
    unended = runs.unended(scene.connection, [scene.cluster.id]).get(scene.cluster.id, [])
    admission = admit(job.rules.overlap, unended)
    for moment in start:
        run = order(scene, job.rules, job.policy_id, moment, "Its time has come.")
        if admission.fault is not None:
            settle(scene, run, domain.skipped(run, f"{admission.fault[0].upper()}{admission.fault[1:]}.", scene.now))
        else:
            give_way(scene, admission.cancel, f"Run {run.number} takes its place.")
            unended.append(run)
            if job.rules.overlap is Overlap.ALLOW:
                admission = admit(job.rules.overlap, unended)


# --- carrying on ------------------------------------------------------------------------------------------------------


def _advance(scene: Scene, run: Run, *, clear: bool) -> Run:
    members = members_of(scene, run)
    found = domain.decide(run, {i: one.seen(run) for i, one in members.items()}, scene.now, clear=clear)
    after = found.run
    if found.make:
        made, fault = scene.make(run, found.make)
        after = domain.named(after, made)
        if fault is not None:
            after = _held_up(after, [one for one in found.make if one.index not in made], fault, scene.now)
    for node_id in found.lost:
        gone = members[node_id]
        runs.end(scene.connection, gone.node, Ending(None, gone.seen(run).reason, scene.now), scene.now)
    idle = (Life.ENDED, Life.LOST) if after.status in LIVE else (Life.ENDED, Life.LOST, Life.HALTED)
    over = [one.node for one in members.values() if one.seen(run).life in idle]
    scene.room |= placements.relinquish(scene.connection, over)
    if found.stop:
        scene.stop([members[i].node for i in found.stop], f"Run {run.number} is over: {after.status_reason}")
    settle(scene, run, after)
    return after


def members_of(scene: Scene, run: Run) -> dict[str, Member]:
    return runs.members(scene.connection, [one.node_id for one in run.open if one.node_id is not None], scene.now)


def _held_up(run: Run, tries: list[Try], fault: str, now: float) -> Run:
    later = [replace(one, at=now + _HELD_UP) for one in tries]
    return replace(domain.put_off(run, later), status_reason=f"{run.status_reason} More cannot be made: {fault}.")


def settle(scene: Scene, before: Run, after: Run) -> None:
    """Store what has become of a run, and tell where that is news."""
    if after == before:
        return
    runs.store(scene.connection, before, after)
    if after.status is not before.status:
        kind, level, happened = _TOLD[after.status]
        scene.tell(kind, level, f"Run {after.number}: {after.status_reason}", after)
        status.refresh(scene.connection, [scene.cluster.id], f"run {after.number} {happened}")


# --- forgetting -------------------------------------------------------------------------------------------------------


def _forget_what_is_old(scene: Scene, rules: JobRules) -> None:
    known = runs.of_cluster(scene.connection, scene.cluster.id)
    gone = outlived(rules, [run for run in known if run.ended_at is not None], scene.now)
    if not gone:
        return
    runs.remove(scene.connection, gone)
    kept = {run.number for run in known} - {run.number for run in gone}
    places = [(node, domain.place_of(node.data)) for node in runs.all_members(scene.connection, scene.cluster.id)]
    scene.remove([node for node, place in places if place is not None and place.number not in kept])
