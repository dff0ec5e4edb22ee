"""Whether nodes may be given work, in their rows.

Guaranteed: what is found out about a container is written only while the row still names that container and still says of its
readiness what it said when that was found out; nobody calls a node ready whose container is about to be stopped. Taking
readiness away needs no such care. ``ready_at`` is the moment since when a node is, or is not, ready.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.action import ActionKind
from spinney.domain.event import Event
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.store.rows import EVENTS
from spinney.store.tables import action, host
from spinney.store.tables import node as table

#: What a node shows whose container may be ready.
_SETTLED = (NodeStatus.ACTIVE, NodeStatus.WARNING)
#: Actions that leave a node's status as it is and may stop its container.
_STOPPING = (ActionKind.NODE_MOVE, ActionKind.NODE_EVICT)


@dataclass(frozen=True, slots=True)
class Finding:
    """``node`` as it was when this was found; ``event``: None when only the reason differs."""

    node: Node
    ready: bool
    reason: str
    event: Event | None = None


#: What readiness is about, and whose it is: looked at every second.
_CONCERNED = (
    "id", "name", "profile_id", "cluster_id", "status", "physical_id", "user", "project", "domain", "power", "host_id",
    "ready", "ready_at", "ready_reason",
)  # fmt: skip
_LOOK = sa.select(*(table.c[name] for name in _CONCERNED)).where(table.c.id.in_(sa.bindparam("ids", expanding=True)))


def look(connection: Connection, node_ids: Collection[str]) -> list[Node]:
    """The nodes with what concerns their readiness; the rest of them is left out."""
    rows = connection.execute(_LOOK, {"ids": list(node_ids)})
    found = []
    for row in rows:
        values = dict(zip(_CONCERNED, row, strict=True))
        values |= {"status": NodeStatus(values["status"]), "power": PowerState(values["power"])}
        found.append(Node(**values))
    return found


def withdraw(connection: Connection, reasons: Mapping[str, str], now: float) -> None:
    """Nodes, by id, that are not ready from now on, and why. Of those that were not, only the reason changes."""
    rows = [{"b_id": node_id, "b_reason": reason} for node_id, reason in sorted(reasons.items())]
    if rows:
        differs = sa.or_(table.c.ready, table.c.ready_reason != sa.bindparam("b_reason"))
        connection.execute(
            table.update()
            .where(table.c.id == sa.bindparam("b_id"), differs)
            .values(
                ready_at=sa.case((table.c.ready, now), else_=table.c.ready_at),
                ready=False,
                ready_reason=sa.bindparam("b_reason"),
            ),
            rows,
        )


def record(connection: Connection, findings: Sequence[Finding], now: float) -> list[Finding]:
    """Write what was found out; returns what could be written."""
    stopping = _stopped_soon(connection, [found.node.id for found in findings if found.ready])
    written = []
    for found in findings:
        before = found.node
        where = [
            table.c.id == before.id,
            table.c.physical_id == before.physical_id,
            table.c.ready == before.ready,
            table.c.ready_at.is_(None) if before.ready_at is None else table.c.ready_at == before.ready_at,
            table.c.ready_reason == before.ready_reason,
        ]
        if found.ready:
            if before.id in stopping:
                continue
            where += [table.c.status.in_(_SETTLED), table.c.power == PowerState.RUNNING]
        changed = connection.execute(
            table.update()
            .where(*where)
            .values(
                ready=found.ready,
                ready_at=before.ready_at if found.ready == before.ready else now,
                ready_reason=found.reason,
            )
        )
        if changed.rowcount == 1:
            EVENTS.insert(connection, [found.event] if found.event is not None else [])
            written.append(found)
    return written


def _stopped_soon(connection: Connection, node_ids: Collection[str]) -> set[str]:
    if not node_ids:
        return set()
    found = connection.execute(
        sa.select(action.c.running_target).where(action.c.running_target.in_(node_ids), action.c.action.in_(_STOPPING))
    )
    return set(found.scalars())


def follow_hosts(connection: Connection, node_ids: Collection[str], now: float) -> None:
    """Hosts among the nodes are ready while they are ACTIVE."""
    if not node_ids:
        return
    hosts = table.c.id.in_(node_ids) & table.c.id.in_(sa.select(host.c.node_id).where(host.c.node_id.in_(node_ids)))
    active = table.c.status == NodeStatus.ACTIVE
    connection.execute(
        table.update().where(hosts, active, ~table.c.ready).values(ready=True, ready_at=now, ready_reason="")
    )
    connection.execute(
        table.update()
        .where(hosts, ~active, table.c.ready)
        .values(ready=False, ready_at=now, ready_reason=table.c.status_reason)
    )
