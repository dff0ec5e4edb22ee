"""Policies: immutable, typed specifications of rules; bindings: policies attached to clusters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    id: str
    name: str
    type: str  # "<type>-<version>"
    spec: Mapping[str, Any]  # exactly as posted
    data: Mapping[str, Any] = field(default_factory=dict)
    user: str
    project: str
    domain: str | None
    created_at: float
    updated_at: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """``priority`` is that of the policy's type; lower ones come first."""

    id: str
    cluster_id: str
    policy_id: str
    enabled: bool
    priority: int
    data: Mapping[str, Any] = field(default_factory=dict)
    last_op: float | None = None


@dataclass(frozen=True, slots=True)
class HostScaling:
    """How far a host cluster may be grown for containers that wait for room, and shrunk again. Times in seconds."""

    minimum: int
    maximum: int
    #: Between two changes of its size.
    cooldown: int
    #: How long a host has to be empty before it is given back.
    idle_time: int
