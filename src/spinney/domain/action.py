"""Actions: durable, resumable units of work, visible in the API.

An action is final once SUCCEEDED, FAILED or CANCELLED and then never changes again. The names of actions and statuses are
those of the Clustering API.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from spinney.domain.identity import Owner


class ActionStatus(StrEnum):
    INIT = "INIT"
    READY = "READY"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    WAITING_LIFECYCLE_COMPLETION = "WAITING_LIFECYCLE_COMPLETION"
    SUSPENDED = "SUSPENDED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


FINAL_STATUSES = (ActionStatus.SUCCEEDED, ActionStatus.FAILED, ActionStatus.CANCELLED)
LIVE_STATUSES = tuple(status for status in ActionStatus if status not in FINAL_STATUSES)


class ActionKind(StrEnum):
    """The ``action`` of an action."""

    CLUSTER_CREATE = "CLUSTER_CREATE"
    CLUSTER_DELETE = "CLUSTER_DELETE"
    CLUSTER_UPDATE = "CLUSTER_UPDATE"
    CLUSTER_ADD_NODES = "CLUSTER_ADD_NODES"
    CLUSTER_DEL_NODES = "CLUSTER_DEL_NODES"
    CLUSTER_RESIZE = "CLUSTER_RESIZE"
    CLUSTER_CHECK = "CLUSTER_CHECK"
    CLUSTER_RECOVER = "CLUSTER_RECOVER"
    CLUSTER_REPLACE_NODES = "CLUSTER_REPLACE_NODES"
    CLUSTER_SCALE_OUT = "CLUSTER_SCALE_OUT"
    CLUSTER_SCALE_IN = "CLUSTER_SCALE_IN"
    CLUSTER_ATTACH_POLICY = "CLUSTER_ATTACH_POLICY"
    CLUSTER_DETACH_POLICY = "CLUSTER_DETACH_POLICY"
    CLUSTER_UPDATE_POLICY = "CLUSTER_UPDATE_POLICY"
    CLUSTER_OPERATION = "CLUSTER_OPERATION"
    CLUSTER_REBALANCE = "CLUSTER_REBALANCE"
    #: One more run of a cluster that does a job; final as soon as the run is ordered.
    CLUSTER_RUN = "CLUSTER_RUN"
    CLUSTER_CANCEL_RUN = "CLUSTER_CANCEL_RUN"
    NODE_CREATE = "NODE_CREATE"
    NODE_DELETE = "NODE_DELETE"
    NODE_UPDATE = "NODE_UPDATE"
    NODE_JOIN = "NODE_JOIN"
    NODE_LEAVE = "NODE_LEAVE"
    NODE_CHECK = "NODE_CHECK"
    NODE_RECOVER = "NODE_RECOVER"
    NODE_OPERATION = "NODE_OPERATION"
    #: To another host, the new container first.
    NODE_MOVE = "NODE_MOVE"
    #: Its container is ended to make room; the node waits.
    NODE_EVICT = "NODE_EVICT"
    #: The image of a profile is put on its host, before anything is stopped there.
    NODE_FETCH = "NODE_FETCH"
    #: Every container of a host to other hosts.
    HOST_DRAIN = "HOST_DRAIN"
    #: Final as soon as they are asked for: nothing has to be done on any host.
    HOST_CORDON = "HOST_CORDON"
    HOST_UNCORDON = "HOST_UNCORDON"

    @property
    def on_cluster(self) -> bool:
        return self.value.startswith("CLUSTER_")

    @property
    def about_policy(self) -> bool:
        """Attaches, changes or detaches one, and leaves the members as they are."""
        return self.value.endswith("_POLICY")

    @property
    def verb(self) -> str:
        """``cluster_create`` for CLUSTER_CREATE, ``attach_policy`` for CLUSTER_ATTACH_POLICY: the API's object names."""
        if self.about_policy:
            return self.value.removeprefix("CLUSTER_").lower()
        return self.value.lower()


class Cause(StrEnum):
    REQUEST = "RPC Request"
    DERIVED = "Derived Action"
    #: It waits until somebody outside completes it.
    HOOKED = "Derived Action with Lifecycle Hook"
    #: Work of the system itself (healing); it yields to what users ask.
    HEALING = "Healing"

    @property
    def derived(self) -> bool:
        """Part of an action that tells of it."""
        return self in (Cause.DERIVED, Cause.HOOKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """Times are seconds since the epoch; ``timeout`` counts seconds from ``start_time``."""

    id: str
    name: str
    target: str
    action: ActionKind
    cause: Cause
    status: ActionStatus
    status_reason: str
    cluster_id: str = ""
    #: The action whose fan-out this is; it waits until all of its children are final.
    parent_id: str | None = None
    owner: str | None = None
    #: How often an engine has claimed it; with ``owner`` the fence of every later write.
    attempt: int = 0
    #: How often carrying it out failed and was put off.
    retries: int = 0
    #: Not claimed before.
    ready_at: float = 0.0
    start_time: float | None = None
    end_time: float | None = None
    timeout: int = 3600
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    #: Somebody asked it to stop; the engine does so at the next safe point.
    cancel_requested: bool = False
    created_at: float = 0.0
    updated_at: float | None = None
    user: str = ""
    project: str = ""
    domain: str | None = None

    @property
    def final(self) -> bool:
        return self.status in FINAL_STATUSES

    @property
    def rolling(self) -> bool:
        """It takes the members of a cluster to another profile."""
        return rolls(self.action, self.inputs)


def rolls(kind: ActionKind, inputs: Mapping[str, Any]) -> bool:
    """Whether such an action takes the members of a cluster to another profile, and lets others go on meanwhile."""
    return (
        kind is ActionKind.CLUSTER_UPDATE
        and inputs.get("new_profile_id") is not None
        and not inputs.get("profile_only", False)
    )


def action_name(kind: ActionKind, target: str, operation: str | None = None) -> str:
    """``cluster_create_1a2b3c4d``; operations carry their own name: ``node_restart_…``."""
    verb = kind.verb if operation is None else f"{kind.verb.split('_')[0]}_{operation}"
    return f"{verb}_{target[:8]}"


def queued(
    kind: ActionKind,
    target: str,
    owner: Owner,
    *,
    action_id: str,
    cause: Cause,
    now: float,
    reason: str = "Waiting for an engine.",
    operation: str | None = None,
    **fields: Any,
) -> Action:
    """An action that may be claimed at once, or from ``ready_at``; ``fields`` are further ones of Action."""
    return Action(
        id=action_id,
        name=action_name(kind, target, operation),
        target=target,
        action=kind,
        cause=cause,
        status=ActionStatus.READY,
        status_reason=reason,
        created_at=now,
        user=owner.user,
        project=owner.project,
        domain=owner.domain,
        **{"ready_at": now, **fields},
    )
