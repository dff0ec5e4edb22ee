"""Receivers: what lets something outside start one action on one cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any
from urllib.parse import urlencode

from spinney.domain.action import ActionKind

#: Actions that a receiver can start: any on a cluster that is there already.
STARTABLE = tuple(kind for kind in ActionKind if kind.on_cluster and kind is not ActionKind.CLUSTER_CREATE)


class ReceiverType(StrEnum):
    WEBHOOK = "webhook"
    #: Fed from a queue; there is no queue service to feed it.
    MESSAGE = "message"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Times are seconds since the epoch."""

    id: str
    name: str
    type: str
    cluster_id: str | None
    action: str | None
    #: Inputs of the action, where a request does not say otherwise.
    params: Mapping[str, Any] = field(default_factory=dict)
    actor: Mapping[str, Any] = field(default_factory=dict)
    channel: Mapping[str, Any] = field(default_factory=dict)
    user: str
    project: str
    domain: str | None
    created_at: float
    updated_at: float | None = None
    enabled: bool = True
    #: Whether its URL alone starts it, without a secret, as long as the deployment allows that.
    open: bool = False
    expires_at: float | None = None
    #: SHA-256 of the secret, hexadecimal; and the key of its signed form, sealed for API processes.
    secret_hash: str | None = None
    signing_key: bytes | None = field(default=None, repr=False)
    #: How often a minute it may be used, and how often it was within the minute that began then.
    rate_limit: int
    window_at: float = 0.0
    window_count: int = 0


def alarm_url(base: str, receiver_id: str, params: Mapping[str, Any], secret: str | None = None) -> str:
    """Where the receiver is started. The inputs in it are for people to read; the secret, if it is in it, is not."""
    shown = [(key, params[key]) for key in sorted(params) if key not in ("V", "secret")]
    query = [("V", "2"), *shown, *([] if secret is None else [("secret", secret)])]
    return f"{base.rstrip('/')}/v1/webhooks/{receiver_id}/trigger?{urlencode(query)}"
