"""Policies, what they are attached to, and receivers."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Double, Index, Integer, LargeBinary, String, Table, UniqueConstraint

from spinney.store.tables.base import id_column, metadata, owned

policy = Table(
    "policy",
    metadata,
    id_column("id", primary_key=True),
    Column("name", String(255), nullable=False),
    Column("type", String(255), nullable=False),
    Column("spec", JSON, nullable=False),
    Column("data", JSON, nullable=False),
    *owned(),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
    Index("ix_policy_project", "project", "created_at", "id"),
    Index("ix_policy_name", "project", "name"),
)

#: A policy attached to a cluster.
binding = Table(
    "binding",
    metadata,
    id_column("id", primary_key=True),
    id_column("cluster_id", nullable=False),
    id_column("policy_id", nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("data", JSON, nullable=False),
    Column("last_op", Double),
    UniqueConstraint("cluster_id", "policy_id", name="uq_binding"),
    Index("ix_binding_policy", "policy_id"),
)

receiver = Table(
    "receiver",
    metadata,
    id_column("id", primary_key=True),
    Column("name", String(255), nullable=False),
    Column("type", String(16), nullable=False),
    #: Null for message receivers, as is the action.
    id_column("cluster_id"),
    Column("action", String(64)),
    Column("params", JSON, nullable=False),
    Column("actor", JSON, nullable=False),
    Column("channel", JSON, nullable=False),
    *owned(),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
    Column("enabled", Boolean, nullable=False),
    #: Whether the Senlin form of its URL, of which the id is the only secret, starts it.
    Column("open", Boolean, nullable=False),
    Column("expires_at", Double),
    #: SHA-256 of its secret, hexadecimal; and the key of its signed form, sealed for API processes.
    Column("secret_hash", String(64)),
    Column("signing_key", LargeBinary),
    #: How often a minute it may be used, and how often it was within the minute that began then.
    Column("rate_limit", Integer, nullable=False),
    Column("window_at", Double, nullable=False),
    Column("window_count", Integer, nullable=False),
    Index("ix_receiver_project", "project", "name", "id"),
    Index("ix_receiver_cluster", "cluster_id"),
)

#: Signed requests that were obeyed: none is obeyed twice.
webhook_use = Table(
    "webhook_use",
    metadata,
    id_column("receiver_id", primary_key=True),
    Column("signature", String(64), primary_key=True),
    Column("expires_at", Double, nullable=False),
    Index("ix_webhook_use_expires_at", "expires_at"),
)
