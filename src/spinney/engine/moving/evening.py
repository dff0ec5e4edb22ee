"""Rebalancing by itself: ordered for host clusters that want it, some time after a host has joined or returned.

Of the engines alive one looks after each host cluster (rendezvous hashing, as for hosts). The same loop wakes what has
waited long enough: the windows of moves, and nodes that were to be told of before they go.
"""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain import ownership
from spinney.domain.action import Action, ActionKind, Cause, queued
from spinney.domain.cluster import Cluster
from spinney.domain.cluster_config import RebalanceMode, Rebalancing, rebalancing
from spinney.domain.identity import Owner
from spinney.engine.worker import Session
from spinney.store import actions, engines, lifecycle, windows
from spinney.store.rows import CLUSTERS
from spinney.store.tables import cluster as table
from spinney.store.tables import host as host_table
from spinney.store.tables import node as node_table

#: Seconds between looks at windows and at clusters that are due.
_TICK = 1.0
#: Moves that one rebalance nobody asked for makes at most; it is paced by moves per minute.
_BY_ITSELF = 100


async def look_after(session: Session) -> None:
    """Wake what has waited long enough, and rebalance clusters whose time has come. Runs until cancelled."""
    store, clock = session.context.store, session.context.clock
    while True:
        await clock.sleep(_TICK)
        if await store.read(windows.due, clock.now()) and await store.transact(windows.wake, clock.now()):
            session.wake_at(clock.now())
        if await store.read(lifecycle.due, clock.now()) and await store.transact(lifecycle.release_due, clock.now()):
            session.wake_at(clock.now())
        mine = await store.read(_due, session.id, clock.now())
        if mine:
            await store.transact(_order, session.context.ids, mine, clock.now())
            session.wake_at(clock.now())


def _due(connection: Connection, engine_id: str, now: float) -> list[str]:
    """The host clusters of this engine in which a host has joined or returned, and things have settled since."""
    of_hosts = sa.select(node_table.c.cluster_id).join(host_table, host_table.c.node_id == node_table.c.id).distinct()
    waiting = [c.id for c in CLUSTERS.all(connection, table.c.id.in_(of_hosts)) if _due_at(c, now)]
    alive = [row.id for row in engines.alive(connection)] if waiting else []
    return [cluster_id for cluster_id in waiting if ownership.owner(cluster_id, alive) == engine_id]


def _due_at(cluster: Cluster, now: float) -> bool:
    due = cluster.data.get("rebalance", {}).get("due_at")
    return due is not None and due <= now and rebalancing(cluster.config).mode is not RebalanceMode.OFF


def _order(connection: Connection, ids: Ids, cluster_ids: Sequence[str], now: float) -> None:
    """Queue a rebalance for each; one on which something works waits for the next look."""
    busy = actions.live_targets(connection, cluster_ids)
    found = [c for c in CLUSTERS.all(connection, table.c.id.in_(cluster_ids)) if c.id not in busy and _due_at(c, now)]
    ordered = []
    for cluster in found:
        due = cluster.data["rebalance"]
        wanted = rebalancing(cluster.config)
        ordered.append(_ordered(cluster, wanted, str(due["because"]), ids.new(), now))
        left = {key: value for key, value in due.items() if key not in ("due_at", "because")}
        connection.execute(
            table.update().where(table.c.id == cluster.id).values(data={**cluster.data, "rebalance": left})
        )
    actions.insert(connection, ordered)


def _ordered(cluster: Cluster, wanted: Rebalancing, because: str, action_id: str, now: float) -> Action:
    return queued(
        ActionKind.CLUSTER_REBALANCE,
        cluster.id,
        Owner(cluster.user, cluster.project, cluster.domain),
        action_id=action_id,
        cause=Cause.HEALING,
        now=now,
        reason=f"Rebalancing: {because}",
        cluster_id=cluster.id,
        inputs={"dry_run": wanted.mode is RebalanceMode.ADVISE, "because": because, "max_moves": _BY_ITSELF},
    )
