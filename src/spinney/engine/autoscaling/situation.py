"""A cluster as autoscaling sees it, read in the transaction that decides."""

from __future__ import annotations

from sqlalchemy import Connection

from spinney.clock import iso
from spinney.domain.action import Action, ActionKind
from spinney.domain.autoscale import usage
from spinney.domain.autoscale.rules import Direction, Metric, Rules
from spinney.domain.autoscale.usage import Share, Usage
from spinney.domain.autoscale.values import Gate, MemberSample, Situation
from spinney.domain.cluster import Cluster
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.domain.retry import backoff
from spinney.engine.catalog import Catalog, ContainerProfile
from spinney.policies.scaling import ScalingProperties
from spinney.profiles.container_request import limits
from spinney.store import autoscaling, balancing, bindings
from spinney.store.autoscaling import Scaled

#: Intervals after which a sample is too old, and seconds on top of that.
_FRESH, _LATE = 2.5, 5.0
#: Seconds at most between orders that fail again and again, and of how many of them that depends.
_CEILING = 300.0
_COUNTED = 6
_DIRECTIONS = {ActionKind.CLUSTER_SCALE_OUT: Direction.UP, ActionKind.CLUSTER_SCALE_IN: Direction.DOWN}


def look(connection: Connection, catalog: Catalog, cluster: Cluster, one: Scaled, limit: int, now: float) -> Situation:
    """``limit``: the greatest number of nodes any cluster may have."""
    found = autoscaling.members(connection, cluster.id)
    profiles = catalog.load(connection, {node.profile_id for node, _ in found})
    shares = {key: _share(p, catalog) for key, p in profiles.items() if isinstance(p, ContainerProfile)}
    working = autoscaling.at_work(connection, cluster.id)
    counted = any(signal.metric is Metric.REQUESTS for signal in one.rules.signals)
    return Situation(
        now=now,
        size=len(found),
        members=[_member(node, last, shares.get(node.profile_id), one.rules, now) for node, last in found],
        floor=cluster.min_size,
        ceiling=limit if cluster.max_size < 0 else min(cluster.max_size, limit),
        requests=balancing.request_rate(connection, cluster.id) if counted else None,
        last_scaled=one.last_op,
        gates=(*_cooldowns(connection, cluster, now), *_setback(connection, one, now)),
        busy="" if working is None else _busy(working),
    )


def _busy(action: Action) -> str:
    return f"{action.action.value} {action.id[:8]} is at work on the cluster ({action.status.value})"


def _share(profile: ContainerProfile, catalog: Catalog) -> Share:
    found = limits(profile.properties, catalog.defaults)
    return Share(found.cpu_limit or 0.0, found.cpu_reservation or 0.0, found.memory_limit or 0)


def _member(node: Node, last: Usage | None, share: Share | None, rules: Rules, now: float) -> MemberSample:
    """One that its user has stopped, or that is going, is expected by nobody to become ready."""
    if node.power is not PowerState.RUNNING or node.status is NodeStatus.DELETING:
        return MemberSample(node.id)
    if not node.ready:
        return MemberSample(node.id, coming_since=node.init_at if node.ready_at is None else node.ready_at)
    since = now if node.ready_at is None else node.ready_at
    if last is None or share is None or not _fresh(last, since, rules, now):
        return MemberSample(node.id, ready_since=since)
    return MemberSample(node.id, ready_since=since, values=usage.figures(last, share), unread=last.unread)


def _fresh(last: Usage, ready_since: float, rules: Rules, now: float) -> bool:
    """Of the container that is ready now, and not too long ago."""
    return ready_since <= last.sampled_at and now - last.sampled_at <= _FRESH * rules.interval + _LATE


def _cooldowns(connection: Connection, cluster: Cluster, now: float) -> list[Gate]:
    """Of the enabled scaling policies; ``policies.scaling`` would refuse what comes too soon."""
    gates = []
    for attached in bindings.attached(connection, cluster.id):
        properties = attached.policy.properties
        if not attached.enabled or not isinstance(properties, ScalingProperties) or attached.last_op is None:
            continue
        cooldown = properties.adjustment.cooldown
        text = f"policy '{attached.name}' asks for {cooldown} s between scalings"
        gates.append(Gate(attached.last_op + cooldown, text, _DIRECTIONS[ActionKind(properties.event)]))
    return [gate for gate in gates if gate.until > now]


def _setback(connection: Connection, one: Scaled, now: float) -> list[Gate]:
    """Orders that fail are not repeated at every evaluation."""
    failed = autoscaling.failures(connection, one, _COUNTED)
    if failed is None:
        return []
    until = failed.at + backoff(failed.count, one.rules.interval, _CEILING)
    text = f"what was ordered last failed at {iso(failed.at)} ({failed.reason.rstrip('.')})"
    return [Gate(until, text)] if until > now else []
