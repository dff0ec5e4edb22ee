"""The hooks of lifecycle policies: which hold for the members of which cluster."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.action import ActionKind
from spinney.domain.host import HostState
from spinney.domain.lifecycle import BEFORE_STOP, Hook
from spinney.policies import registry
from spinney.policies.lifecycle import LIFECYCLE, LifecycleProperties
from spinney.store.tables import action, binding, host, policy

_SILENT = (HostState.SUSPECT, HostState.LOST)


def of_clusters(connection: Connection, cluster_ids: Collection[str]) -> dict[str, LifecycleProperties]:
    """By cluster; those without an enabled policy of the type are left out."""
    if not cluster_ids:
        return {}
    query = (
        sa.select(binding.c.cluster_id, sa.cast(policy.c.spec, sa.Text).label("spec"))
        .join_from(binding, policy, policy.c.id == binding.c.policy_id)
        .where(
            binding.c.cluster_id.in_(set(cluster_ids)),
            binding.c.enabled.is_(True),
            policy.c.type == LIFECYCLE.name_version,
        )
    )
    return {cluster_id: _properties(spec) for cluster_id, spec in connection.execute(query)}


@lru_cache(maxsize=1024)
def _properties(spec: str) -> LifecycleProperties:
    properties = registry.validate_spec(json.loads(spec)).properties
    assert isinstance(properties, LifecycleProperties)
    return properties


def of_deletions(connection: Connection, parent_ids: Collection[str]) -> Mapping[str, Hook]:
    """By action: what the policy of a cluster that is being deleted said of stopping."""
    if not parent_ids:
        return {}
    rows = connection.execute(
        sa.select(action.c.id, action.c.data).where(
            action.c.id.in_(set(parent_ids)), action.c.action == ActionKind.CLUSTER_DELETE.value
        )
    )
    return {row.id: Hook.of(row.data[BEFORE_STOP]) for row in rows if BEFORE_STOP in row.data}


def silent(connection: Connection, host_ids: Collection[str]) -> set[str]:
    """Those of the hosts that do not answer."""
    if not host_ids:
        return set()
    rows = connection.execute(
        sa.select(host.c.node_id).where(host.c.node_id.in_(set(host_ids)), host.c.state.in_(_SILENT))
    )
    return set(rows.scalars())
