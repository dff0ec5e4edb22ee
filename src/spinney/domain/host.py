"""Hosts: nodes whose physical object can run containers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class HostState(StrEnum):
    JOINING = "joining"
    READY = "ready"
    CORDONED = "cordoned"
    DRAINING = "draining"
    SUSPECT = "suspect"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What Spinney knows of one host. CPU in cores, memory in bytes.

    ``cpu`` and ``memory`` are allocatable; ``reserved_*`` and ``containers`` are sums over the nodes placed here, kept
    beside them in the same transactions. #: invariant: reserved <= allocatable for every placement made by Spinney.
    """

    node_id: str
    endpoint: str
    name: str
    cluster_id: str
    project: str
    credential: str | None = None
    state: HostState = HostState.JOINING
    state_reason: str = ""
    zone: str | None = None
    region: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    cpu: float = 0.0
    memory: int = 0
    reserved_cpu: float = 0.0
    reserved_memory: int = 0
    containers: int = 0
    seen_at: float | None = None
