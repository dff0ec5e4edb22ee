"""Load balancers and the members of their pools, as rows.

Guaranteed: a pool that goes takes its members' rows with it, so that nobody waits for it. Not guaranteed: that somebody acts on
what is asked of a member; whoever waits has a deadline of its own.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.store.tables import pool_member as table

#: No traffic goes there: its container may be stopped.
OUT = "out"


def _of(node_id: str, physical_id: str) -> sa.ColumnElement[bool]:
    return (table.c.node_id == node_id) & (table.c.physical_id == physical_id)


def in_pools(connection: Connection, node_id: str, physical_id: str) -> bool:
    """Whether some pool may still send something to the container."""
    query = sa.select(table.c.balancer_id).where(_of(node_id, physical_id), table.c.state != OUT)
    return connection.execute(query.limit(1)).first() is not None


def ask_to_leave(connection: Connection, node_id: str, physical_id: str, action_id: str, leave_by: float) -> None:
    """Have the container taken out of every pool it is in, and kept out for as long as the action lives."""
    rows = connection.execute(sa.select(table.c.balancer_id, table.c.data).where(_of(node_id, physical_id))).all()
    for balancer_id, data in rows:
        connection.execute(
            table.update()
            .where(_of(node_id, physical_id), table.c.balancer_id == balancer_id)
            .values(leave_by=leave_by, data={**data, "asked_by": action_id})
        )
