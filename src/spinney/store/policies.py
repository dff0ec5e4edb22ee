"""Policies. Their specifications never change; one that is attached is not removed."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.policy import Policy
from spinney.errors import ResourceInUse
from spinney.store.identity import Finder
from spinney.store.rows import POLICIES
from spinney.store.tables import binding, cluster
from spinney.store.tables import policy as table

FINDER = Finder("policy", table, POLICIES.select())


def insert(connection: Connection, policy: Policy) -> None:
    POLICIES.insert(connection, [policy])


def rename(connection: Connection, policy_id: str, name: str, now: float) -> None:
    connection.execute(table.update().where(table.c.id == policy_id).values(name=name, updated_at=now))


def hold(connection: Connection, policy_id: str) -> Policy | None:
    """The policy, kept from being removed until the transaction ends; None: it is gone."""
    row = connection.execute(POLICIES.select().where(table.c.id == policy_id).with_for_update()).first()
    return None if row is None else POLICIES.value(row)


def remove(connection: Connection, policy_id: str, word: str) -> None:
    """``word``: what the caller calls it. Raises: ResourceInUse."""
    hold(connection, policy_id)
    first = connection.execute(
        sa.select(cluster.c.name, cluster.c.id)
        .join_from(binding, cluster, cluster.c.id == binding.c.cluster_id)
        .where(binding.c.policy_id == policy_id)
        .limit(1)
    ).first()
    if first is not None:
        raise ResourceInUse(
            f"The policy '{word[:255]}' cannot be deleted: it is attached to the cluster '{first.name}' ({first.id}); "
            f"detach it first."
        )
    connection.execute(table.delete().where(table.c.id == policy_id))
