"""Nodes: members of clusters, each with a physical object behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class NodeStatus(StrEnum):
    INIT = "INIT"
    CREATING = "CREATING"
    ACTIVE = "ACTIVE"
    UPDATING = "UPDATING"
    DELETING = "DELETING"
    RECOVERING = "RECOVERING"
    OPERATING = "OPERATING"
    WARNING = "WARNING"
    ERROR = "ERROR"


#: A user's delete is refused in these unless forced.
TRANSIENT_STATUSES = (NodeStatus.CREATING, NodeStatus.UPDATING, NodeStatus.DELETING, NodeStatus.RECOVERING)


class PowerState(StrEnum):
    """What the node's user wants of its container; healing obeys it."""

    RUNNING = "running"
    STOPPED = "stopped"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Placement is the pair ``host_id``, ``generation``: decided once, changed only by a new decision, never redrawn.

    ``reserved_cpu`` (cores) and ``reserved_memory`` (bytes) are what this node holds of its host while ``host_id`` is set.
    """

    id: str
    name: str
    profile_id: str
    cluster_id: str = ""
    index: int = -1
    role: str = ""
    status: NodeStatus = NodeStatus.INIT
    status_reason: str = "Initializing"
    physical_id: str | None = None
    tainted: bool = False
    metadata: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    user: str = ""
    project: str = ""
    domain: str | None = None
    init_at: float = 0.0
    created_at: float | None = None
    updated_at: float | None = None
    power: PowerState = PowerState.RUNNING
    host_id: str | None = None
    generation: int = 0
    placed_at: float | None = None
    reserved_cpu: float = 0.0
    reserved_memory: int = 0
    #: Repairs in a row since the last good period, and the moment from which the latest was allowed to run.
    repairs: int = 0
    repaired_at: float | None = None
    #: Set while no host has room: the node is placed by itself as soon as one has.
    waiting_since: float | None = None
    #: Whether it may be given work: its container runs and its probes and health check say so; since when, and why not.
    ready: bool = False
    ready_at: float | None = None
    ready_reason: str = ""
    #: The stored decision that put it where it is, or says why it waits, and this node's place in it.
    decision_id: str | None = None
    decision_step: int | None = None
