"""What a policy looks at when it is asked before an action, and what it may answer.

An answer holds the entries of the action's ``data`` that the policy sets; the keys are the Clustering API's (``creation``,
``deletion``, ``update``, ``hooks``). A check is pure: what it chooses is stored with the action before anything is done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spinney.domain import sizing
from spinney.domain.action import Action, ActionKind
from spinney.domain.cluster import Cluster
from spinney.domain.member import Member


@dataclass(frozen=True, slots=True)
class Look:
    """``action`` carries the data that policies before this one have set; ``last_op`` is of this policy's binding."""

    cluster: Cluster
    action: Action
    members: Sequence[Member]
    #: The greatest number of nodes a cluster may have.
    limit: int
    now: float
    last_op: float | None = None
    #: Looks up the restart_policy of the profile that an update is to; None: that has none.
    restarts: Callable[[], str | None] = lambda: None

    @property
    def creation(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.action.data.get("creation") or {}
        return found

    @property
    def deletion(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.action.data.get("deletion") or {}
        return found

    @property
    def count(self) -> int | None:
        """Of the request itself."""
        asked = self.action.inputs.get("count")
        return None if asked is None else int(asked)


@dataclass(frozen=True, slots=True)
class Failed:
    """The action must not be carried out."""

    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """By how many members the action changes the cluster; one of the two is 0."""

    more: int = 0
    fewer: int = 0


#: Why runs cannot have containers of a profile with restart_policy always.
STARTED_AGAIN = (
    "containers of the cluster's profile are started again whenever they have ended (restart_policy always): give it a profile "
    "with restart_policy none or on-failure"
)

Check = Callable[[Any, Look], Mapping[str, Any] | Failed]


def change(look: Look) -> Change | Failed:
    """What policies before this one have said, else what the request asks for."""
    if "count" in look.creation:
        return Change(more=int(look.creation["count"]))
    if "count" in look.deletion:
        return Change(fewer=int(look.deletion["count"]))
    kind = look.action.action
    if kind is ActionKind.CLUSTER_RESIZE:
        present = len(look.members)
        sizes = sizing.resize(look.cluster, look.action.inputs, current=present, max_nodes=look.limit)
        if isinstance(sizes, str):
            return Failed(sizes)
        by = sizes.desired_capacity - present
        return Change(more=max(by, 0), fewer=max(-by, 0))
    count = 1 if look.count is None else look.count
    return Change(fewer=count) if kind is ActionKind.CLUSTER_SCALE_IN else Change(more=count)
