"""What follows from a share taken back: containers on hosts that their projects may no longer use have to leave."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain.action import LIVE_STATUSES, ActionKind, Cause, queued
from spinney.domain.identity import Owner
from spinney.store import actions, shares
from spinney.store.rows import NODES
from spinney.store.tables import action, node

REASON = "The host is no longer shared with this project."


def order_evictions(connection: Connection, ids: Ids, now: float, cluster_id: str | None = None) -> int:
    """Order them for every such container, of one host cluster or of all, that is not on its way out; returns how many.

    They are work of the system and yield to what their users do; one who deletes the node is faster.
    """
    residents = {one.node_id: one for one in shares.revoked_residents(connection, cluster_id)}
    leaving = connection.execute(
        sa.select(action.c.target).where(
            action.c.target.in_(residents),
            action.c.action.in_([ActionKind.NODE_EVICT.value, ActionKind.NODE_DELETE.value]),
            action.c.status.in_([status.value for status in LIVE_STATUSES]),
        )
    )
    staying = set(residents) - set(leaving.scalars())
    ordered = [
        queued(
            ActionKind.NODE_EVICT,
            found.id,
            Owner(found.user, found.project, found.domain),
            action_id=ids.new(),
            cause=Cause.HEALING,
            now=now,
            reason=REASON,
            cluster_id=found.cluster_id,
            inputs={"host": residents[found.id].host_id, "reason": REASON},
        )
        for found in NODES.all(connection, node.c.id.in_(staying))
    ]
    actions.insert(connection, ordered)
    return len(ordered)
