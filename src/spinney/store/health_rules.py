"""What health policies say of clusters, and the breakers of these, which are kept with the bindings.

Guaranteed: a breaker is changed while its binding is locked; it goes when the policy is detached.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain import breaker as breakers
from spinney.domain import event as events
from spinney.domain.action import LIVE_STATUSES
from spinney.domain.breaker import Breaker, Failure
from spinney.domain.event import Level
from spinney.domain.health_rules import HealthRules
from spinney.domain.host import HostState
from spinney.domain.identity import Owner
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.policies import registry
from spinney.policies.health import HEALTH, HealthProperties, health_rules
from spinney.store.rows import EVENTS, NODES
from spinney.store.tables import action, binding, cluster, host, policy
from spinney.store.tables import node as table

#: Under which key of a binding's data its breaker is.
BREAKER = "circuit_breaker"
_SETTLED = [NodeStatus.ACTIVE.value, NodeStatus.WARNING.value, NodeStatus.ERROR.value]
_LIVE = [status.value for status in LIVE_STATUSES]
_RANK = sa.case({name: rank for rank, name in enumerate(HEALTH)}, value=policy.c.type)


@dataclass(frozen=True, slots=True)
class Ruled:
    """A cluster with an enabled health policy."""

    cluster_id: str
    policy_id: str
    rules: HealthRules
    breaker: Breaker

    @property
    def version(self) -> tuple[str, bool, float]:
        """When this changes, members that were left alone are looked at again."""
        return self.policy_id, self.breaker.open, self.breaker.closed_at


def ruled(connection: Connection, cluster_ids: Collection[str] | None = None) -> dict[str, Ruled]:
    """By cluster; without ``cluster_ids``: all there are. Of several policies Spinney's own counts, or the newest."""
    if cluster_ids is not None and not cluster_ids:
        return {}
    query = (
        sa.select(binding.c.cluster_id, binding.c.policy_id, binding.c.data, sa.cast(policy.c.spec, sa.Text))
        .join_from(binding, policy, policy.c.id == binding.c.policy_id)
        .where(policy.c.type.in_(HEALTH), binding.c.enabled.is_(True))
        .order_by(_RANK.desc())
    )
    if cluster_ids is not None:
        query = query.where(binding.c.cluster_id.in_(cluster_ids))
    return {
        cluster_id: Ruled(cluster_id, policy_id, _rules(spec), breakers.of_stored(data.get(BREAKER)))
        for cluster_id, policy_id, data, spec in connection.execute(query)
    }


@lru_cache(maxsize=1024)
def _rules(spec: str) -> HealthRules:
    """Interpreted once, however many clusters the policy is attached to."""
    properties = registry.validate_spec(json.loads(spec)).properties
    assert isinstance(properties, HealthProperties)
    return health_rules(properties)


# --- members ----------------------------------------------------------------------------------------------------------


def members_on(connection: Connection, host_id: str, cluster_ids: Collection[str]) -> list[Node]:
    """The members of these clusters on the host that are meant to run and that nothing works on."""
    at_work = sa.exists().where(action.c.target == table.c.id, action.c.status.in_(_LIVE))
    return NODES.all(
        connection,
        table.c.host_id == host_id,
        table.c.cluster_id.in_(cluster_ids),
        table.c.status.in_(_SETTLED),
        table.c.power == PowerState.RUNNING.value,
        ~at_work,
    )


def host_state(connection: Connection, host_id: str) -> HostState | None:
    found = connection.execute(sa.select(host.c.state).where(host.c.node_id == host_id)).scalar()
    return None if found is None else HostState(found)


# --- breakers ---------------------------------------------------------------------------------------------------------


def admitted(
    connection: Connection, one: Ruled, failures: Sequence[Failure], event_id: str, now: float
) -> frozenset[str]:
    """Those that may be recovered now; that recovery stops is told once."""
    before = _locked(connection, one)
    if before is None:
        return frozenset(failure.node_id for failure in failures)
    members = connection.execute(
        sa.select(sa.func.count()).select_from(table).where(table.c.cluster_id == one.cluster_id)
    ).scalar_one()
    found = breakers.admit(one.rules.breaker, before, failures, members, now)
    if found.breaker != before:
        _keep(connection, one.cluster_id, one.policy_id, found.breaker)
    if found.opened:
        _tell(connection, one.cluster_id, "HEALING_STOPPED", Level.ERROR, found.breaker.reason, event_id, now)
    return found.admitted


def proven(connection: Connection, one: Ruled, node_id: str, event_id: str, now: float) -> None:
    """The member that was tried is well."""
    before = _locked(connection, one)
    if before is not None and before.open and before.trial == node_id:
        _close(connection, one.cluster_id, one.policy_id, "The member that was tried is well.", event_id, now)


def close_where_well(connection: Connection, one: Ruled, event_id: str, now: float) -> None:
    """All members are well, however that came."""
    before = _locked(connection, one)
    unwell = sa.select(table.c.id).where(
        table.c.cluster_id == one.cluster_id, table.c.status != NodeStatus.ACTIVE.value
    )
    if before is not None and before.open and connection.execute(unwell.limit(1)).first() is None:
        _close(connection, one.cluster_id, one.policy_id, "All members are well.", event_id, now)


def close_all(connection: Connection, cluster_id: str, reason: str, event_id: str, now: float) -> None:
    """Somebody asks for recovery of the cluster."""
    for one in ruled(connection, [cluster_id]).values():
        before = _locked(connection, one)
        if before is not None and before.open:
            _close(connection, cluster_id, one.policy_id, reason, event_id, now)


def begin_anew(connection: Connection, cluster_id: str, policy_id: str) -> None:
    """What was before a policy is enabled does not count."""
    _keep(connection, cluster_id, policy_id, Breaker())


def _locked(connection: Connection, one: Ruled) -> Breaker | None:
    """None: the policy was detached or disabled meanwhile."""
    ours = (binding.c.cluster_id == one.cluster_id) & (binding.c.policy_id == one.policy_id) & binding.c.enabled
    row = connection.execute(sa.select(binding.c.data).where(ours).with_for_update()).first()
    return None if row is None else breakers.of_stored(row.data.get(BREAKER))


def _close(connection: Connection, cluster_id: str, policy_id: str, reason: str, event_id: str, now: float) -> None:
    _keep(connection, cluster_id, policy_id, breakers.closed(now))
    _tell(connection, cluster_id, "HEALING_RESUMED", Level.INFO, reason, event_id, now)


def _keep(connection: Connection, cluster_id: str, policy_id: str, kept: Breaker) -> None:
    ours = (binding.c.cluster_id == cluster_id) & (binding.c.policy_id == policy_id)
    data = connection.execute(sa.select(binding.c.data).where(ours)).scalar_one()
    connection.execute(binding.update().where(ours).values(data={**data, BREAKER: kept.stored()}))


def _tell(
    connection: Connection, cluster_id: str, kind: str, level: Level, reason: str, event_id: str, now: float
) -> None:
    c = cluster.c
    row = connection.execute(sa.select(c.name, c.user, c.project, c.domain).where(c.id == cluster_id)).one()
    event = events.of_cluster(
        Owner(row.user, row.project, row.domain),
        cluster_id=cluster_id,
        cluster_name=row.name,
        kind=kind,
        level=level,
        reason=reason,
        event_id=event_id,
        now=now,
    )
    EVENTS.insert(connection, [event])
