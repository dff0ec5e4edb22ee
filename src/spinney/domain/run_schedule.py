"""When runs are due: schedules, times that were missed, and runs that would overlap. Pure.

Guaranteed: a time is answered at most once as long as the clock goes forward and what ``due`` says was looked at is handed in
the next time; a clock that was set back makes nobody wait for times that were looked at too early; nothing is answered about
more than ``LOOKED_AT`` times at once, however long nobody looked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from spinney.domain.cron import Cron
from spinney.domain.runs import Run, RunRules

#: Seconds after its time at which a run without a deadline is on time.
PUNCTUAL = 60.0
LOOKED_AT = 100
#: Missed runs that are made up for, at most.
MADE_UP_FOR = 10
#: Runs of one cluster at the same time, where they may be beside each other.
BESIDE_AT_MOST = 10


class Missed(StrEnum):
    """What becomes of times at which nobody was there to begin a run."""

    SKIP = "skip"
    #: One run, for the latest of them.
    ONCE = "once"
    #: One for each, one after the other, the latest ``MADE_UP_FOR`` of them.
    ALL = "all"


class Overlap(StrEnum):
    """What becomes of a run that is to begin while another is at work."""

    FORBID = "forbid"
    ALLOW = "allow"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Schedule:
    cron: Cron
    missed: Missed = Missed.ONCE


@dataclass(frozen=True, slots=True)
class JobRules:
    """What a cluster's job policy says. Times in seconds."""

    run: RunRules = field(default_factory=RunRules)
    overlap: Overlap = Overlap.FORBID
    #: Finished runs are kept with their containers: the latest, and no longer than that.
    keep_runs: int = 5
    keep_seconds: float = 7 * 86400.0
    schedule: Schedule | None = None
    #: Without a schedule: one run as soon as it is attached.
    start: bool = True


@dataclass(frozen=True, slots=True)
class Due:
    """``start``: times for each of which a run is to begin; ``missed``: those for which none does. ``looked_at``: from which
    moment on to look the next time."""

    start: tuple[float, ...] = ()
    missed: tuple[float, ...] = ()
    looked_at: float = 0.0


def due(schedule: Schedule, deadline: float | None, looked_at: float, now: float) -> Due:
    times = schedule.cron.between(looked_at, now, LOOKED_AT) if looked_at < now else []
    if not times:
        return Due(looked_at=min(looked_at, now))
    latest = times[-1]
    in_time = [one for one in times if deadline is None or now - one <= deadline]
    if schedule.missed is Missed.ALL:
        start = in_time[-MADE_UP_FOR:]
    elif schedule.missed is Missed.ONCE:
        start = in_time[-1:]
    else:
        start = [latest] if now - latest <= (PUNCTUAL if deadline is None else deadline) else []
    return Due(tuple(start), tuple(one for one in times if one not in start), latest)


@dataclass(frozen=True, slots=True)
class Admission:
    """What becomes of a run that is to begin. ``fault``: why it must not; ``cancel``: the runs that give way to it."""

    fault: str | None = None
    cancel: tuple[Run, ...] = ()


def admit(overlap: Overlap, unended: Sequence[Run]) -> Admission:
    """``unended``: the runs of the cluster whose members may still be at work, or that have not begun."""
    if overlap is Overlap.REPLACE:
        return Admission(cancel=tuple(unended))
    if overlap is Overlap.FORBID and unended:
        numbers = ", ".join(str(one.number) for one in unended)
        return Admission(f"run {numbers} is at work, and runs of this cluster must not overlap")
    if len(unended) >= BESIDE_AT_MOST:
        return Admission(f"{len(unended)} runs are at work, and no more than {BESIDE_AT_MOST} may be at a time")
    return Admission()


def outlived(rules: JobRules, ended: Sequence[Run], now: float) -> list[Run]:
    """Those of the ended runs, newest first, that are kept no longer. Runs that never began do not push out those that did;
    the newest of all stays, because the next one is numbered after it."""
    places: Counter[bool] = Counter()
    found = []
    for run in ended:
        began = run.started_at is not None
        places[began] += 1
        old = now - (run.ended_at or now) > rules.keep_seconds
        if run is not ended[0] and (old or places[began] > rules.keep_runs):
            found.append(run)
    return found
