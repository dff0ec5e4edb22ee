"""What is answered of secrets: never what they hold."""

from __future__ import annotations

from pydantic import Field

from spinney.api.answers.base import Id, Owned, Time
from spinney.domain.secret import SecretType


class Secret(Owned):
    id: Id
    name: str
    type: SecretType = Field(strict=False)
    keys: list[str]
    registry: str | None
    reference: str | None
    version: int
    created_at: Time
    updated_at: Time | None
