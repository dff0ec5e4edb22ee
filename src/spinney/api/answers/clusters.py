"""Clusters and nodes, what is attached to them, and what is known of them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from spinney.api.answers.base import Answer, Id, Map, Owned, Time
from spinney.domain.cluster import ClusterStatus
from spinney.domain.host import HostState
from spinney.domain.node import NodeStatus


class Dependents(Answer):
    """Who relies on it: of each kind only where there are some; in lists ten at most, with the number of all."""

    nodes: list[Id] = Field(default=[])
    profiles: list[Id] = Field(default=[])
    nodes_total: int = 0
    profiles_total: int = 0


class MemberCount(Answer):
    active: int = Field(description="How many are in service.")
    total: int


class Cluster(Owned):
    id: Id
    name: str
    profile_id: Id
    profile_name: str
    init_at: Time
    created_at: Time | None
    updated_at: Time | None
    min_size: int
    max_size: int = Field(description="-1: no limit of its own.")
    desired_capacity: int
    timeout: int = Field(description="Seconds that one of its actions may take.")
    status: ClusterStatus = Field(strict=False)
    status_reason: str
    metadata: Map
    data: Map
    config: Map
    dependents: Dependents
    nodes: list[Id]
    policies: list[Id] = Field(description="Ids of bindings, not of policies.")
    members: MemberCount = Field(default=MemberCount(active=0, total=0))


class SharedHost(Answer):
    name: str = Field(description="An alias.")
    state: HostState = Field(strict=False)
    zone: str | None
    region: str | None


class SharedCluster(Answer):
    """A host cluster of another project, as a project sees it that may use it."""

    id: Id
    name: str
    shared: Literal[True]
    status: ClusterStatus = Field(strict=False)
    zones: list[str]
    hosts: list[SharedHost]


class Node(Owned):
    id: Id
    name: str
    cluster_id: str = Field(description="Empty: a member of none.")
    profile_id: Id
    profile_name: str
    physical_id: str | None
    index: int = Field(description="-1: a member of no cluster.")
    role: str
    init_at: Time
    created_at: Time | None
    updated_at: Time | None
    status: NodeStatus = Field(strict=False)
    status_reason: str
    data: Map
    metadata: Map
    dependents: Dependents
    tainted: bool = False
    details: Map = Field(default={}, description="With show_details, where there is a physical object.")


class Queued(Answer):
    action: Id


class ClusterAttribute(Answer):
    id: Id
    value: Any


class ClusterPolicy(Answer):
    id: Id
    cluster_id: Id
    cluster_name: str
    policy_id: Id
    policy_name: str
    policy_type: str
    enabled: bool
    priority: int
    data: Map | None
    last_op: Time | None


class NodePreview(Answer):
    node_preview: Map
