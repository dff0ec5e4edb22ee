"""What autoscaling reads and writes: policies, what members use, decisions, and the history of metrics.

Guaranteed: decisions of one cluster that say the same, one after another, are one row.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row
from sqlalchemy.exc import IntegrityError

from spinney.domain.action import LIVE_STATUSES, Action, ActionStatus
from spinney.domain.autoscale import history, record
from spinney.domain.autoscale.history import Past
from spinney.domain.autoscale.rules import Rules
from spinney.domain.autoscale.usage import Usage
from spinney.domain.autoscale.values import Decision, Sample
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.policies import registry
from spinney.policies.autoscaling import AUTOSCALING, AutoscalingProperties, autoscaling
from spinney.store import listing, windows
from spinney.store.listing import ListQuery
from spinney.store.rows import ACTIONS, NODES
from spinney.store.tables import action, binding, cluster, metric, node, policy, scaling_decision, usage

_LIVE = [status.value for status in LIVE_STATUSES]
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Scaled:
    """A cluster with an enabled policy. ``last_op``: when a scaling of it last ended."""

    cluster_id: str
    policy_id: str
    rules: Rules
    min_size: int
    max_size: int
    last_op: float | None


def scaled(connection: Connection, cluster_id: str | None = None) -> list[Scaled]:
    """Every cluster that is scaled so, or that one, if it is."""
    query = (
        sa.select(
            cluster.c.id,
            policy.c.id,
            sa.cast(policy.c.spec, sa.Text),
            cluster.c.min_size,
            cluster.c.max_size,
            binding.c.last_op,
        )
        .join_from(binding, policy, policy.c.id == binding.c.policy_id)
        .join(cluster, cluster.c.id == binding.c.cluster_id)
        .where(policy.c.type == AUTOSCALING.name_version, binding.c.enabled.is_(True))
        .order_by(cluster.c.id)
    )
    if cluster_id is not None:
        query = query.where(cluster.c.id == cluster_id)
    return [
        Scaled(found, policy_id, _rules(spec), low, high, last_op)
        for found, policy_id, spec, low, high, last_op in connection.execute(query)
    ]


@lru_cache(maxsize=1024)
def _rules(spec: str) -> Rules:
    """Interpreted once, however many clusters the policy is attached to."""
    properties = registry.validate_spec(json.loads(spec)).properties
    assert isinstance(properties, AutoscalingProperties)
    return autoscaling(properties)


def at_work(connection: Connection, cluster_id: str) -> Action | None:
    """An action on the cluster beside which nothing can be begun."""
    held = sa.and_(action.c.target == cluster_id, action.c.status.in_(_LIVE), ~windows.UNHOLDING)
    return ACTIONS.one(connection, held)


# --- what members use -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Watched:
    """A container that may be looked at."""

    node_id: str
    cluster_id: str
    physical_id: str


def watched_on(connection: Connection, host_id: str, cluster_ids: Collection[str]) -> list[Watched]:
    """The members of these clusters that run on a host."""
    running = sa.and_(
        node.c.host_id == host_id,
        node.c.status.in_([NodeStatus.ACTIVE.value, NodeStatus.WARNING.value]),
        node.c.power == PowerState.RUNNING.value,
        node.c.physical_id.is_not(None),
    )
    rows = connection.execute(sa.select(node.c.id, node.c.cluster_id, node.c.physical_id).where(running))
    return [Watched(*row) for row in rows if row.cluster_id in cluster_ids]


def write_usage(connection: Connection, found: Mapping[str, Usage]) -> None:
    """By node id. What another engine writes at this very moment is as good."""
    ids = sorted(found)
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        known = set(connection.execute(sa.select(usage.c.node_id).where(usage.c.node_id.in_(chunk))).scalars())
        there = set(connection.execute(sa.select(node.c.id).where(node.c.id.in_(chunk))).scalars())
        changed = [{"id": i, **_row(found[i])} for i in chunk if i in known]
        if changed:
            columns: dict[str, Any] = {name: sa.bindparam(name) for name in changed[0] if name != "id"}
            connection.execute(usage.update().where(usage.c.node_id == sa.bindparam("id")).values(columns), changed)
        new = [{"node_id": i, **_row(found[i])} for i in chunk if i in there - known]
        if new:
            try:
                with connection.begin_nested():
                    connection.execute(usage.insert(), new)
            except IntegrityError:
                continue


def _row(one: Usage) -> dict[str, Any]:
    return {
        "cpu": one.cpu,
        "memory": one.memory,
        "rx_rate": one.rx_rate,
        "tx_rate": one.tx_rate,
        "scraped": {**one.unread, **one.scraped},
        "sampled_at": one.sampled_at,
    }


def members(connection: Connection, cluster_id: str) -> list[tuple[Node, Usage | None]]:
    """All members with what was last measured of each."""
    query = (
        sa.select(*NODES.columns, *usage.c)
        .join_from(node, usage, usage.c.node_id == node.c.id, isouter=True)
        .where(node.c.cluster_id == cluster_id)
        .order_by(node.c.index, node.c.id)
    )
    width = len(NODES.columns)
    return [(NODES.value(row[:width]), _usage(row[width:])) for row in connection.execute(query)]


def _usage(values: Sequence[Any]) -> Usage | None:
    node_id, cpu, memory, rx_rate, tx_rate, scraped, sampled_at = values
    if node_id is None:
        return None
    told = {key: value for key, value in scraped.items() if not isinstance(value, str)}
    unread = {key: value for key, value in scraped.items() if isinstance(value, str)}
    return Usage(
        cpu=cpu, memory=memory, rx_rate=rx_rate, tx_rate=tx_rate, scraped=told, unread=unread, sampled_at=sampled_at
    )


# --- decisions --------------------------------------------------------------------------------------------------------


def past(connection: Connection, one: Scaled, now: float) -> list[Past]:
    """The decisions about the cluster that still count, oldest first, and always the latest."""
    c = scaling_decision.c
    ours = sa.and_(c.cluster_id == one.cluster_id, c.policy_id == one.policy_id)
    latest = sa.select(sa.func.max(c.at)).where(ours).scalar_subquery()
    counting = sa.or_(c.at >= now - history.horizon(one.rules), c.at == latest)
    rows = connection.execute(
        sa.select(c.at, c.size, c.wanted, c.acted, c.body).where(ours, counting).order_by(c.at, c.id)
    )
    return [record.past(row.at, row.size, row.wanted, row.acted, row.body) for row in rows]


def note(connection: Connection, one: Scaled, decision: Decision, *, new_id: str, action_id: str | None) -> None:
    """Store a decision, in place of the latest one if that said the same, and the samples it was made from."""
    c = scaling_decision.c
    ours = sa.and_(c.cluster_id == one.cluster_id, c.policy_id == one.policy_id)
    latest = connection.execute(
        sa.select(c.id, c.at, c.size, c.wanted, c.acted, c.body).where(ours).order_by(c.at.desc(), c.id.desc()).limit(1)
    ).first()
    body, after = record.body(decision), history.past(decision)
    before = None
    if latest is not None:
        before = record.past(latest.at, latest.size, latest.wanted, latest.acted, latest.body)
    if latest is not None and history.merged(before, after) is not None:
        values = {"at": decision.at, "body": record.renewed(latest.body, body)}
        connection.execute(scaling_decision.update().where(c.id == latest.id).values(values))
    else:
        connection.execute(
            scaling_decision.insert().values(
                id=new_id,
                cluster_id=one.cluster_id,
                policy_id=one.policy_id,
                at=decision.at,
                size=decision.size,
                wanted=decision.wanted,
                acted=decision.order is not None,
                action_id=action_id,
                body=body,
            )
        )
    _note_samples(connection, one.cluster_id, decision.samples)


def _note_samples(connection: Connection, cluster_id: str, samples: Iterable[Sample]) -> None:
    rows = [
        {
            "cluster_id": cluster_id,
            "name": one.name,
            "at": one.at,
            "value": one.value,
            "counted": one.counted,
            "members": one.members,
        }
        for one in samples
    ]
    if rows:
        connection.execute(metric.insert(), rows)


@dataclass(frozen=True, slots=True)
class Failures:
    """How many of the latest orders failed in a row, when the last of them did, and why."""

    count: int
    at: float
    reason: str


def failures(connection: Connection, one: Scaled, most: int) -> Failures | None:
    """None: the latest order did not fail, or there is none."""
    c = scaling_decision.c
    orders = (
        sa.select(action.c.status, action.c.end_time, action.c.status_reason)
        .join_from(scaling_decision, action, action.c.id == c.action_id)
        .where(c.cluster_id == one.cluster_id, c.policy_id == one.policy_id, c.acted.is_(True))
        .order_by(c.at.desc())
        .limit(most)
    )
    failed = []
    for row in connection.execute(orders):
        if row.status != ActionStatus.FAILED:
            break
        failed.append(row)
    return Failures(len(failed), failed[0].end_time or 0.0, failed[0].status_reason) if failed else None


def find_decisions(connection: Connection, query: ListQuery) -> Sequence[Row[Any]]:
    return listing.run(connection, scaling_decision, sa.select(scaling_decision), query)


@dataclass(frozen=True, slots=True)
class Stretch:
    """Which part of a history. No ``names``: all. ``after``: moment and name of the sample that comes before it."""

    names: tuple[str, ...] = ()
    since: float | None = None
    until: float | None = None
    after: tuple[float, str] | None = None
    limit: int = 1000


def find_samples(connection: Connection, cluster_id: str, stretch: Stretch) -> list[Sample]:
    """Oldest first, and those of one moment by their names."""
    c = metric.c
    where = [c.cluster_id == cluster_id]
    if stretch.names:
        where.append(c.name.in_(stretch.names))
    if stretch.since is not None:
        where.append(c.at >= stretch.since)
    if stretch.until is not None:
        where.append(c.at <= stretch.until)
    if stretch.after is not None:
        at, name = stretch.after
        where.append(sa.or_(c.at > at, sa.and_(c.at == at, c.name > name)))
    query = sa.select(c.name, c.at, c.value, c.counted, c.members).where(*where)
    return [Sample(*row) for row in connection.execute(query.order_by(c.at, c.name).limit(stretch.limit))]
