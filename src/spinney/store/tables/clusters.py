"""Profiles, clusters and nodes."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Index, Integer, String, Table, Text, text

from spinney.store.tables.base import id_column, metadata, owned

profile = Table(
    "profile",
    metadata,
    id_column("id", primary_key=True),
    Column("name", String(255), nullable=False),
    Column("type", String(255), nullable=False),
    Column("spec", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    *owned(),
    #: What one node of it sets aside on its host; null: not a container.
    Column("cpu", Double),
    Column("memory", BigInteger),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
    Index("ix_profile_project", "project", "created_at", "id"),
    Index("ix_profile_name", "project", "name"),
)

#: A container profile pins the host (``kind`` host_node) and host cluster (``kind`` host_cluster) it names.
pin = Table(
    "pin",
    metadata,
    id_column("profile_id", primary_key=True),
    Column("kind", String(16), primary_key=True),
    id_column("target_id", nullable=False),
    Index("ix_pin_target", "target_id"),
)

cluster = Table(
    "cluster",
    metadata,
    id_column("id", primary_key=True),
    Column("name", String(255), nullable=False),
    id_column("profile_id", nullable=False),
    *owned(),
    Column("init_at", Double, nullable=False),
    Column("created_at", Double),
    Column("updated_at", Double),
    Column("min_size", Integer, nullable=False),
    Column("max_size", Integer, nullable=False),
    Column("desired_capacity", Integer, nullable=False),
    Column("timeout", Integer, nullable=False),
    Column("status", String(32), nullable=False),
    Column("status_reason", Text, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("config", JSON, nullable=False),
    Column("data", JSON, nullable=False),
    Column("next_index", Integer, nullable=False),
    #: The number of its present revision; 0: it has none yet.
    Column("revision", Integer, nullable=False),
    Index("ix_cluster_project", "project", "init_at", "id"),
    Index("ix_cluster_name", "project", "name"),
    Index("ix_cluster_profile", "profile_id"),
)

#: What a cluster's members were to be made from, in the order in which that was wanted.
revision = Table(
    "revision",
    metadata,
    id_column("cluster_id", primary_key=True),
    Column("number", Integer, primary_key=True),
    id_column("profile_id", nullable=False),
    #: The action that brought it; null: the cluster was made with it.
    id_column("action_id"),
    Column("reason", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    #: When all members were made from it; null: not yet, or it never came to that.
    Column("reached_at", Double),
    Index("ix_revision_profile", "profile_id"),
)

node = Table(
    "node",
    metadata,
    id_column("id", primary_key=True),
    Column("name", String(255), nullable=False),
    id_column("profile_id", nullable=False),
    Column("cluster_id", String(36), nullable=False),
    Column("index", Integer, nullable=False),
    Column("role", String(255), nullable=False),
    Column("status", String(32), nullable=False),
    Column("status_reason", Text, nullable=False),
    Column("physical_id", String(255)),
    Column("tainted", Boolean, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("data", JSON, nullable=False),
    *owned(),
    Column("init_at", Double, nullable=False),
    Column("created_at", Double),
    Column("updated_at", Double),
    Column("power", String(16), nullable=False),
    id_column("host_id"),
    Column("generation", Integer, nullable=False),
    Column("placed_at", Double),
    Column("reserved_cpu", Double, nullable=False),
    Column("reserved_memory", BigInteger, nullable=False),
    Column("repairs", Integer, nullable=False),
    Column("repaired_at", Double),
    Column("waiting_since", Double),
    #: Whether it may be given work: its container runs and its probes and health check say so; since when that is so or not,
    #: and why not.
    Column("ready", Boolean, nullable=False),
    Column("ready_at", Double),
    Column("ready_reason", Text, nullable=False),
    #: The stored decision that put it where it is, or says why it waits, and its place in that decision.
    id_column("decision_id"),
    Column("decision_step", Integer),
    Index("ix_node_decision", "decision_id"),
    Index("ix_node_cluster_status", "cluster_id", "status", "ready"),
    Index("ix_node_project", "project", "init_at", "id"),
    Index("ix_node_name", "project", "name"),
    Index("ix_node_host", "host_id"),
    Index("ix_node_profile", "profile_id"),
    Index(
        "ix_node_waiting",
        "waiting_since",
        sqlite_where=text("waiting_since IS NOT NULL"),
        postgresql_where=text("waiting_since IS NOT NULL"),
    ),
)
