"""Hosts, and what is kept of where containers go."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Double, Index, Integer, String, Table, Text, UniqueConstraint

from spinney.store.tables.base import id_column, metadata

host = Table(
    "host",
    metadata,
    id_column("node_id", primary_key=True),
    Column("endpoint", String(255), nullable=False, unique=True),
    Column("credential", String(255)),
    #: What is shown: made of what the operator wants (``duty``) and whether it answers.
    Column("state", String(16), nullable=False),
    Column("state_reason", Text, nullable=False),
    Column("duty", String(16), nullable=False),
    Column("duty_reason", Text, nullable=False),
    Column("zone", String(255)),
    Column("region", String(255)),
    Column("labels", JSON, nullable=False),
    Column("facts", JSON, nullable=False),
    Column("cpu", Double, nullable=False),
    Column("memory", BigInteger, nullable=False),
    Column("disk", BigInteger),
    #: What the machine's profile gives to containers, where that is not all it has: cpu, memory.
    Column("given", JSON(none_as_null=True)),
    Column("reserved_cpu", Double, nullable=False),
    Column("reserved_memory", BigInteger, nullable=False),
    Column("containers", Integer, nullable=False),
    Column("seen_at", Double),
    Column("metrics_url", String(512)),
    #: none, plain or full: the host helper that answers there.
    Column("helper", String(8), nullable=False),
    #: Decayed averages of what is measured, with the moment of the latest sample; null: never measured.
    Column("used_cpu", Double),
    Column("used_memory", BigInteger),
    Column("used_disk", BigInteger),
    Column("sampled_at", Double),
)

#: Room on a host that a node is going to, while it still is where it was.
hold = Table(
    "hold",
    metadata,
    id_column("node_id", primary_key=True),
    id_column("host_id", nullable=False),
    Column("generation", Integer, nullable=False),
    Column("cpu", Double, nullable=False),
    Column("memory", BigInteger, nullable=False),
    id_column("decision_id"),
    Column("decision_step", Integer),
    Index("ix_hold_host", "host_id"),
)

#: Why nodes of one batch and kind went where they went, or nowhere: the body that ``domain.placement.decision`` makes.
decision = Table(
    "decision",
    metadata,
    id_column("id", primary_key=True),
    Column("decided_at", Double, nullable=False),
    Column("body", JSON, nullable=False),
    Index("ix_decision_decided_at", "decided_at"),
)

#: A container of a workload that could not be made or run on a host: placement avoids that pair for a while.
setback = Table(
    "setback",
    metadata,
    id_column("node_id", primary_key=True),
    Column("at", Double, primary_key=True),
    id_column("host_id", nullable=False),
    id_column("profile_id", nullable=False),
    Index("ix_setback_host", "host_id", "profile_id", "at"),
    Index("ix_setback_at", "at"),
)

#: Images that Spinney itself had pulled to a host: only these does it ever remove.
image = Table(
    "image",
    metadata,
    id_column("host_id", primary_key=True),
    Column("reference", String(512), primary_key=True),
    Column("pulled_at", Double, nullable=False),
    Column("used_at", Double, nullable=False),
)

#: A host cluster that a project other than its owner's may use; ``*`` stands for all.
share = Table(
    "share",
    metadata,
    id_column("cluster_id", primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("created_at", Double, nullable=False),
    Index("ix_share_project", "project"),
)

port = Table(
    "port",
    metadata,
    id_column("host_id", primary_key=True),
    Column("protocol", String(8), primary_key=True),
    Column("port", Integer, primary_key=True),
    id_column("node_id", nullable=False),
    Index("ix_port_node", "node_id"),
)

#: The subnet of a project's own bridge on one host, as an index into the configured pool.
network = Table(
    "network",
    metadata,
    id_column("host_id", primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("subnet_index", Integer, nullable=False),
    UniqueConstraint("host_id", "subnet_index", name="uq_network_subnet"),
)
