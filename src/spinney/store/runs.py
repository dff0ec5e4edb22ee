"""Runs of clusters that do a job and end, and the members they are made of.

Guaranteed: a cluster's runs are numbered without two being alike, and how a member ended is noted once, while its row still
names the container that ended. Whoever changes runs of a cluster holds its row (``held``), so that two engines never do at the
same time.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain import runs as domain
from spinney.domain.action import LIVE_STATUSES, ActionKind
from spinney.domain.cluster import Cluster
from spinney.domain.event import Event
from spinney.domain.host import HostState
from spinney.domain.node import Node
from spinney.domain.runs import Ending, Run, Seen
from spinney.store import actions, status
from spinney.store.rows import CLUSTERS, EVENTS, NODES, RUNS
from spinney.store.tables import action, cluster, host
from spinney.store.tables import node as nodes
from spinney.store.tables import run as table

_LIVE = [status.value for status in LIVE_STATUSES]
_SILENT = (HostState.SUSPECT.value, HostState.LOST.value)


def held(connection: Connection, cluster_id: str) -> Cluster | None:
    """The cluster, for this transaction alone. None: it is not there any more, or on its way out."""
    row = connection.execute(CLUSTERS.select().where(cluster.c.id == cluster_id).with_for_update()).first()
    return None if row is None or leaving(connection, [cluster_id]) else CLUSTERS.value(row)


def leaving(connection: Connection, cluster_ids: Collection[str]) -> set[str]:
    """Those of the clusters that are to be deleted, or are no more."""
    if not cluster_ids:
        return set()
    doomed = connection.execute(
        sa.select(action.c.target).where(
            action.c.target.in_(cluster_ids),
            action.c.action == ActionKind.CLUSTER_DELETE.value,
            action.c.status.in_(_LIVE),
        )
    ).scalars()
    there = connection.execute(sa.select(cluster.c.id).where(cluster.c.id.in_(cluster_ids))).scalars()
    return set(doomed) | (set(cluster_ids) - set(there))


# --- rows -------------------------------------------------------------------------------------------------------------


def unended(connection: Connection, cluster_ids: Collection[str] | None = None) -> dict[str, list[Run]]:
    """By cluster, in the order of their numbers; of all clusters, unless some are named."""
    where = [table.c.ended_at.is_(None)]
    if cluster_ids is not None:
        where.append(table.c.cluster_id.in_(cluster_ids))
    found: dict[str, list[Run]] = defaultdict(list)
    for run in sorted(RUNS.all(connection, *where), key=lambda run: run.number):
        found[run.cluster_id].append(run)
    return found


def of_cluster(connection: Connection, cluster_id: str, limit: int | None = None) -> list[Run]:
    """The newest first."""
    query = RUNS.select().where(table.c.cluster_id == cluster_id).order_by(table.c.number.desc()).limit(limit)
    return [RUNS.value(row) for row in connection.execute(query)]


def ended(connection: Connection, cluster_ids: Collection[str]) -> dict[str, list[Run]]:
    """By cluster, the newest first."""
    found: dict[str, list[Run]] = defaultdict(list)
    of_these = table.c.cluster_id.in_(cluster_ids), table.c.ended_at.is_not(None)
    for run in sorted(RUNS.all(connection, *of_these) if cluster_ids else [], key=lambda run: -run.number):
        found[run.cluster_id].append(run)
    return found


def get(connection: Connection, cluster_id: str, number: int) -> Run | None:
    return RUNS.one(connection, table.c.cluster_id == cluster_id, table.c.number == number)


def next_number(connection: Connection, cluster_id: str) -> int:
    latest = sa.select(sa.func.max(table.c.number)).where(table.c.cluster_id == cluster_id)
    return (connection.execute(latest).scalar() or 0) + 1


def known_times(connection: Connection, cluster_id: str, times: Collection[float]) -> set[float]:
    """Those of the scheduled times for which there is a run already."""
    if not times:
        return set()
    query = sa.select(table.c.scheduled_at).where(table.c.cluster_id == cluster_id, table.c.scheduled_at.in_(times))
    return {moment for moment in connection.execute(query).scalars() if moment is not None}


def insert(connection: Connection, run: Run) -> None:
    RUNS.insert(connection, [run])


def store(connection: Connection, before: Run, after: Run) -> None:
    old, new = RUNS.row(before), RUNS.row(after)
    changes = {name: value for name, value in new.items() if value != old[name]}
    if changes:
        connection.execute(table.update().where(table.c.id == after.id).values(changes))


def remove(connection: Connection, runs: Iterable[Run]) -> None:
    ids = [run.id for run in runs]
    if ids:
        connection.execute(table.delete().where(table.c.id.in_(ids)))


def forget(connection: Connection, cluster_id: str) -> None:
    """All runs of a cluster that is no more."""
    connection.execute(table.delete().where(table.c.cluster_id == cluster_id))


# --- members ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Member:
    node: Node
    busy: bool
    #: Seconds since its host, if that is silent, last answered.
    silent_for: float = 0.0

    def seen(self, run: Run) -> Seen:
        return domain.seen(self.node, busy=self.busy, silent_for=self.silent_for, lost_after=run.rules.lost_after)


def members(connection: Connection, node_ids: Collection[str], now: float) -> dict[str, Member]:
    """Those of the nodes that there still are, by id."""
    found = NODES.all(connection, nodes.c.id.in_(node_ids)) if node_ids else []
    busy = actions.live_targets(connection, [node.id for node in found])
    silent = _silent(connection, {node.host_id for node in found if node.host_id is not None}, now)
    return {node.id: Member(node, node.id in busy, silent.get(node.host_id or "", 0.0)) for node in found}


def _silent(connection: Connection, host_ids: Collection[str], now: float) -> dict[str, float]:
    if not host_ids:
        return {}
    rows = connection.execute(
        sa.select(host.c.node_id, host.c.seen_at).where(host.c.node_id.in_(host_ids), host.c.state.in_(_SILENT))
    )
    return {host_id: max(now - (seen_at or 0.0), 0.0) for host_id, seen_at in rows}


def all_members(connection: Connection, cluster_id: str) -> list[Node]:
    """Everything in the cluster that any run has made, in the order in which it was."""
    found = NODES.all(connection, nodes.c.cluster_id == cluster_id)
    return sorted((one for one in found if domain.place_of(one.data) is not None), key=lambda one: one.index)


def strangers(connection: Connection, cluster_id: str) -> int:
    """How many of the cluster's members no run has made."""
    found = connection.execute(sa.select(nodes.c.data).where(nodes.c.cluster_id == cluster_id)).scalars()
    return sum(domain.place_of(data) is None for data in found)


def note_end(connection: Connection, before: Node, ending: Ending, event: Event, now: float) -> bool:
    """How a member's container ended, unless somebody works on it or it has another container by now; False then."""
    unchanged = (
        nodes.c.id == before.id,
        nodes.c.physical_id == before.physical_id,
        nodes.c.generation == before.generation,
        nodes.c.power == before.power,
    )
    row = connection.execute(NODES.select().where(*unchanged).with_for_update()).first()
    if row is None or actions.live_targets(connection, [before.id]):
        return False
    node = NODES.value(row)
    end(connection, node, ending, now)
    EVENTS.insert(connection, [event])
    status.refresh(connection, [node.cluster_id], f"node {node.name}: {ending.reason}")
    return True


def end(connection: Connection, node: Node, ending: Ending, now: float) -> None:
    connection.execute(nodes.update().where(nodes.c.id == node.id).values(domain.ended_changes(node, ending, now)))
