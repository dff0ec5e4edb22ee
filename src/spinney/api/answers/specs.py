"""Profiles and policies, and their types."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from spinney.api.answers.base import Answer, Id, Map, Owned, Time


class Status(Answer):
    status: Literal["EXPERIMENTAL", "SUPPORTED", "DEPRECATED", "UNSUPPORTED"]
    since: str


class ListedType(Answer):
    name: str = Field(description="Below version 1.5 with the version behind it.")
    version: str = ""
    support_status: dict[str, list[Status]] = Field(default={})


class ShownType(Answer):
    name: str
    properties: Map = Field(alias="schema", description="In the API's own dialect.")
    support_status: dict[str, list[Status]] = Field(default={})


class Operation(Answer):
    description: str
    parameters: Map


class Operations(Answer):
    operations: dict[str, Operation]


class Profile(Owned):
    id: Id | None = Field(description="Null: checked, and not stored.")
    name: str
    type: str
    spec: Map
    metadata: Map
    created_at: Time | None
    updated_at: Time | None


class Policy(Owned):
    id: Id | None = Field(description="Null: checked, and not stored.")
    name: str
    type: str
    spec: Map
    data: Map
    created_at: Time | None
    updated_at: Time | None
