"""Clusters: sets of nodes of one profile type, with sizes and a status that is computed, never set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from spinney.domain.action import ActionKind
from spinney.domain.node import NodeStatus
from spinney.domain.schema import to_int


class ClusterStatus(StrEnum):
    INIT = "INIT"
    CREATING = "CREATING"
    ACTIVE = "ACTIVE"
    UPDATING = "UPDATING"
    RESIZING = "RESIZING"
    DELETING = "DELETING"
    CHECKING = "CHECKING"
    RECOVERING = "RECOVERING"
    OPERATING = "OPERATING"
    WARNING = "WARNING"
    ERROR = "ERROR"
    CRITICAL = "CRITICAL"


#: A user's delete is refused in these unless forced.
TRANSIENT_STATUSES = (
    ClusterStatus.CREATING,
    ClusterStatus.UPDATING,
    ClusterStatus.DELETING,
    ClusterStatus.RECOVERING,
)

#: What a cluster shows while an action runs on it. Actions not listed leave its status as it was.
STATUS_WHILE: Mapping[ActionKind, ClusterStatus] = {
    ActionKind.CLUSTER_CREATE: ClusterStatus.CREATING,
    ActionKind.CLUSTER_UPDATE: ClusterStatus.UPDATING,
    ActionKind.CLUSTER_RESIZE: ClusterStatus.RESIZING,
    ActionKind.CLUSTER_SCALE_OUT: ClusterStatus.RESIZING,
    ActionKind.CLUSTER_SCALE_IN: ClusterStatus.RESIZING,
    ActionKind.CLUSTER_CHECK: ClusterStatus.CHECKING,
    ActionKind.CLUSTER_RECOVER: ClusterStatus.RECOVERING,
    ActionKind.CLUSTER_OPERATION: ClusterStatus.OPERATING,
    ActionKind.CLUSTER_DELETE: ClusterStatus.DELETING,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Sizes count nodes; ``max_size`` -1 means no limit; ``timeout`` is in seconds."""

    id: str
    name: str
    profile_id: str
    min_size: int = 0
    max_size: int = -1
    desired_capacity: int = 0
    timeout: int = 3600
    status: ClusterStatus = ClusterStatus.INIT
    status_reason: str = "Initializing"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    next_index: int = 1
    #: The number of its present revision; 0: it has none yet.
    revision: int = 0
    user: str = ""
    project: str = ""
    domain: str | None = None
    init_at: float = 0.0
    created_at: float | None = None
    updated_at: float | None = None


def evaluate(cluster: Cluster, statuses: Mapping[NodeStatus, int], because: str = "") -> tuple[ClusterStatus, str]:
    """Status and reason of a cluster on which no action runs, from how many members are in which status.

    ``because`` names what led to the evaluation and goes first into the reason.
    """
    active = statuses.get(NodeStatus.ACTIVE, 0)
    prefix = f"{because}: " if because else ""
    if active < cluster.min_size:
        return ClusterStatus.ERROR, f"{prefix}{active} active nodes are fewer than min_size {cluster.min_size}"
    if active < cluster.desired_capacity:
        return (
            ClusterStatus.WARNING,
            f"{prefix}{active} active nodes are fewer than desired_capacity {cluster.desired_capacity}",
        )
    if cluster.max_size < 0 or active <= cluster.max_size:
        return ClusterStatus.ACTIVE, f"{prefix}{active} active nodes meet desired_capacity {cluster.desired_capacity}"
    return ClusterStatus.WARNING, f"{prefix}{active} active nodes are more than max_size {cluster.max_size}"


def priority_of(config: Mapping[str, Any]) -> int:
    """How important a cluster's members are to its owner (``config`` key ``spinney.priority``); 0 where it does not say."""
    return to_int(config.get("spinney.priority", 0))


def self_healing(cluster: Cluster, default: bool) -> bool:
    """Whether members that fail are repaired without being asked (``config`` key ``spinney.self_healing``)."""
    value = cluster.config.get("spinney.self_healing", default)
    return value if isinstance(value, bool) else str(value).strip().lower() in {"1", "t", "true", "on", "y", "yes"}
