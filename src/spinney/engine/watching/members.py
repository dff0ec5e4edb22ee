"""Members of runs as their hosts' watch sees them: how they ended is noted, and what they left is left alone."""

from __future__ import annotations

import logging

from spinney.domain import event as events
from spinney.domain import runs as domain
from spinney.domain.cluster import Cluster, self_healing
from spinney.domain.container import Container
from spinney.domain.event import Event, Level
from spinney.domain.health import Ailment, Diagnosis
from spinney.domain.identity import Owner
from spinney.domain.node import Node
from spinney.domain.runs import Ending
from spinney.engine.context import EngineContext
from spinney.engine.worker import Session
from spinney.store import runs

log = logging.getLogger(__name__)


async def over(session: Session, node: Node, container: Container | None) -> bool:
    """Whether this is the container of a member of a run that has ended, which it is told to; then nothing is wrong with it."""
    if domain.at_rest(node, container):
        return True
    context = session.context
    now = context.clock.now()
    ending = domain.ending_of(node, container, now)
    if ending is None:
        return False
    if await context.store.transact(runs.note_end, node, ending, _event(context, node, ending, now), now):
        log.info("node %s: %s", node.name, ending.reason)
        session.member_ended.set()
    return True


def heals(node: Node, sick: Diagnosis, cluster: Cluster | None) -> bool:
    """Whether healing sees to it. Of members of runs it only stops what runs though it should not: the rest is their run's."""
    if domain.place_of(node.data) is not None:
        return sick.ailment is Ailment.WRONG_POWER
    return cluster is not None and self_healing(cluster, default=True)


def _event(context: EngineContext, node: Node, ending: Ending, now: float) -> Event:
    return events.of_node(
        Owner(node.user, node.project, node.domain),
        node_id=node.id,
        node_name=node.name,
        cluster_id=node.cluster_id,
        kind="CONTAINER_ENDED",
        level=Level.INFO if ending.good else Level.WARN,
        reason=ending.reason,
        event_id=context.ids.new(),
        now=now,
    )
