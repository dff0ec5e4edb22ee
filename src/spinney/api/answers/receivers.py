"""Receivers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from spinney.api.answers.base import Answer, Id, Map, Owned, Time
from spinney.domain.schema import Since


class Channel(Answer):
    alarm_url: str = Field(description="Where it is started; with the secret in it when that was just made.")
    secret: Annotated[str, Since("spinney 1.0")] = Field("", description="In the answer that made it, and in no other.")


class Receiver(Owned):
    id: Id
    name: str
    type: str
    cluster_id: Id | None = Field(description="Null: of type message, of which there are none.")
    action: str | None
    params: Map = Field(description="Inputs of the action.")
    actor: Map = Field(description="Kept, without effect.")
    channel: Channel
    created_at: Time
    updated_at: Time | None = Field(description="Null: never.")
    enabled: Annotated[bool, Since("spinney 1.0")] = True
    open: Annotated[bool, Since("spinney 1.0")] = Field(
        False, description="Whether its URL alone starts it, as long as the deployment allows that."
    )
    rate_limit: Annotated[int, Since("spinney 1.0")] = Field(0, description="How often a minute it may be used.")
    expires_at: Annotated[Time | None, Since("spinney 1.0")] = Field(None, description="Null: never.")
