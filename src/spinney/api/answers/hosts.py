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
    sampled_at: Time | None = Field(description="Null: never measured.")


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
    cluster_id: str = Field(description="Empty: in no host cluster.")
    state: HostState = Field(strict=False)
    state_reason: str
    zone: str | None
    region: str | None
    labels: dict[str, Any] = Field(description="As its profile has them.")
    engine: Map = Field(description="What the Docker engine says of itself.")
    helper: HelperMode = Field(strict=False, description="How the host helper runs there.")
    capacity: Amount = Field(description="What may be reserved.")
    reserved: Amount = Field(description="By containers placed there.")
    used: Used = Field(description="Null: unknown, never zero.")
    containers: int = Field(description="Ours, placed there.")
    seen_at: Time | None = Field(description="When it last answered; null: never.")
    endpoint: str = Field("", description="For operators alone.")
    nodes: list[PlacedNode] = Field(default=[], description="Containers placed there, in the answer about one host.")
    profiles: list[NamedProfile] = Field(default=[], description="Profiles that name it, in the answer about one host.")


class Share(Answer):
    cluster_id: Id
    project_id: str = Field(description="*: all projects.")
    created_at: Time


class Credential(Owned):
    id: Id
    name: str
    type: CredentialType = Field(strict=False)
    facts: Map = Field(description="What may be shown of it, by type: who a certificate is for, until when.")
    warnings: list[str] = Field(description="What should be seen to.")
    created_at: Time
    updated_at: Time | None = Field(description="Null: never.")


class Built(Answer):
    revision: str


class BuildInfo(Answer):
    api: Built
    engine: Built


class Service(Answer):
    id: Id = Field(description="Of the engine process.")
    host: str = Field(description="Its machine.")
    binary: str = Field(description="As Senlin called it.")
    topic: str = Field(description="As Senlin had it.")
    status: Literal["enabled", "disabled"]
    state: Literal["up", "down"]
    disabled_reason: str | None = Field(description="Null: it is not disabled.")
    updated_at: Time = Field(description="When it last gave a sign of life.")
