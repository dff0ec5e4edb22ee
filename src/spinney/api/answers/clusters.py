"""Clusters and nodes, what is attached to them, and what is known of them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from spinney.api.answers.base import Answer, Id, Map, Owned, Time
from spinney.domain.cluster import ClusterStatus
from spinney.domain.host import HostState
from spinney.domain.node import NodeStatus
from spinney.domain.schema import Since


class Dependents(Answer):
    """Who relies on it: of each kind only where there are some; in lists ten at most, with the number of all."""

    nodes: list[Id] = Field(default=[])
    profiles: list[Id] = Field(default=[])
    nodes_total: int = Field(0, description="Where nodes has not all of them.")
    profiles_total: int = Field(0, description="Where profiles has not all of them.")


class MemberCount(Answer):
    active: int = Field(description="How many are ACTIVE.")
    ready: int = Field(0, description="How many may be given work.")
    total: int


class Cluster(Owned):
    id: Id
    name: str
    profile_id: Id
    profile_name: str = Field(description="Unknown: the profile is gone.")
    init_at: Time = Field(description="When it was asked for.")
    created_at: Time | None = Field(description="Null: not yet.")
    updated_at: Time | None = Field(description="Null: never.")
    min_size: int
    max_size: int = Field(description="-1: no limit of its own.")
    desired_capacity: int
    timeout: int = Field(description="Seconds that one of its actions may take.")
    status: ClusterStatus = Field(strict=False, description="Follows from its nodes, its sizes and its running action.")
    status_reason: str
    metadata: Map = Field(description="The user's own.")
    data: Map = Field(description="What the service remembers of it.")
    config: Map = Field(description="How it behaves.")
    dependents: Dependents = Field(description="Of a host cluster.")
    nodes: list[Id] = Field(description="Ids of its members.")
    policies: list[Id] = Field(description="Ids of bindings, not of policies.")
    members: Annotated[MemberCount, Since("spinney 1.0")] = Field(default=MemberCount(active=0, total=0))
    revision: Annotated[int, Since("spinney 1.0")] = Field(0, description="The number of the one that it is at.")


class Revision(Answer):
    number: int = Field(description="Given once.")
    profile_id: Id
    profile_name: str = Field(description="Unknown: the profile is gone.")
    image: str | None = Field(description="As the profile names it; null: it makes no containers, or is gone.")
    digest: str | None = Field(description="What that was resolved to; null: it was not.")
    reason: str = Field(description="What brought it; where it was not reached, why not.")
    created_at: Time = Field(description="When it was asked for.")
    reached_at: Time | None = Field(description="When all members were made from it; null: not yet, or never.")
    current: bool = Field(description="Whether the cluster is at it.")
    action_id: Id | None = Field(description="What brought it; null: the cluster was made with it.")


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
    profile_name: str = Field(description="Unknown: the profile is gone.")
    physical_id: str | None = Field(
        description="Id of its container, or of a host's Docker engine; null: there is none."
    )
    index: int = Field(description="-1: a member of no cluster.")
    role: str = Field(description="The user's own word.")
    init_at: Time = Field(description="When it was asked for.")
    created_at: Time | None = Field(description="Null: not yet.")
    updated_at: Time | None = Field(description="Null: never.")
    status: NodeStatus = Field(strict=False)
    status_reason: str
    data: Map = Field(
        description="placement: its host; power: stopped or paused by its user; readiness: whether its container may be given "
        "work, since when, and why not."
    )
    metadata: Map = Field(description="The user's own.")
    dependents: Dependents = Field(description="Of a host.")
    tainted: Annotated[bool, Since("1.13")] = Field(False, description="Whether it is the first to go.")
    details: Map = Field(default={}, description="With show_details, where there is a physical object.")


class Queued(Answer):
    action: Id = Field(description="Its id.")


class ClusterAttribute(Answer):
    id: Id = Field(description="The member's.")
    value: Any = Field(description="The first that the path finds; a member in which it finds none is left out.")


class ClusterPolicy(Answer):
    id: Id = Field(description="The binding's.")
    cluster_id: Id
    cluster_name: str
    policy_id: Id
    policy_name: str
    policy_type: str
    enabled: bool
    priority: int = Field(description="Those with a lower one are asked first.")
    data: Map | None = Field(description="What the policy remembers.")
    last_op: Time | None = Field(description="When it last had an effect; null: never.")


class NodePreview(Answer):
    node_preview: Map = Field(description="type, version and properties of the profile it would get.")
