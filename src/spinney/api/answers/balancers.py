"""Load balancers of clusters."""

from __future__ import annotations

from pydantic import Field

from spinney.api.answers.base import Answer, Id, Time
from spinney.domain.balancing.model import BalancerState, MemberState


class PoolMember(Answer):
    node_id: Id
    node_name: str | None = Field(description="Null: the node is gone, and its container goes.")
    state: MemberState = Field(strict=False)
    state_reason: str
    since: Time
    sessions: int | None = Field(description="What it has begun and not finished; null: unknown.")
    request_rate: float | None = Field(description="Per second; null: unknown.")


class ClientAddress(Answer):
    address: str
    port: int


class Balancer(Answer):
    """The load balancer of one attached policy. What is counted is of the last seconds; null is unknown, never zero."""

    id: Id
    cluster_id: Id
    policy_id: Id
    kind: str = Field(
        description="haproxy: a container of the service's own; octavia: the cloud's; empty: not known yet."
    )
    node_id: Id | None = Field(description="The node whose container it is; null: there is none.")
    state: BalancerState = Field(strict=False)
    state_reason: str
    addresses: list[ClientAddress] = Field(description="Where clients find it.")
    members: list[PoolMember]
    requests: int | None = Field(
        description="Served until measured_at; connections where requests are not understood. Null: not counted yet."
    )
    request_rate: float | None = Field(description="Requests, or connections, per second.")
    sessions: int | None = Field(description="Under way now.")
    measured_at: Time | None = Field(description="When it was last asked what it has served; null: not yet.")
    created_at: Time
    updated_at: Time | None
