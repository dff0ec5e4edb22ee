"""Whether a policy can be attached to a cluster, or enabled on it: decided from facts, alike when a cluster is made with
policies and when one is attached later.

Not decided here: that a policy which is attached already needs nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from spinney.policies.base import Members, PolicyType
from spinney.policies.checking import STARTED_AGAIN
from spinney.policies.merge import conflict
from spinney.policies.registry import ValidatedPolicy

_FOR = {Members.CONTAINERS: "clusters of containers", Members.HOSTS: "host clusters"}


@dataclass(frozen=True, slots=True)
class Attached:
    """A policy on a cluster, or about to be."""

    policy_id: str
    name: str
    policy: ValidatedPolicy
    enabled: bool = True
    last_op: float | None = None

    @property
    def data(self) -> dict[str, Any]:
        """What a binding of it shows."""
        shown = self.policy.kind.binding_data
        if shown is None:
            return {}
        name, data = shown
        return {name: {"version": self.policy.kind.version, "data": dict(data(self.policy.properties))}}

    def remark(self, others: Iterable[Attached]) -> str:
        """What whoever attaches it beside the others should know; empty: nothing."""
        remark, advice = self.policy.kind.remark, self.policy.kind.advice
        told = "" if remark is None else remark(self.policy.properties)
        advised = "" if advice is None else advice(self.policy.properties, [other.type for other in others])
        return " ".join(text for text in (told, advised) if text)

    @property
    def type(self) -> str:
        return self.policy.kind.name_version


@dataclass(frozen=True, slots=True)
class Target:
    """The cluster. ``members``: what its nodes are; None: neither containers nor hosts. ``max_size`` -1 means no limit."""

    profile_type: str
    members: Members | None
    min_size: int = 0
    max_size: int = -1
    desired_capacity: int = 0
    #: Looks up the restart_policy of its profile; None: that has none.
    restarts: Callable[[], str | None] = lambda: None
    #: Counts its members that no run has made.
    strangers: Callable[[], int] = lambda: 0


def hindrance(new: Attached, target: Target, others: Sequence[Attached]) -> str | None:
    """Why the policy cannot be attached beside the others; None: it can."""
    kind = new.policy.kind
    twin = next((other for other in others if other.type == new.type), None)
    if kind.singleton and twin is not None:
        return (
            f"policy '{new.name}' cannot be attached: a cluster has at most one policy of type {new.type}, and "
            f"'{twin.name}' ({twin.policy_id}) is attached; detach that first"
        )
    stranger = next((other for other in others if _apart(kind, other.policy.kind)), None)
    if stranger is not None:
        return (
            f"policy '{new.name}' cannot be attached: a policy of type {new.type} does not stand beside one of type "
            f"{stranger.type}, and '{stranger.name}' ({stranger.policy_id}) is attached; detach that first, or take another "
            f"cluster"
        )
    if kind.members is not None and kind.members is not target.members:
        return (
            f"policy '{new.name}' cannot be attached: its type {new.type} is for {_FOR[kind.members]}, and this cluster's "
            f"profile type is {target.profile_type}; attach it to another cluster"
        )
    unfit = _unfit(new, target)
    if unfit is not None:
        return f"policy '{new.name}' cannot be attached: {unfit}"
    return contradiction(new, others) if new.enabled else None


def enabling(present: Attached, target: Target, others: Sequence[Attached]) -> str | None:
    """Why a policy that is attached cannot be enabled; None: it can. The cluster may have changed since it was attached."""
    unfit = _unfit(present, target)
    if unfit is not None:
        return f"policy '{present.name}' cannot be enabled: {unfit}"
    return contradiction(present, others)


def _unfit(new: Attached, target: Target) -> str | None:
    kind = new.policy.kind
    unfit = None if kind.unfit is None else kind.unfit(new.policy.properties, target.min_size, target.max_size)
    return unfit or (_unfit_for_runs(target) if kind.runs else None)


def _apart(one: PolicyType, other: PolicyType) -> bool:
    return other.name in one.apart_from or one.name in other.apart_from


def _unfit_for_runs(target: Target) -> str | None:
    if target.min_size or target.desired_capacity:
        return (
            f"its runs make the members, and the cluster wants members of its own (min_size {target.min_size}, "
            f"desired_capacity {target.desired_capacity}): resize it to 0 first"
        )
    if target.max_size >= 0:
        return (
            f"members of runs that have ended would count for the cluster's max_size ({target.max_size}): set it to -1"
        )
    strangers = target.strangers()
    if strangers:
        are = "are" if strangers > 1 else "is"
        return (
            f"its runs make the members, and {strangers} of the cluster's members {are} of no run: resize it to 0 first"
        )
    if target.restarts() == "always":
        return STARTED_AGAIN
    return None


def contradiction(new: Attached, others: Iterable[Attached]) -> str | None:
    """Why the policy cannot be enabled beside the others that are; None: it can."""
    enabled = [other.policy for other in others if other.enabled and other.policy_id != new.policy_id]
    asked = [one for policy in (*enabled, new.policy) if (one := policy.contribution()) is not None]
    fault = conflict(asked)
    return (
        None
        if fault is None
        else f"policy '{new.name}' cannot be enabled: {fault}; disable or detach one of them first"
    )
