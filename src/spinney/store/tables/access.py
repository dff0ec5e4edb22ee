"""Secrets, limits, and what is kept of callers."""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, Double, Index, Integer, LargeBinary, String, Table, UniqueConstraint

from spinney.store.tables.base import id_column, metadata, owned

#: Material to approach hosts and registries with, sealed with the deployment's key.
credential = Table(
    "credential",
    metadata,
    id_column("id", primary_key=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("type", String(32), nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    #: What may be shown of it: fingerprints, expiry, projects.
    Column("facts", JSON, nullable=False),
    *owned(),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
)

#: Values that a project keeps for its containers, sealed; or, with ``reference``, kept elsewhere.
secret = Table(
    "secret",
    metadata,
    id_column("id", primary_key=True),
    Column("name", String(128), nullable=False),
    Column("type", String(32), nullable=False),
    Column("sealed", LargeBinary(2**24 - 1)),
    #: Where the value is if it is not here: the URL of a Barbican secret.
    Column("reference", String(512)),
    #: What may be shown of it: the names of its keys, the registry.
    Column("facts", JSON, nullable=False),
    Column("version", Integer, nullable=False),
    *owned(),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double),
    UniqueConstraint("project", "name", name="uq_secret_name"),
    Index("ix_secret_project", "project", "created_at", "id"),
)

#: A container profile names a secret.
secret_use = Table(
    "secret_use",
    metadata,
    id_column("profile_id", primary_key=True),
    id_column("secret_id", primary_key=True),
    Index("ix_secret_use_secret", "secret_id"),
)

#: What a user let the service do later in the user's name: a Keystone trust.
trust = Table(
    "trust",
    metadata,
    Column("user", String(64), primary_key=True),
    Column("project", String(64), primary_key=True),
    Column("trust_id", String(64), nullable=False),
    Column("roles", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
)

#: Limits of one project that differ from the deployment's; -1: none.
quota = Table(
    "quota",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("resource", String(32), primary_key=True),
    Column("hard_limit", Double, nullable=False),
)

#: One row per project, written by whatever adds to what its quotas count: there they queue up.
tenant = Table(
    "tenant",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("reservations", BigInteger, nullable=False),
)

#: Which images containers may be made of; project ``*`` stands for the whole deployment.
image_rule = Table(
    "image_rule",
    metadata,
    Column("project", String(64), primary_key=True),
    Column("body", JSON, nullable=False),
    Column("updated_at", Double, nullable=False),
)

#: What an image's tag stood for when a cluster first made a container of it.
resolved_image = Table(
    "resolved_image",
    metadata,
    #: Of the cluster; of the node where there is none.
    id_column("owner_id", primary_key=True),
    id_column("profile_id", primary_key=True),
    Column("digest", String(512), nullable=False),
    Column("resolved_at", Double, nullable=False),
)

#: Answers to requests with an Idempotency-Key, given again to repetitions.
idempotency = Table(
    "idempotency",
    metadata,
    Column("project", String(64), primary_key=True),
    #: SHA-256 of the key, hexadecimal; and of method, path, versions and body.
    Column("key_hash", String(64), primary_key=True),
    Column("digest", String(64), nullable=False),
    #: Null while the first request is at work.
    Column("status", Integer),
    #: Headers and body, sealed for API processes; so long that MariaDB takes a larger type.
    Column("answer", LargeBinary(2**24 - 1)),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double, nullable=False),
    Index("ix_idempotency_expires_at", "expires_at"),
)

#: Leave to run one command in a container, once and soon.
exec_session = Table(
    "exec_session",
    metadata,
    id_column("id", primary_key=True),
    #: SHA-256 of the word in its path, hexadecimal.
    Column("token_hash", String(64), nullable=False),
    id_column("node_id", nullable=False),
    #: The command and its environment, sealed for API processes.
    Column("request", LargeBinary, nullable=False),
    *owned(),
    Column("expires_at", Double, nullable=False),
    Column("used_at", Double),
    Index("ix_exec_session_expires_at", "expires_at"),
)
