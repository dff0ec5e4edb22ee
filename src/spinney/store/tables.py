"""The tables. Times are seconds since the epoch as double precision; ids are UUIDs as text.

Invariants the database itself keeps:

* ``action.running_target`` is unique: at most one action works on an object at a time, whoever claims it;
* ``port`` is keyed by host, protocol and port: two nodes never hold the same published port;
* ``host.endpoint`` is unique: a machine is registered once;
* ``network`` is unique per host and subnet index: two projects never share a subnet on one host.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData()


def _id(name: str, **kw: object) -> Column[str]:
    return Column(name, String(36), **kw)  # type: ignore[arg-type]  # Column's own keywords, passed through


def _owned() -> list[Column[str]]:
    return [
        Column("user", String(64), nullable=False),
        Column("project", String(64), nullable=False),
        Column("domain", String(64)),
    ]


#: Facts about the deployment itself: its id, whether the first start is done.
meta = Table("meta", metadata, Column("key", String(64), primary_key=True), Column("value", Text, nullable=False))

profile = Table(
    "profile",
    metadata,
    _id("id", primary_key=True),
    Column("name", String(255), nullable=False),
    Column("type", String(255), nullable=False),
    Column("spec", JSON, nullable=False),
    Column("metadata", JSON, nullable=False),
    *_owned(),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
    Index("ix_profile_project", "project", "created_at", "id"),
    Index("ix_profile_name", "project", "name"),
)

#: A container profile pins the host (``kind`` host_node) and host cluster (``kind`` host_cluster) it names.
pin = Table(
    "pin",
    metadata,
    _id("profile_id", primary_key=True),
    Column("kind", String(16), primary_key=True),
    _id("target_id", nullable=False),
    Index("ix_pin_target", "target_id"),
)

cluster = Table(
    "cluster",
    metadata,
    _id("id", primary_key=True),
    Column("name", String(255), nullable=False),
    _id("profile_id", nullable=False),
    *_owned(),
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
    Index("ix_cluster_project", "project", "init_at", "id"),
    Index("ix_cluster_name", "project", "name"),
    Index("ix_cluster_profile", "profile_id"),
)

node = Table(
    "node",
    metadata,
    _id("id", primary_key=True),
    Column("name", String(255), nullable=False),
    _id("profile_id", nullable=False),
    Column("cluster_id", String(36), nullable=False),
    Column("index", Integer, nullable=False),
    Column("role", String(255), nullable=False),
    Column("status", String(32), nullable=False),
    Column("status_reason", Text, nullable=False),
    Column("physical_id", String(255)),
    Column("tainted", Boolean, nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("data", JSON, nullable=False),
    *_owned(),
    Column("init_at", Double, nullable=False),
    Column("created_at", Double),
    Column("updated_at", Double),
    Column("power", String(16), nullable=False),
    _id("host_id"),
    Column("generation", Integer, nullable=False),
    Column("placed_at", Double),
    Column("reserved_cpu", Double, nullable=False),
    Column("reserved_memory", BigInteger, nullable=False),
    Column("repairs", Integer, nullable=False),
    Column("repaired_at", Double),
    Column("waiting_since", Double),
    #: The stored decision that put it where it is, or says why it waits, and its place in that decision.
    _id("decision_id"),
    Column("decision_step", Integer),
    Index("ix_node_decision", "decision_id"),
    Index("ix_node_cluster_status", "cluster_id", "status"),
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

host = Table(
    "host",
    metadata,
    _id("node_id", primary_key=True),
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
    _id("node_id", primary_key=True),
    _id("host_id", nullable=False),
    Column("generation", Integer, nullable=False),
    Column("cpu", Double, nullable=False),
    Column("memory", BigInteger, nullable=False),
    _id("decision_id"),
    Column("decision_step", Integer),
    Index("ix_hold_host", "host_id"),
)

#: Why nodes of one batch and kind went where they went, or nowhere: the body that ``domain.placement.decision`` makes.
decision = Table(
    "decision",
    metadata,
    _id("id", primary_key=True),
    Column("decided_at", Double, nullable=False),
    Column("body", JSON, nullable=False),
    Index("ix_decision_decided_at", "decided_at"),
)

#: A container of a workload that could not be made or run on a host: placement avoids that pair for a while.
setback = Table(
    "setback",
    metadata,
    _id("node_id", primary_key=True),
    Column("at", Double, primary_key=True),
    _id("host_id", nullable=False),
    _id("profile_id", nullable=False),
    Index("ix_setback_host", "host_id", "profile_id", "at"),
    Index("ix_setback_at", "at"),
)

#: Images that Spinney itself had pulled to a host: only these does it ever remove.
image = Table(
    "image",
    metadata,
    _id("host_id", primary_key=True),
    Column("reference", String(512), primary_key=True),
    Column("pulled_at", Double, nullable=False),
    Column("used_at", Double, nullable=False),
)

#: A host cluster that a project other than its owner's may use; ``*`` stands for all.
share = Table(
    "share",
    metadata,
    _id("cluster_id", primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("created_at", Double, nullable=False),
    Index("ix_share_project", "project"),
)

#: Material to approach hosts and registries with, sealed with the deployment's key.
credential = Table(
    "credential",
    metadata,
    _id("id", primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("type", String(32), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    #: What may be shown of it: fingerprints, expiry, projects.
    Column("facts", JSON, nullable=False),
    *_owned(),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
)

policy = Table(
    "policy",
    metadata,
    _id("id", primary_key=True),
    Column("name", String(255), nullable=False),
    Column("type", String(255), nullable=False),
    Column("spec", JSON, nullable=False),
    Column("data", JSON, nullable=False),
    *_owned(),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
    Index("ix_policy_project", "project", "created_at", "id"),
    Index("ix_policy_name", "project", "name"),
)

#: A policy attached to a cluster.
binding = Table(
    "binding",
    metadata,
    _id("id", primary_key=True),
    _id("cluster_id", nullable=False),
    _id("policy_id", nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("data", JSON, nullable=False),
    Column("last_op", Double),
    UniqueConstraint("cluster_id", "policy_id", name="uq_binding"),
    Index("ix_binding_policy", "policy_id"),
)

port = Table(
    "port",
    metadata,
    _id("host_id", primary_key=True),
    Column("protocol", String(8), primary_key=True),
    Column("port", Integer, primary_key=True),
    _id("node_id", nullable=False),
    Index("ix_port_node", "node_id"),
)

#: The subnet of a project's own bridge on one host, as an index into the configured pool.
network = Table(
    "network",
    metadata,
    _id("host_id", primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("subnet_index", Integer, nullable=False),
    UniqueConstraint("host_id", "subnet_index", name="uq_network_subnet"),
)

action = Table(
    "action",
    metadata,
    _id("id", primary_key=True),
    Column("name", String(255), nullable=False),
    _id("target", nullable=False),
    Column("action", String(64), nullable=False),
    Column("cause", String(64), nullable=False),
    Column("status", String(32), nullable=False),
    Column("status_reason", Text, nullable=False),
    Column("cluster_id", String(36), nullable=False),
    _id("parent_id"),
    _id("owner"),
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
    *_owned(),
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
    _id("id", primary_key=True),
    Column("timestamp", Double, nullable=False),
    _id("oid", nullable=False),
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

#: One row per engine process: membership, its lease, and where it answers other processes.
engine = Table(
    "engine",
    metadata,
    _id("id", primary_key=True),
    Column("hostname", String(255), nullable=False),
    Column("started_at", Double, nullable=False),
    Column("seen_at", Double, nullable=False),
    #: What it has claimed is its own until then, by the database's clock.
    Column("expires_at", Double, nullable=False),
    #: Unix socket or URL of its host-access service; null where only its own process uses it.
    Column("address", String(255)),
)

__all__ = [
    "action",
    "binding",
    "cluster",
    "credential",
    "decision",
    "engine",
    "event",
    "hold",
    "host",
    "image",
    "meta",
    "metadata",
    "network",
    "node",
    "pin",
    "policy",
    "port",
    "profile",
    "setback",
    "share",
]
