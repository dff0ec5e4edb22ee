"""Receivers."""

from __future__ import annotations

from pydantic import Field

from spinney.api.answers.base import Answer, Id, Map, Owned, Time


class Channel(Answer):
    alarm_url: str = Field(description="Where it is started; with the secret in it when that was just made.")
    secret: str = Field("", description="In the answer that made it, and in no other.")


class Receiver(Owned):
    id: Id
    name: str
    type: str
    cluster_id: Id | None
    action: str | None
    params: Map
    actor: Map
    channel: Channel
    created_at: Time
    updated_at: Time | None
    enabled: bool = True
    open: bool = Field(False, description="Whether its URL alone starts it, as long as the deployment allows that.")
    rate_limit: int = Field(0, description="How often a minute it may be used.")
    expires_at: Time | None = None
