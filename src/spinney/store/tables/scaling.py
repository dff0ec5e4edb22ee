"""What autoscaling looks at, and what it decided."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Boolean, Column, Double, Index, Integer, String, Table

from spinney.store.tables.base import id_column, metadata

#: The latest sample of a member whose cluster is scaled by what is measured, written by the engine that watches its host; null:
#: unknown, never zero.
usage = Table(
    "usage",
    metadata,
    id_column("node_id", primary_key=True),
    Column("cpu", Double),  # cores
    Column("memory", BigInteger),  # bytes
    Column("rx_rate", Double),  # bytes per second
    Column("tx_rate", Double),
    #: What was scraped from it: name of the metric to value, or to why there is none.
    Column("scraped", JSON, nullable=False),
    Column("sampled_at", Double, nullable=False),
)

#: What a policy saw of a cluster at one evaluation: the history of back-tests and forecasts.
metric = Table(
    "metric",
    metadata,
    id_column("cluster_id", primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("at", Double, primary_key=True),
    #: Of all members that were counted together; null: unknown.
    Column("value", Double),
    Column("counted", Integer, nullable=False),
    Column("members", Integer, nullable=False),
    Index("ix_metric_at", "at"),
)

scaling_decision = Table(
    "scaling_decision",
    metadata,
    id_column("id", primary_key=True),
    id_column("cluster_id", nullable=False),
    id_column("policy_id", nullable=False),
    Column("at", Double, nullable=False),
    Column("size", Integer, nullable=False),
    Column("wanted", Integer, nullable=False),
    Column("acted", Boolean, nullable=False),
    id_column("action_id"),
    #: The reasoning, as ``domain.autoscale`` puts it.
    Column("body", JSON, nullable=False),
    Index("ix_scaling_decision_cluster", "cluster_id", "at"),
    Index("ix_scaling_decision_at", "at"),
)
