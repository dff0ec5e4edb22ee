"""Hosts: nodes whose physical object can run containers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from spinney.domain.alias import alias


class HostState(StrEnum):
    JOINING = "joining"
    READY = "ready"
    CORDONED = "cordoned"
    DRAINING = "draining"
    SUSPECT = "suspect"
    LOST = "lost"


class Duty(StrEnum):
    """What the operator wants of a host, whether it answers or not."""

    OPEN = "open"
    #: Nothing new is placed there.
    CORDONED = "cordoned"
    #: What is there is moved away.
    DRAINING = "draining"


#: What a host on such duty shows while it answers.
STATE_WHILE: Mapping[Duty, HostState] = {
    Duty.OPEN: HostState.READY,
    Duty.CORDONED: HostState.CORDONED,
    Duty.DRAINING: HostState.DRAINING,
}


class HelperMode(StrEnum):
    """What the host helper may do there."""

    NONE = "none"
    PLAIN = "plain"
    FULL = "full"


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What Spinney knows of one host. CPU in cores, memory and disk in bytes.

    ``cpu`` and ``memory`` are allocatable; ``reserved_*`` and ``containers`` are sums over the nodes placed here, kept
    beside them in the same transactions. #: invariant: reserved <= allocatable for every placement made by Spinney.
    ``used_*`` are decayed averages of what is measured, as of ``sampled_at``; None is unknown, never zero.
    """

    node_id: str
    endpoint: str
    name: str
    cluster_id: str
    project: str
    #: Of its node, in its cluster.
    index: int = 0
    credential: str | None = None
    state: HostState = HostState.JOINING
    state_reason: str = ""
    duty: Duty = Duty.OPEN
    duty_reason: str = ""
    zone: str | None = None
    region: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)
    cpu: float = 0.0
    memory: int = 0
    disk: int | None = None
    given: Mapping[str, Any] | None = None
    reserved_cpu: float = 0.0
    reserved_memory: int = 0
    containers: int = 0
    seen_at: float | None = None
    metrics_url: str | None = None
    helper: HelperMode = HelperMode.NONE
    used_cpu: float | None = None
    used_memory: int | None = None
    used_disk: int | None = None
    sampled_at: float | None = None

    def called_by(self, project: str) -> str:
        """Its name; before another project than its own an alias. ``project`` empty: before operators."""
        return self.name if project in ("", self.project) else alias(self.index)

    def answers_to(self, words: Collection[str], project: str) -> bool:
        """Whether one of the words means it, as people of that project write it: a name that they are not told is none."""
        return self.node_id in words or self.called_by(project) in words
