"""When to try again, and when to give up."""

from __future__ import annotations

from dataclasses import dataclass

from spinney.errors import SpinneyError


def backoff(failures: int, base: float, ceiling: float) -> float:
    """Seconds before the next try after ``failures`` (1 for the first): base, 2·base, 4·base … up to the ceiling."""
    return float(min(base * 2.0 ** min(failures - 1, 62), ceiling)) if failures > 0 else 0.0


@dataclass(frozen=True, slots=True)
class TryAgain:
    at: float
    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    reason: str


def after_failure(
    error: BaseException, *, retries: int, limit: int, base: float, ceiling: float, now: float, deadline: float
) -> TryAgain | GiveUp:
    """``retries`` counts the tries put off before this one; past ``deadline`` nothing is tried again."""
    reason = error.message if isinstance(error, SpinneyError) else f"unexpected {type(error).__name__}: {error}"
    if not (isinstance(error, SpinneyError) and error.retryable):
        return GiveUp(reason)
    at = now + backoff(retries + 1, base, ceiling)
    if retries >= limit:
        return GiveUp(f"{reason} (gave up after {retries + 1} tries)")
    if at > deadline:
        return GiveUp(f"{reason} (the action's timeout leaves no time for another try)")
    return TryAgain(at, f"{reason} (try {retries + 2} of {limit + 1} follows)")
