"""Revisions: what a cluster's members were to be made from, numbered in the order in which that was wanted.

A number is given when an update is asked for, so that it can be named while the update goes on, and never again. The cluster
is *at* a revision once its update has reached its end; one whose update failed, was stopped or rolled back stays in the list
with that reason, and can be rolled back to when it is named, but is never chosen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FIRST = "created"
UPDATE = "update"


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    cluster_id: str
    number: int
    profile_id: str
    #: The action that brought it; None: the cluster was made with it.
    action_id: str | None = None
    reason: str = FIRST
    created_at: float = 0.0
    #: None: not yet, or it never came to that.
    reached_at: float | None = None


def rollback_to(number: int) -> str:
    """The reason of a revision that restores an earlier one."""
    return f"rollback to {number}"


def not_reached(reason: str, why: str) -> str:
    return f"{reason}; not reached: {why}"


def earlier(revisions: Sequence[Revision], current: int, *, strays: bool) -> Revision | None:
    """Which one a rollback restores that names none; None: there is none.

    ``strays``: some members are not made from the cluster's profile, because an update did not come to its end. Then it is the
    present revision, which all of them were made from before; otherwise the latest before it that was reached.
    """
    reached = [one for one in revisions if one.reached_at is not None]
    chosen = [one for one in reached if (one.number == current if strays else one.number < current)]
    return max(chosen, key=lambda one: one.number, default=None)


def expendable(revisions: Sequence[Revision], current: int, keep: int) -> list[int]:
    """The numbers of those to forget: of the reached and of the others the latest ``keep`` stay, and the current one always."""
    latest = sorted(revisions, key=lambda one: one.number, reverse=True)
    old = [one for reached in (True, False) for one in _of(latest, reached)[keep:]]
    return sorted(one.number for one in old if one.number != current)


def _of(revisions: Sequence[Revision], reached: bool) -> list[Revision]:
    return [one for one in revisions if (one.reached_at is not None) is reached]
