"""From what is wrong with a member to what is recorded and ordered, by its cluster's health policy or Spinney's own healing."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from spinney.domain import event as events
from spinney.domain.action import Action, ActionKind, Cause, queued
from spinney.domain.cluster import Cluster
from spinney.domain.event import Event, Level
from spinney.domain.health import COMPLAINT, Ailment, Diagnosis, Repair, RestartPolicy, recovery, repair
from spinney.domain.health_rules import Operation
from spinney.domain.identity import Owner
from spinney.domain.node import Node, NodeStatus
from spinney.domain.runs import place_of
from spinney.engine.catalog import ContainerProfile
from spinney.engine.context import EngineContext
from spinney.engine.watching import members
from spinney.engine.worker import Session
from spinney.store import healing
from spinney.store.healing import Expectation, Finding
from spinney.store.health_rules import Ruled

log = logging.getLogger(__name__)

#: Of these nothing serves any more.
_DOWN = (Ailment.GONE, Ailment.ENDED)


def ruled(node: Node, expected: Expectation) -> Ruled | None:
    """The health policy that says what is done for the node; None: Spinney's own healing does."""
    if node.id in expected.balancing or place_of(node.data) is not None:
        return None
    return expected.ruled.get(node.cluster_id)


async def finding(
    context: EngineContext, node: Node, sick: Diagnosis, expected: Expectation, *, polled: bool = False
) -> Finding | None:
    """``polled``: its health policy has found that out, and not Spinney by itself. None: it is known, and nothing is done."""
    one = ruled(node, expected)
    now = context.clock.now()
    ordered = await _ordered(context, node, sick, expected, polled=polled)
    if ordered is None and one is None and node.status is NodeStatus.ERROR:
        return None
    reason = f"{COMPLAINT}{sick.text}" if polled else sick.text
    action = None
    if ordered is not None:
        inputs = _inputs(ordered, one, expected.clusters.get(node.cluster_id))
        action = _action(context, node, reason, ordered.at, inputs, now)
    serving = one is not None and sick.ailment not in _DOWN
    return Finding(
        node=node,
        reason=reason,
        event=_event(context, node, sick, reason, now),
        repair=action,
        repairs=0 if ordered is None else ordered.repairs,
        left=NodeStatus.WARNING if serving else NodeStatus.ERROR,
        ruled=one,
    )


async def _ordered(
    context: EngineContext, node: Node, sick: Diagnosis, expected: Expectation, *, polled: bool
) -> Repair | None:
    found = await context.store.read(context.rules.catalog.load, [node.profile_id])
    profile = found.get(node.profile_id)
    policy = profile.restart if isinstance(profile, ContainerProfile) else RestartPolicy.NEVER
    one, now = ruled(node, expected), context.clock.now()
    if one is None:
        healing = node.id in expected.balancing or members.heals(node, sick, expected.clusters.get(node.cluster_id))
        return repair(node, sick, healing=healing, policy=policy, settings=context.health, now=now)
    if not polled and not one.rules.prompt:
        return None
    return recovery(one.rules, node, sick, policy=policy, settings=context.health, now=now)


async def record(session: Session, found: Sequence[Finding]) -> None:
    """Store what was found, and see to it that what is ordered is taken up in time."""
    context = session.context
    stored = await context.store.transact(healing.record, found, context.ids, context.clock.now())
    if stored:
        context.doorbell.ring()
    for one in stored:
        log.info("node %s: %s", one.node.name, one.reason)
        if one.repair is not None:
            session.wake_at(one.repair.ready_at)


def _event(context: EngineContext, node: Node, sick: Diagnosis, reason: str, now: float) -> Event:
    return events.of_node(
        Owner(node.user, node.project, node.domain),
        node_id=node.id,
        node_name=node.name,
        cluster_id=node.cluster_id,
        kind="CONTAINER_" + sick.ailment.name,
        level=Level.WARN,
        reason=reason,
        event_id=context.ids.new(),
        now=now,
    )


def _inputs(ordered: Repair, one: Ruled | None, cluster: Cluster | None) -> dict[str, Any]:
    inputs: dict[str, Any] = {"operation": ordered.operation}
    if one is None or ordered.operation == Operation.REBOOT:
        return inputs
    if one.rules.delete_timeout:
        inputs["delete_timeout"] = one.rules.delete_timeout
    if one.rules.forced:
        inputs["force_recreate"] = True
    if one.rules.fenced or (cluster is not None and cluster.config.get("spinney.overlap") == "at-most-one"):
        inputs["fenced"] = True
    return inputs


def _action(context: EngineContext, node: Node, reason: str, at: float, inputs: dict[str, Any], now: float) -> Action:
    return queued(
        ActionKind.NODE_RECOVER,
        node.id,
        Owner(node.user, node.project, node.domain),
        action_id=context.ids.new(),
        cause=Cause.HEALING,
        now=now,
        reason=f"Healing: {reason}",
        cluster_id=node.cluster_id,
        ready_at=at,
        inputs=inputs,
    )
