"""Profiles and policies, and their types."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from spinney.api.answers.base import Answer, Id, Map, Owned, Time
from spinney.domain.schema import Since


class Status(Answer):
    status: Literal["EXPERIMENTAL", "SUPPORTED", "DEPRECATED", "UNSUPPORTED"]
    since: str


class ListedType(Answer):
    name: str = Field(description="Below version 1.5 with the version behind it.")
    version: Annotated[str, Since("1.5")] = ""
    support_status: Annotated[dict[str, list[Status]], Since("1.5")] = Field(default={}, description="By version.")


class ShownType(Answer):
    name: str
    properties: Map = Field(alias="schema", description="In the API's own dialect.")
    support_status: Annotated[dict[str, list[Status]], Since("1.5")] = Field(default={}, description="By version.")


class Operation(Answer):
    description: str
    parameters: Map


class Operations(Answer):
    operations: dict[str, Operation]


class Profile(Owned):
    id: Id | None = Field(description="Null: checked, and not stored.")
    name: str
    type: str = Field(description="With its version.")
    spec: Map = Field(description="As it was given.")
    metadata: Map = Field(description="The user's own.")
    created_at: Time | None = Field(description="Null: checked, and not stored.")
    updated_at: Time | None = Field(description="Null: never.")


class Policy(Owned):
    id: Id | None = Field(description="Null: checked, and not stored.")
    name: str
    type: str = Field(description="With its version.")
    spec: Map = Field(description="As it was given.")
    data: Map = Field(description="Empty.")
    created_at: Time | None = Field(description="Null: checked, and not stored.")
    updated_at: Time | None = Field(description="Null: never.")
