"""Runs of clusters that do a job and end."""

from __future__ import annotations

from sqlalchemy import JSON, Column, Double, Index, Integer, String, Table, Text, UniqueConstraint

from spinney.store.tables.base import id_column, metadata

run = Table(
    "run",
    metadata,
    id_column("id", primary_key=True),
    id_column("cluster_id", nullable=False),
    id_column("policy_id", nullable=False),
    Column("number", Integer, nullable=False),
    #: WAITING, RUNNING, SUCCEEDED, FAILED, CANCELLED or SKIPPED.
    Column("status", String(16), nullable=False),
    Column("status_reason", Text, nullable=False),
    #: When its schedule meant it to begin; null: somebody asked for it.
    Column("scheduled_at", Double),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    Column("succeeded", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    #: Attempts per completion and what else its next step has to know.
    Column("data", JSON, nullable=False),
    UniqueConstraint("cluster_id", "number", name="uq_run"),
    Index("ix_run_status", "status", "cluster_id"),
    Index("ix_run_created_at", "created_at"),
)
