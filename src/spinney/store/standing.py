"""How clusters and hosts stand when containers are to be moved: who is where, who is in service, what works on whom."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.action import LIVE_STATUSES, ActionKind, ActionStatus
from spinney.domain.budget import Standing, disruption_budget, starts_first
from spinney.domain.cluster import Cluster
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.store.rows import CLUSTERS, NODES
from spinney.store.tables import action, cluster, hold, host
from spinney.store.tables import node as table

_LIVE = [status.value for status in LIVE_STATUSES]
_CHUNK = 1000
#: Actions during which a member goes on serving.
_HARMLESS = (ActionKind.NODE_CHECK, ActionKind.NODE_JOIN, ActionKind.NODE_LEAVE)


@dataclass(frozen=True, slots=True)
class Failure:
    """How the moves of a node by one action have failed."""

    times: int
    at: float
    reason: str


def placed_on(connection: Connection, host_id: str) -> list[Node]:
    """The larger before the smaller, and equals by their ids: the order in which the scheduler goes about a batch."""
    found = NODES.all(connection, table.c.host_id == host_id)
    whole = connection.execute(sa.select(host.c.cpu, host.c.memory).where(host.c.node_id == host_id)).first()

    def size(node: Node) -> tuple[float, float, str]:
        cpu = node.reserved_cpu / whole.cpu if whole is not None and whole.cpu > 0 else 0.0
        memory = node.reserved_memory / whole.memory if whole is not None and whole.memory > 0 else 0.0
        return (-max(cpu, memory), -cpu - memory, node.id)

    return sorted(found, key=size)


def arriving_at(connection: Connection, host_id: str) -> int:
    """Nodes that have room there already and are not there yet."""
    return connection.execute(sa.select(sa.func.count()).where(hold.c.host_id == host_id)).scalar_one()


def at_work(
    connection: Connection, node_ids: Collection[str], without: Collection[str] = ()
) -> dict[str, list[ActionKind]]:
    """The kinds of the live actions on each node, but those that leave it alone and those named by their ids in ``without``;
    nodes without any are left out."""
    found: dict[str, list[ActionKind]] = defaultdict(list)
    for chunk in _chunks(node_ids):
        rows = connection.execute(
            sa.select(action.c.target, action.c.action, action.c.id)
            .where(action.c.target.in_(chunk), action.c.status.in_(_LIVE), action.c.action != ActionKind.NODE_FETCH)
            .order_by(action.c.created_at, action.c.id)
        )
        for target, kind, action_id in rows:
            if action_id not in without:
                found[target].append(ActionKind(kind))
    return dict(found)


def ordered_by(connection: Connection, parent_id: str) -> set[str]:
    """The nodes on which something lives that the action has ordered."""
    rows = connection.execute(
        sa.select(action.c.target).where(action.c.parent_id == parent_id, action.c.status.in_(_LIVE))
    )
    return set(rows.scalars())


def _chunks(ids: Collection[str]) -> Iterator[list[str]]:
    """A host cluster has more containers than a statement may have parameters."""
    every = list(ids)
    for first in range(0, len(every), _CHUNK):
        yield every[first : first + _CHUNK]


def serves(node: Node) -> bool:
    return node.status is NodeStatus.ACTIVE and node.power is PowerState.RUNNING and node.ready


def failures(connection: Connection, parent_id: str) -> Mapping[str, Failure]:
    """By node: the moves that this action has ordered and that did not succeed."""
    rows = connection.execute(
        sa.select(action.c.target, action.c.end_time, action.c.status_reason)
        .where(
            action.c.parent_id == parent_id,
            action.c.status.in_([ActionStatus.FAILED.value, ActionStatus.CANCELLED.value]),
        )
        .order_by(action.c.end_time, action.c.id)
    )
    found: dict[str, Failure] = {}
    for target, ended, reason in rows:
        before = found.get(target)
        found[target] = Failure(1 if before is None else before.times + 1, ended or 0.0, reason)
    return found


def standings(connection: Connection, cluster_ids: Iterable[str]) -> list[Standing]:
    """The clusters as their disruption budgets see them.

    Out of service are members that are not ACTIVE and ready, that something works on which takes them out, or whose host does
    not answer, and those that are missing. Members that their user has stopped or paused are neither in nor out. Where new
    containers come first nobody is counted: nothing depends on it.
    """
    wanted = sorted(set(cluster_ids) - {""})
    found = CLUSTERS.all(connection, cluster.c.id.in_(wanted)) if wanted else []
    strict = [one.id for one in found if not starts_first(one.config)]
    members: dict[str, list[Node]] = defaultdict(list)
    for member in NODES.all(connection, table.c.cluster_id.in_(strict)) if strict else ():
        members[member.cluster_id].append(member)
    silent = silent_hosts(connection) if strict else set()
    return [_standing(connection, one, members[one.id], silent) for one in found]


def _standing(connection: Connection, one: Cluster, members: Sequence[Node], silent: Collection[str]) -> Standing:
    size = max(one.desired_capacity, len(members))
    budget = disruption_budget(one.config, size)
    if starts_first(one.config):
        return Standing(one.id, one.name, size, 0, budget)
    out = _out(connection, members, silent) + size - len(members)
    return Standing(one.id, one.name, size, out, budget, starts_first=False)


def _out(connection: Connection, members: Sequence[Node], silent: Collection[str]) -> int:
    busy = at_work(connection, [member.id for member in members])
    return sum(
        member.power is PowerState.RUNNING
        and (
            member.status is not NodeStatus.ACTIVE
            or not member.ready
            or member.host_id in silent
            or any(kind not in _HARMLESS for kind in busy.get(member.id, ()))
        )
        for member in members
    )


def silent_hosts(connection: Connection) -> set[str]:
    rows = connection.execute(sa.select(host.c.node_id).where(host.c.state.in_(["suspect", "lost"])))
    return set(rows.scalars())


def recently_moved(connection: Connection, node_ids: Collection[str], since: float) -> set[str]:
    """Those of the nodes that a move has taken somewhere after that moment, whoever ordered it."""
    found: set[str] = set()
    for chunk in _chunks(node_ids):
        rows = connection.execute(
            sa.select(action.c.target).where(
                action.c.target.in_(chunk),
                action.c.action == ActionKind.NODE_MOVE,
                action.c.status == ActionStatus.SUCCEEDED,
                action.c.end_time > since,
            )
        )
        found.update(rows.scalars())
    return found
