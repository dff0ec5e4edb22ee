"""A circuit breaker per cluster: when too many members fail at about the same time, more recoveries would only do harm.

It is *closed* as long as recovery goes on. It opens when too many different members have failed within the window; what makes
that many fail (a broken image, a page that nobody can reach) is then rather not in them. While it is open, one member at a
time is tried, and the first that is well afterwards closes it; so does that all members are well, and so does a user who asks
for recovery. Guaranteed: a member that failed before the breaker closed does not count again until it has been recovered.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from spinney.domain.health_rules import BreakerRules


@dataclass(frozen=True, slots=True)
class Breaker:
    """``failed``: members by id with the moments at which they failed last. Moments are seconds since the epoch."""

    opened_at: float | None = None
    reason: str = ""
    closed_at: float = 0.0
    failed: Mapping[str, float] = field(default_factory=dict)
    #: The member that is tried, or was tried last, since when.
    trial: str | None = None
    trial_at: float | None = None

    @property
    def open(self) -> bool:
        return self.opened_at is not None

    def stored(self) -> dict[str, Any]:
        """What there is to say; without anything else it is closed."""
        said = {
            "opened_at": self.opened_at,
            "reason": self.reason,
            "closed_at": self.closed_at,
            "failed": dict(self.failed),
            "trial": self.trial,
            "trial_at": self.trial_at,
        }
        return {"state": "open" if self.open else "closed", **{key: value for key, value in said.items() if value}}


def of_stored(data: Mapping[str, Any] | None) -> Breaker:
    return Breaker() if not data else Breaker(**{key: value for key, value in data.items() if key != "state"})


@dataclass(frozen=True, slots=True)
class Failure:
    """``news``: it was well before, or has been recovered since and failed again."""

    node_id: str
    news: bool = True


@dataclass(frozen=True, slots=True)
class Admission:
    """``opened``: it has opened just now."""

    breaker: Breaker
    admitted: frozenset[str]
    opened: bool = False


def admit(rules: BreakerRules, breaker: Breaker, failures: Collection[Failure], members: int, now: float) -> Admission:
    """Which of the members that have failed may be recovered now."""
    found = frozenset(failure.node_id for failure in failures)
    if breaker.open:
        if not trial_due(rules, breaker, now) or not found:
            return Admission(breaker, frozenset())
        tried = _next(found, breaker.trial)
        return Admission(replace(breaker, trial=tried, trial_at=now), frozenset({tried}))
    recent = {node_id: at for node_id, at in breaker.failed.items() if now - at <= rules.window}
    recent |= {failure.node_id: now for failure in failures if failure.news}
    breaker = replace(breaker, failed=recent)
    if not rules.too_many(len(recent), members):
        return Admission(breaker, found)
    reason = (
        f"{len(recent)} of {members} members failed within {rules.window:g} s; up to {rules.failed} may. "
        f"Nothing more is recovered but one member at a time, until one of them or all members are well, or somebody asks "
        f"for recovery of the cluster"
    )
    return Admission(
        replace(breaker, opened_at=now, reason=reason, trial=None, trial_at=None), frozenset(), opened=True
    )


def trial_due(rules: BreakerRules, breaker: Breaker, now: float) -> bool:
    if breaker.opened_at is None or not rules.trial_after:
        return False
    return now >= (breaker.opened_at if breaker.trial_at is None else breaker.trial_at) + rules.trial_after


def _next(found: Collection[str], last: str | None) -> str:
    """In turn, so that one which cannot be helped does not stand in the way of the others."""
    return min((one for one in found if last is not None and one > last), default=min(found))


def closed(now: float) -> Breaker:
    return Breaker(closed_at=now)
