"""Nodes that wait for room: placed by themselves as soon as a host has some, woken by whatever may have made it.

Guaranteed: a node that fits is ordered within a tick even when every signal is lost. What a waiting node says of its reasons is
what the scheduler last found.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress

from sqlalchemy import Connection

from spinney.domain.action import Action, ActionKind, Cause, queued
from spinney.domain.identity import Owner
from spinney.domain.node import Node
from spinney.domain.placement.answers import Placed, Waiting
from spinney.domain.placement.model import PlacementRequest
from spinney.domain.placement.scheduler import Fleet
from spinney.engine.catalog import ContainerProfile
from spinney.engine.context import EngineContext
from spinney.engine.endings import waiting_reason
from spinney.engine.placing import preempting
from spinney.engine.placing.asking import discreet, load_fleet, requests_for, store_decisions
from spinney.engine.worker import Session
from spinney.store import actions, healing, tenants

#: Seconds between looks when nothing says that there is room.
_TICK = 1.0
#: Seconds in which further news of room is gathered.
_GATHER = 0.02
_AT_ONCE = 200

Work = tuple[Node, ContainerProfile]


async def revive(session: Session) -> None:
    """Runs until cancelled."""
    context = session.context
    seen = (0.0, "")
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(_TICK):
                await session.room.wait()
                await context.clock.sleep(_GATHER)
        session.room.clear()
        waiting = await context.store.read(healing.waiting, _AT_ONCE, seen)
        seen = (waiting[-1].waiting_since or 0.0, waiting[-1].id) if len(waiting) == _AT_ONCE else (0.0, "")
        if waiting:
            ordered = await context.store.transact(_order_creations, context, waiting)
            if context.scheduler.preemption:
                ordered += await context.store.transact(preempting.order, context, session.id, waiting)
            if ordered:
                session.wake_at(context.clock.now())


def _order_creations(connection: Connection, context: EngineContext, waiting: list[Node]) -> int:
    profiles = context.rules.catalog.load(connection, {n.profile_id for n in waiting})
    wanted = [(n, p) for n in waiting if isinstance(p := profiles.get(n.profile_id), ContainerProfile)]
    if not wanted:
        return 0
    now = context.clock.now()
    requests = requests_for(connection, wanted)
    fleet = load_fleet(connection, requests, context.rules.subnet_count, now)
    answers = discreet(connection, requests, _place(connection, fleet, wanted, requests))
    busy = actions.live_targets(connection, [n.id for n, _ in wanted])
    free = [(n, answer) for (n, _), answer in zip(wanted, answers, strict=True) if n.id not in busy]
    ordered = [_creation(context, n, now) for n, answer in free if isinstance(answer, Placed)]
    actions.insert(connection, ordered)
    _tell(connection, context, [(n, answer) for n, answer in free if isinstance(answer, Waiting)], now)
    return len(ordered)


def _place(
    connection: Connection, fleet: Fleet, wanted: Sequence[Work], requests: Sequence[PlacementRequest]
) -> list[Placed | Waiting]:
    """The members of more important clusters before all others."""
    importance = tenants.priorities(connection, {node.cluster_id for node, _ in wanted} - {""})
    ranked: dict[int, list[PlacementRequest]] = defaultdict(list)
    for (node, _), request in zip(wanted, requests, strict=True):
        ranked[importance.get(node.cluster_id, 0)].append(request)
    answers = {a.node_id: a for rank in sorted(ranked, reverse=True) for a in fleet.place(ranked[rank])}
    return [answers[request.node_id] for request in requests]


def _tell(connection: Connection, context: EngineContext, still: Sequence[tuple[Node, Waiting]], now: float) -> None:
    """Show new reasons where the old ones no longer hold."""
    news = [(n, answer) for n, answer in still if waiting_reason(answer, n) != n.status_reason]
    if not news:
        return
    stored = store_decisions(connection, [answer for _, answer in news], context.ids, now)
    for n, answer in news:
        healing.waits_on(connection, n, waiting_reason(answer, n), stored[id(answer.decision)], answer.step)


def _creation(context: EngineContext, node: Node, now: float) -> Action:
    return queued(
        ActionKind.NODE_CREATE,
        node.id,
        Owner(node.user, node.project, node.domain),
        action_id=context.ids.new(),
        cause=Cause.HEALING,
        now=now,
        reason="There is room now.",
        cluster_id=node.cluster_id,
    )
