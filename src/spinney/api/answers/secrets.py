"""What is answered of secrets: never what they hold."""

from __future__ import annotations

from pydantic import Field

from spinney.api.answers.base import Id, Owned, Time
from spinney.domain.secret import SecretType


class Secret(Owned):
    id: Id
    name: str
    type: SecretType = Field(strict=False)
    keys: list[str] = Field(description="Under which it has values.")
    registry: str | None = Field(description="Of type registry: which one.")
    reference: str | None = Field(description="Where Barbican keeps it; null: it is kept here.")
    version: int = Field(description="Counts the updates.")
    created_at: Time
    updated_at: Time | None = Field(description="Null: never.")
