"""The queue, its history, and the processes."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Double, Index, Integer, String, Table, Text

from spinney.store.tables.base import id_column, metadata, owned

action = Table(
    "action",
    metadata,
    id_column("id", primary_key=True),
    Column("name", String(255), nullable=False),
    id_column("target", nullable=False),
    Column("action", String(64), nullable=False),
    Column("cause", String(64), nullable=False),
    Column("status", String(32), nullable=False),
    Column("status_reason", Text, nullable=False),
    Column("cluster_id", String(36), nullable=False),
    id_column("parent_id"),
    id_column("owner"),
    Column("attempt", Integer, nullable=False),
    Column("retries", Integer, nullable=False),
    Column("ready_at", Double, nullable=False),
    Column("start_time", Double),
    Column("end_time", Double),
    Column("timeout", Integer, nullable=False),
    Column("inputs", JSON, nullable=False),
    Column("outputs", JSON, nullable=False),
    Column("data", JSON, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
    *owned(),
    #: The target while an engine works on it (RUNNING) or waits for its children (WAITING), else null.
    Column("running_target", String(36), unique=True),
    # The whole order of a claim, so that it ends at its limit instead of sorting the queue.
    Index("ix_action_queue", "status", "project", "ready_at", "created_at", "id"),
    Index("ix_action_target", "target"),
    Index("ix_action_parent", "parent_id", "status"),
    Index("ix_action_cluster", "cluster_id"),
    Index("ix_action_project", "project", "created_at", "id"),
    Index("ix_action_end", "end_time"),
)

event = Table(
    "event",
    metadata,
    id_column("id", primary_key=True),
    Column("timestamp", Double, nullable=False),
    id_column("oid", nullable=False),
    Column("oname", String(255), nullable=False),
    Column("otype", String(16), nullable=False),
    Column("cluster_id", String(36), nullable=False),
    Column("level", Integer, nullable=False),
    Column("user", String(64), nullable=False),
    Column("project", String(64), nullable=False),
    Column("action", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("status_reason", Text, nullable=False),
    Column("meta_data", JSON, nullable=False),
    Index("ix_event_project", "project", "timestamp", "id"),
    Index("ix_event_oid", "oid"),
    Index("ix_event_cluster", "cluster_id", "timestamp"),
    Index("ix_event_timestamp", "timestamp"),
)

#: Messages to be sent to addresses outside, at least once each.
outbox = Table(
    "outbox",
    metadata,
    id_column("id", primary_key=True),
    id_column("action_id", nullable=False),
    Column("project", String(64), nullable=False),
    Column("url", String(2048), nullable=False),
    #: The secret that signs it: its id, and the key within.
    id_column("secret_id"),
    Column("secret_key", String(255)),
    Column("body", JSON, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("ix_outbox_next_at", "next_at"),
    Index("ix_outbox_action", "action_id"),
)

#: One row per engine process: membership, its lease, and where it answers other processes.
engine = Table(
    "engine",
    metadata,
    id_column("id", primary_key=True),
    Column("hostname", String(255), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    #: What it has claimed is its own until then, by the database's clock.
    Column("expires_at", Double, nullable=False),
    #: Unix socket or URL of its host-access service; null where only its own process uses it.
    Column("address", String(255)),
)

#: Facts about the deployment itself: its id, whether the first start is done.
meta = Table("meta", metadata, Column("key", String(64), primary_key=True), Column("value", Text, nullable=False))
