"""Load balancers of clusters, and who is in their pools."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Double, Index, Integer, String, Table, Text, UniqueConstraint

from spinney.store.tables.base import id_column, metadata

#: The load balancer of one attached policy.
balancer = Table(
    "balancer",
    metadata,
    id_column("id", primary_key=True),
    id_column("cluster_id", nullable=False),
    id_column("policy_id", nullable=False),
    #: haproxy or octavia.
    Column("kind", String(16), nullable=False),
    #: The node whose container it is; null where it is none of ours.
    id_column("node_id"),
    Column("state", String(16), nullable=False),
    Column("state_reason", Text, nullable=False),
    #: Of the kind: addresses for clients, ids elsewhere, what was applied last.
    Column("data", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
    UniqueConstraint("cluster_id", "policy_id", name="uq_balancer"),
    Index("ix_balancer_node", "node_id"),
)

pool_member = Table(
    "pool_member",
    metadata,
    id_column("balancer_id", primary_key=True),
    id_column("node_id", primary_key=True),
    #: The container that it is about.
    Column("physical_id", String(255), primary_key=True),
    id_column("cluster_id", nullable=False),
    Column("slot", Integer),
    Column("address", String(255)),
    Column("port", Integer),
    #: joining, in, draining or out; and since when.
    Column("state", String(16), nullable=False),
    Column("state_reason", Text, nullable=False),
    Column("since", Double, nullable=False),
    #: Somebody waits until it is out, so that its container may be stopped; at the latest until then.
    Column("leave_by", Double),
    Column("data", JSON, nullable=False),
    Index("ix_pool_member_node", "node_id"),
    Index("ix_pool_member_cluster", "cluster_id"),
)
