"""What health needs of the store: who should be on a host, ordering repairs, and nodes that wait for room."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain.action import Action
from spinney.domain.breaker import Failure
from spinney.domain.cluster import Cluster
from spinney.domain.event import Event
from spinney.domain.node import Node, NodeStatus
from spinney.store import actions, balancing, health_rules, readiness, status
from spinney.store.health_rules import Ruled
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
    #: The clusters with a health policy.
    ruled: Mapping[str, Ruled] = field(default_factory=dict)


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
        ruled=health_rules.ruled(connection, cluster_ids),
    )


@dataclass(frozen=True, slots=True)
class Finding:
    """A member that is not as wanted: what to show, what to record, and the repair ordered, if any."""

    node: Node
    reason: str
    event: Event
    repair: Action | None = None
    repairs: int = 0
    #: What it shows where nothing is repaired. While its container runs it may go on serving.
    left: NodeStatus = NodeStatus.ERROR
    #: What says whether and how it is recovered; None: Spinney's own healing.
    ruled: Ruled | None = None


def record(connection: Connection, findings: Iterable[Finding], ids: Ids, now: float) -> list[Finding]:
    """Store findings about nodes that nothing works on and that have not changed since they were looked at."""
    stored = []
    for finding in _admitted(connection, [one for one in findings if _holds(connection, one)], ids, now):
        node = finding.node
        status_now = finding.left if finding.repair is None else NodeStatus.ERROR
        changes: dict[str, Any] = {"status": status_now, "status_reason": finding.reason}
        if finding.repair is not None:
            changes |= {"repairs": finding.repairs, "repaired_at": finding.repair.ready_at}
        elif (node.status, node.status_reason) == (status_now, finding.reason):
            continue  # known already, and nothing is to be done about it
        if connection.execute(table.update().where(_unchanged(node)).values(changes)).rowcount != 1:
            continue
        if status_now is NodeStatus.ERROR:
            readiness.withdraw(connection, {node.id: finding.reason}, now)
        EVENTS.insert(connection, [finding.event])
        if finding.repair is not None:
            actions.insert(connection, [finding.repair])
        status.refresh(connection, [node.cluster_id], f"node {node.name}: {finding.reason}")
        stored.append(finding)
    return stored


def _holds(connection: Connection, finding: Finding) -> bool:
    """Whether what was found is still about what is there."""
    if actions.live_targets(connection, [finding.node.id]):
        return False
    return connection.execute(sa.select(table.c.id).where(_unchanged(finding.node))).first() is not None


def _unchanged(node: Node) -> sa.ColumnElement[bool]:
    return sa.and_(
        table.c.id == node.id,
        table.c.status == node.status,
        table.c.generation == node.generation,
        table.c.physical_id == node.physical_id,
        table.c.power == node.power,
    )


def _admitted(connection: Connection, findings: Sequence[Finding], ids: Ids, now: float) -> list[Finding]:
    """The same without the repairs that the breakers of their clusters do not let through."""
    groups: dict[str, list[Finding]] = defaultdict(list)
    for one in findings:
        if one.ruled is not None and one.repair is not None:
            groups[one.node.cluster_id].append(one)
    let: set[str] = set()
    for group in groups.values():
        ruled = group[0].ruled
        assert ruled is not None
        let |= health_rules.admitted(connection, ruled, [_failure(finding) for finding in group], ids.new(), now)
    held = {finding.node.id for group in groups.values() for finding in group} - let
    return [replace(finding, repair=None) if finding.node.id in held else finding for finding in findings]


def _failure(finding: Finding) -> Failure:
    assert finding.ruled is not None
    node, closed_at = finding.node, finding.ruled.breaker.closed_at
    repaired = node.repaired_at is not None and node.repaired_at > closed_at
    return Failure(node.id, news=node.status is NodeStatus.ACTIVE or repaired)


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
