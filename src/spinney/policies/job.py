"""Policy type ``spinney.policy.job-1.0``: a cluster whose members do a job and end.

Such a cluster wants no members of its own (its sizes are 0); its runs make them. So whatever would change how many there are,
or mend those that have ended, is refused: the number at a time is the policy's ``parallelism``. A run keeps the rules, and the
profile, that it was ordered with.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from spinney.domain.action import ActionKind
from spinney.domain.cron import Cron
from spinney.domain.run_schedule import PUNCTUAL, JobRules, Missed, Overlap, Schedule
from spinney.domain.runs import RunRules
from spinney.domain.schema import Boolean, Contradiction, Integer, SpecModel, Text, between, one_of
from spinney.domain.support import Support
from spinney.policies.base import Members, PolicyType
from spinney.policies.checking import STARTED_AGAIN, Failed, Look
from spinney.policies.values import CronExpression, TimeZone

_MONTH = 31 * 86400
_Seconds = Annotated[Integer, between(1, _MONTH, "a number of seconds")]
_Pause = Annotated[Integer, between(1, 86400, "a number of seconds")]


class BackoffPart(SpecModel):
    """How long a completion rests after a failure; twice as long after each further one."""

    initial: _Pause = Field(10, description="Seconds after the first failure.")
    ceiling: _Pause = Field(360, description="Seconds at most.")

    @model_validator(mode="after")
    def _ordered(self) -> BackoffPart:
        if self.initial > self.ceiling:
            raise Contradiction(f"{self.initial} is more than ceiling ({self.ceiling}): lower it", at=".initial")
        return self


class KeepPart(SpecModel):
    """What is kept of ended runs, with their containers, so that logs can be read."""

    runs: Annotated[Integer, between(1, 100, "a whole number")] = Field(5, description="So many runs, the latest.")
    seconds: Annotated[Integer, between(0, 366 * 86400, "a number of seconds")] = Field(
        7 * 86400, description="And none of them for longer than that after its end."
    )


class SchedulePart(SpecModel):
    """When runs begin by themselves."""

    cron: CronExpression = Field(description="When: minute, hour, day of the month, month, day of the week.")
    timezone: TimeZone = Field("UTC", description="Whose clocks are meant.")
    missed: Annotated[Text, one_of(*(one.value for one in Missed))] = Field(
        Missed.ONCE.value,
        description="What becomes of times at which nobody was there to begin a run: skip: nothing, unless the last of them "
        f"is no longer ago than the deadline, or {PUNCTUAL:g} s without one; once: one run for the latest of them; all: one "
        "for each, one after the other, 10 at most.",
    )
    overlap: Annotated[Text, one_of(*(one.value for one in Overlap))] = Field(
        Overlap.FORBID.value,
        description="What becomes of a run that is to begin while another is at work, asked for or scheduled: forbid: it is "
        "skipped, or refused; allow: it runs beside the other; replace: the other is cancelled, and it begins when the members "
        "of that one have ended.",
    )
    deadline: Annotated[Integer, between(10, _MONTH, "a number of seconds")] | None = Field(
        None, description="A run begins so many seconds after its time at the latest, or not at all."
    )

    @model_validator(mode="after")
    def _agreeing(self) -> SchedulePart:
        if self.missed == Missed.ALL and self.overlap == Overlap.REPLACE:
            raise Contradiction(
                "'all' makes no sense where each run replaces the one before (overlap): say once", at=".missed"
            )
        return self


class JobProperties(SpecModel):
    parallelism: Annotated[Integer, between(1, 1000, "a whole number")] = Field(
        1, description="Members at work at the same time, at most."
    )
    completions: Annotated[Integer, between(1, 10_000, "a whole number")] = Field(
        1, description="A run has succeeded when so many members have ended with exit code 0."
    )
    retries: Annotated[Integer, between(0, 100, "a whole number")] = Field(
        3, description="A run has failed when one completion has failed more often than that."
    )
    backoff: BackoffPart = Field(
        default_factory=BackoffPart, description="How long a completion rests after a failure."
    )
    timeout: _Seconds | None = Field(None, description="A run that is not done by then has failed. Given none: never.")
    lost_after: Annotated[Integer, between(10, 86400, "a number of seconds")] = Field(
        120,
        description="Seconds for which a host must be silent until its members are begun anew elsewhere. They may still run "
        "there beside their successors; what is left of them is stopped when the host answers again.",
    )
    keep: KeepPart = Field(default_factory=KeepPart, description="What is kept of runs that have ended.")
    schedule: SchedulePart | None = Field(
        None, description="When runs begin by themselves. Without one they are asked for, and do not overlap."
    )
    start: Boolean = Field(
        True, description="Without a schedule: whether a first run begins as soon as the policy is attached."
    )


def job_rules(properties: JobProperties) -> JobRules:
    asked = properties.schedule
    overlap = Overlap.FORBID if asked is None else Overlap(asked.overlap)
    run = RunRules(
        parallelism=properties.parallelism,
        completions=properties.completions,
        retries=properties.retries,
        initial=float(properties.backoff.initial),
        ceiling=float(properties.backoff.ceiling),
        timeout=properties.timeout,
        lost_after=float(properties.lost_after),
        beside=overlap is Overlap.ALLOW,
        deadline=None if asked is None else asked.deadline,
    )
    return JobRules(
        run=run,
        overlap=overlap,
        keep_runs=properties.keep.runs,
        keep_seconds=float(properties.keep.seconds),
        schedule=None if asked is None else Schedule(Cron(asked.cron, asked.timezone), Missed(asked.missed)),
        start=properties.start,
    )


_REFUSED = frozenset(
    {
        ActionKind.CLUSTER_SCALE_OUT,
        ActionKind.CLUSTER_SCALE_IN,
        ActionKind.CLUSTER_RESIZE,
        ActionKind.CLUSTER_ADD_NODES,
        ActionKind.CLUSTER_DEL_NODES,
        ActionKind.CLUSTER_REPLACE_NODES,
        ActionKind.CLUSTER_RECOVER,
    }
)
_WHY = (
    "its runs make the cluster's members, as many at a time as the policy's parallelism says; attach a policy with another "
    "parallelism, or begin and cancel runs"
)


def before(properties: JobProperties, look: Look) -> dict[str, object] | Failed:
    action = look.action
    if action.action in _REFUSED:
        return Failed(_WHY)
    if not action.inputs.get("new_profile_id"):
        return {}
    if look.members and not action.inputs.get("profile_only"):
        return Failed("members of runs keep their profile; update with profile_only, and the next run has the new one")
    return Failed(STARTED_AGAIN) if look.restarts() == "always" else {}


JOB = PolicyType(
    name="spinney.policy.job",
    version="1.0",
    summary="Members do a job and end: runs of so many completions, tried again when they fail, asked for or scheduled.",
    properties=JobProperties,
    support_status=(Support("EXPERIMENTAL", "2026.11"),),
    priority=50,
    members=Members.CONTAINERS,
    runs=True,
    ours=True,
    before=before,
    before_kinds=_REFUSED | {ActionKind.CLUSTER_UPDATE},
    refuses=dict.fromkeys(_REFUSED, _WHY),
    apart_from=frozenset({"spinney.policy.autoscaling"}),
)
