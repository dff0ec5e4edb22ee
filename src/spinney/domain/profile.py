"""Profiles: immutable, typed specifications that nodes are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    id: str
    name: str
    type: str  # "<type>-<version>"
    spec: Mapping[str, Any]  # exactly as posted
    metadata: Mapping[str, Any]
    user: str
    project: str
    domain: str | None
    created_at: float
    updated_at: float | None = None
    #: What one node of it sets aside on its host, as when it was made; None: not a container.
    cpu: float | None = None
    memory: int | None = None
