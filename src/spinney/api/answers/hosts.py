"""Hosts, shares and credentials."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from spinney.api.answers.base import Answer, Id, Map, Owned, Time
from spinney.domain.credential import CredentialType
from spinney.domain.host import HelperMode, HostState


class Amount(Answer):
    cpu: float | None = Field(description="Cores.")
    memory: int | None = Field(description="Bytes.")
    disk: int | None = Field(description="Bytes.")


class Used(Amount):
    sampled_at: Time | None


class PlacedNode(Answer):
    id: Id
    name: str
    status: str


class NamedProfile(Answer):
    id: Id
    name: str


class Host(Answer):
    id: Id = Field(description="The node's.")
    name: str
    cluster_id: str
    state: HostState = Field(strict=False)
    state_reason: str
    zone: str | None
    region: str | None
    labels: dict[str, Any]
    engine: Map = Field(description="What the Docker engine says of itself.")
    helper: HelperMode = Field(strict=False)
    capacity: Amount
    reserved: Amount
    used: Used = Field(description="Null: unknown, never zero.")
    containers: int
    seen_at: Time | None
    endpoint: str = ""
    nodes: list[PlacedNode] = Field(default=[])
    profiles: list[NamedProfile] = Field(default=[])


class Share(Answer):
    cluster_id: Id
    project_id: str = Field(description="*: all projects.")
    created_at: Time


class Credential(Owned):
    id: Id
    name: str
    type: CredentialType = Field(strict=False)
    facts: Map
    warnings: list[str]
    created_at: Time
    updated_at: Time | None


class Revision(Answer):
    revision: str


class BuildInfo(Answer):
    api: Revision
    engine: Revision


class Service(Answer):
    id: Id
    host: str
    binary: str
    topic: str
    status: Literal["enabled", "disabled"]
    state: Literal["up", "down"]
    disabled_reason: str | None
    updated_at: Time
