"""One engine decides for each autoscaled cluster, on its policy's interval.

Guaranteed: what is decided is stored in the transaction that orders it, and orders are the cluster's ordinary actions, which
yield to users'; nothing is ordered while another action holds the cluster; what is remembered from one evaluation to the next
is read from the stored decisions, so that another engine goes on where this one stopped. A change of the cluster's sizes or of
its policy is looked at within seconds. Not guaranteed: that no evaluation is missed when engines change.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection

from spinney.domain import event as events
from spinney.domain import ownership
from spinney.domain.action import Action, ActionKind, Cause, queued
from spinney.domain.autoscale.deciding import evaluate
from spinney.domain.autoscale.history import remembered
from spinney.domain.autoscale.usage import needs
from spinney.domain.autoscale.values import Decision
from spinney.domain.cluster import Cluster
from spinney.domain.event import Level
from spinney.domain.identity import Owner
from spinney.domain.sizing import Adjustment
from spinney.engine.autoscaling import situation
from spinney.engine.context import EngineContext
from spinney.engine.worker import Session
from spinney.errors import LeaseLost
from spinney.store import actions, autoscaling, engines
from spinney.store.autoscaling import Scaled
from spinney.store.rows import CLUSTERS, EVENTS
from spinney.store.tables import cluster as table

log = logging.getLogger(__name__)

#: Seconds between looks at what is due.
_TICK = 1.0


@dataclass(frozen=True, slots=True)
class _Due:
    """``changed``: what is not waited for when it changes. ``at``: on the engine's own clock."""

    at: float
    changed: tuple[str, int, int]


async def look_after(session: Session) -> None:
    """Have members looked at as policies need it, and evaluate the clusters of this engine. Runs until cancelled."""
    context = session.context
    due: dict[str, _Due] = {}
    while True:
        await context.clock.sleep(_TICK)
        every, alive = await context.store.read(_read)
        context.wanted.needs = {one.cluster_id: needs(one.rules) for one in every}
        found = context.wanted.take()
        if found:
            await context.store.transact(autoscaling.write_usage, found)
        mine = [one for one in every if ownership.owner(one.cluster_id, alive) == session.id]
        due = {one.cluster_id: due[one.cluster_id] for one in mine if one.cluster_id in due}
        for one in _due_now(mine, due, context.clock.monotonic()):
            await _evaluate(session, one)


def _read(connection: Connection) -> tuple[list[Scaled], list[str]]:
    every = autoscaling.scaled(connection)
    return every, [row.id for row in engines.alive(connection)] if every else []


def _due_now(mine: Iterable[Scaled], due: dict[str, _Due], now: float) -> list[Scaled]:
    """Notes when these are due again."""
    found = []
    for one in mine:
        changed = (one.policy_id, one.min_size, one.max_size)
        known, interval = due.get(one.cluster_id), one.rules.interval
        if known is None or known.changed != changed or now - known.at > interval:
            known = _Due(now, changed)
        if known.at <= now:
            due[one.cluster_id] = _Due(known.at + interval, changed)
            found.append(one)
    return found


async def _evaluate(session: Session, one: Scaled) -> None:
    context = session.context
    try:
        ordered = await context.store.transact(decide, context, one.cluster_id)
    except LeaseLost:
        raise
    except Exception:
        log.exception("cluster %s could not be evaluated", one.cluster_id)
        return
    if ordered is not None:
        log.info("cluster %s: %s", one.cluster_id, ordered.status_reason)
        session.wake_at(context.clock.now())


def decide(connection: Connection, context: EngineContext, cluster_id: str) -> Action | None:
    """Evaluate a cluster, store what comes of it, and order what is to be done."""
    row = connection.execute(CLUSTERS.select().where(table.c.id == cluster_id).with_for_update()).first()
    found = autoscaling.scaled(connection, cluster_id)
    if row is None or not found:
        return None
    (one,), cluster, now = found, CLUSTERS.value(row), context.clock.now()
    rules = context.rules
    seen = situation.look(connection, rules.catalog, cluster, one, rules.cluster.max_nodes, now)
    decision = evaluate(one.rules, seen, remembered(autoscaling.past(connection, one, now), one.rules, now))
    ordered = _order(context, cluster, decision)
    action_id = None if ordered is None else ordered.id
    autoscaling.note(connection, one, decision, new_id=context.ids.new(), action_id=action_id)
    if ordered is not None:
        actions.insert(connection, [ordered])
        EVENTS.insert(connection, [_event(context, cluster, decision, ordered)])
    return ordered


def _order(context: EngineContext, cluster: Cluster, decision: Decision) -> Action | None:
    order = decision.order
    if order is None:
        return None
    inputs: dict[str, object] = {"count": order.number}
    if order.kind is ActionKind.CLUSTER_RESIZE:
        inputs = {"adjustment_type": Adjustment.EXACT.value, "number": order.number}
    return queued(
        order.kind,
        cluster.id,
        Owner(cluster.user, cluster.project, cluster.domain),
        action_id=context.ids.new(),
        cause=Cause.HEALING,
        now=decision.at,
        reason=f"Autoscaling: {decision.sentence}",
        cluster_id=cluster.id,
        timeout=cluster.timeout,
        inputs=inputs,
    )


def _event(context: EngineContext, cluster: Cluster, decision: Decision, ordered: Action) -> events.Event:
    return events.of_cluster(
        Owner(cluster.user, cluster.project, cluster.domain),
        cluster_id=cluster.id,
        cluster_name=cluster.name,
        kind="CLUSTER_AUTOSCALING",
        level=Level.INFO,
        reason=decision.sentence,
        event_id=context.ids.new(),
        now=decision.at,
        data={"action_id": ordered.id, "size": decision.size, "wanted": decision.wanted, "by": decision.by.value},
    )
