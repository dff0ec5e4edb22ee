"""What health needs of the store: who should be on a host, ordering repairs, and nodes that wait for room."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.action import Action
from spinney.domain.cluster import Cluster
from spinney.domain.event import Event
from spinney.domain.node import Node, NodeStatus
from spinney.store import actions, balancing, readiness, status
from spinney.store.rows import CLUSTERS, EVENTS, NODES
from spinney.store.tables import cluster as cluster_table
from spinney.store.tables import hold
from spinney.store.tables import node as table


@dataclass(frozen=True, slots=True)
class Expectation:
    """Nodes by id with what was asked about them, those of them on which an action lives, and those on their way here."""

    nodes: Mapping[str, Node]
    busy: frozenset[str]
    clusters: Mapping[str, Cluster]
    coming: frozenset[str] = frozenset()
    #: Those that are load balancers.
    balancing: frozenset[str] = frozenset()


def on_host(connection: Connection, host_id: str, also: Collection[str] = ()) -> Expectation:
    """All nodes placed on a host, and the nodes named in ``also`` wherever they are."""
    where = table.c.host_id == host_id
    if also:
        where = sa.or_(where, table.c.id.in_(also))
    coming = connection.execute(sa.select(hold.c.node_id).where(hold.c.host_id == host_id)).scalars()
    return replace(_expect(connection, NODES.all(connection, where)), coming=frozenset(coming))


def named(connection: Connection, node_ids: Collection[str]) -> Expectation:
    return _expect(connection, NODES.all(connection, table.c.id.in_(node_ids)) if node_ids else [])


def _expect(connection: Connection, nodes: Iterable[Node]) -> Expectation:
    by_id = {n.id: n for n in nodes}
    cluster_ids = {n.cluster_id for n in by_id.values() if n.cluster_id}
    found = CLUSTERS.all(connection, cluster_table.c.id.in_(cluster_ids)) if cluster_ids else []
    return Expectation(
        by_id,
        frozenset(actions.live_targets(connection, by_id)),
        {c.id: c for c in found},
        balancing=balancing.among(connection, by_id),
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """A member that is not as wanted: what to show, what to record, and the repair ordered, if any."""

    node: Node
    reason: str
    event: Event
    gone: bool
    repair: Action | None = None
    repairs: int = 0


def record(connection: Connection, findings: Iterable[Finding], now: float) -> list[Finding]:
    """Store findings about nodes that nothing works on and that have not changed since they were looked at."""
    stored = []
    for finding in findings:
        node = finding.node
        changes: dict[str, Any] = {"status": NodeStatus.ERROR, "status_reason": finding.reason}
        if finding.repair is not None:
            changes |= {"repairs": finding.repairs, "repaired_at": finding.repair.ready_at}
        unchanged = sa.and_(
            table.c.id == node.id,
            table.c.status == node.status,
            table.c.generation == node.generation,
            table.c.physical_id == node.physical_id,
            table.c.power == node.power,
        )
        if actions.live_targets(connection, [node.id]):
            continue
        if connection.execute(table.update().where(unchanged).values(changes)).rowcount != 1:
            continue
        readiness.withdraw(connection, {node.id: finding.reason}, now)
        EVENTS.insert(connection, [finding.event])
        if finding.repair is not None:
            actions.insert(connection, [finding.repair])
        status.refresh(connection, [node.cluster_id], f"node {node.name}: {finding.reason}")
        stored.append(finding)
    return stored


def recovered(connection: Connection, nodes: Iterable[Node], reason: str) -> None:
    """Members in WARNING or ERROR that were found well again by themselves."""
    for node in nodes:
        if actions.live_targets(connection, [node.id]):
            continue
        changed = connection.execute(
            table.update()
            .where(
                table.c.id == node.id,
                table.c.status == node.status,
                table.c.physical_id == node.physical_id,
                ~table.c.status_reason.startswith(balancing.COMPLAINT, autoescape=True),
            )
            .values(status=NodeStatus.ACTIVE, status_reason=reason)
        )
        if changed.rowcount:
            status.refresh(connection, [node.cluster_id], f"node {node.name}: {reason}")


def waiting(connection: Connection, limit: int, after: tuple[float, str] = (0.0, "")) -> list[Node]:
    """Nodes for which no host had room, the longest waiting first, without those that something works on already.

    ``after`` is ``waiting_since`` and id of the last one seen: nodes that can never be placed must not hide the others.
    """
    since, last = after
    behind = sa.or_(table.c.waiting_since > since, sa.and_(table.c.waiting_since == since, table.c.id > last))
    query = NODES.select().where(behind).order_by(table.c.waiting_since, table.c.id).limit(limit)
    found = [NODES.value(row) for row in connection.execute(query)]
    busy = actions.live_targets(connection, [n.id for n in found])
    return [n for n in found if n.id not in busy]


def waits_on(connection: Connection, waiting_node: Node, reason: str, decision_id: str, step: int) -> None:
    """A node that goes on waiting, for another reason than before."""
    still = (table.c.id == waiting_node.id) & table.c.waiting_since.is_not(None) & table.c.host_id.is_(None)
    connection.execute(
        table.update().where(still).values(status_reason=reason, decision_id=decision_id, decision_step=step)
    )
