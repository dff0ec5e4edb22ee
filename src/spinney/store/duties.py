"""What the operator wants of a host, and what is shown of that while it answers or not.

Guaranteed: ``host.state`` and ``host.duty`` never disagree: a host that answers shows its duty, one that does not keeps its
duty and shows it again when it is back. A change that makes room (a host that is open and answers) marks its cluster for
rebalancing in the same transaction.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.cluster_config import RebalanceMode, rebalancing
from spinney.domain.event import Event
from spinney.domain.host import STATE_WHILE, Duty, HostState
from spinney.store.rows import EVENTS
from spinney.store.tables import cluster, node
from spinney.store.tables import host as table

#: States in which a host answers and its duty shows.
_ANSWERING = [state.value for state in STATE_WHILE.values()]
_SHOWN = sa.case({duty.value: state.value for duty, state in STATE_WHILE.items()}, value=table.c.duty)


def set_duty(connection: Connection, host_id: str, duty: Duty, reason: str, now: float) -> bool:
    """True when that changed something."""
    changed = connection.execute(
        table.update()
        .where(table.c.node_id == host_id, sa.or_(table.c.duty != duty, table.c.duty_reason != reason))
        .values(duty=duty, duty_reason=reason)
    )
    if not changed.rowcount:
        return False
    _show(connection, host_id, table.c.state.in_(_ANSWERING))
    if duty is Duty.OPEN:
        room_appeared(connection, host_id, "is open again", now)
    return True


def drain_ended(connection: Connection, host_id: str, reason: str, now: float) -> None:
    """A host that is drained no more stays cordoned; one that was given another duty meanwhile keeps that."""
    draining = sa.select(table.c.node_id).where(table.c.node_id == host_id, table.c.duty == Duty.DRAINING)
    if connection.execute(draining.with_for_update()).first() is not None:
        set_duty(connection, host_id, Duty.CORDONED, reason, now)


def answers(connection: Connection, host_id: str, now: float, event: Event | None = None) -> bool:
    """Note that a host answers; True, and the event is stored, when it had not."""
    connection.execute(table.update().where(table.c.node_id == host_id).values(seen_at=now))
    back = _show(connection, host_id, table.c.state.in_([HostState.SUSPECT.value, HostState.LOST.value]))
    if back:
        room_appeared(connection, host_id, "answers again", now)
        EVENTS.insert(connection, [event] if event is not None else [])
    return back


def silent(connection: Connection, host_id: str, reason: str, event: Event | None = None) -> bool:
    """Mark a host that answered as suspect: nothing new is placed there. True, and the event is stored, when that is news."""
    changed = connection.execute(
        table.update()
        .where(table.c.node_id == host_id, table.c.state.in_(_ANSWERING))
        .values(state=HostState.SUSPECT, state_reason=reason)
    )
    if changed.rowcount and event is not None:
        EVENTS.insert(connection, [event])
    return changed.rowcount > 0


def _show(connection: Connection, host_id: str, *where: sa.ColumnElement[bool]) -> bool:
    shown = connection.execute(
        table.update().where(table.c.node_id == host_id, *where).values(state=_SHOWN, state_reason=table.c.duty_reason)
    )
    return shown.rowcount > 0


def room_appeared(connection: Connection, host_id: str, because: str, now: float, into: str | None = None) -> None:
    """Have the host's cluster (``into``: the one it is about to join) rebalanced once things have settled, if it wants that."""
    found = connection.execute(
        sa.select(cluster.c.id, cluster.c.config, cluster.c.data, node.c.name)
        .join_from(node, cluster, cluster.c.id == (node.c.cluster_id if into is None else into))
        .join(table, table.c.node_id == node.c.id)
        .where(node.c.id == host_id, table.c.state == HostState.READY.value)
    ).first()
    if found is None:
        return
    wanted = rebalancing(found.config)
    if wanted.mode is RebalanceMode.OFF:
        return
    due = {"due_at": now + wanted.settling, "because": f"host {found.name} {because}"}
    data = {**found.data, "rebalance": {**found.data.get("rebalance", {}), **due}}
    connection.execute(cluster.update().where(cluster.c.id == found.id).values(data=data))
