"""Policies attached to clusters, changed, detached and asked, within the transaction that claimed the action.

What is placed stays where it is; what is placed from then on obeys the policies as they are then, and that includes nodes which
wait for room, because these are looked at again and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.cluster import Cluster
from spinney.domain.fanout import Verdict
from spinney.domain.member import Member
from spinney.policies import pipeline
from spinney.policies.attaching import Attached, Target, enabling, hindrance
from spinney.policies.checking import Look
from spinney.policies.health import HEALTH
from spinney.policies.loadbalance import NAME as LOADBALANCE
from spinney.policies.registry import POLICY_TYPES, validate_spec
from spinney.profiles.registry import attach_target
from spinney.store import bindings, health_rules, policies, profiles, runs
from spinney.store.members import members
from spinney.store.rows import CLUSTERS
from spinney.store.tables import action as action_table
from spinney.store.tables import cluster as clusters
from spinney.store.tables import profile

_STAMPED = frozenset(kind for one in POLICY_TYPES.values() for kind in one.stamped_after)
#: The kinds of actions on a node of which the policies of its cluster are asked.
_OF_NODES = (ActionKind.NODE_DELETE,)
KINDS = (ActionKind.CLUSTER_ATTACH_POLICY, ActionKind.CLUSTER_DETACH_POLICY, ActionKind.CLUSTER_UPDATE_POLICY)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the policies say of an action, and the members as they count for them."""

    action: Action
    members: list[Member]
    fault: str | None = None


def before(connection: Connection, cluster: Cluster, action: Action, limit: int, now: float) -> Asked:
    """The enabled policies of the cluster, asked before one of its actions."""
    attached = bindings.attached(connection, cluster.id)
    present = pipeline.grouped(members(connection, cluster.id), attached)
    restarts = partial(profiles.restarts, connection, str(action.inputs.get("new_profile_id", "")))
    checked = pipeline.before(attached, Look(cluster, action, present, limit, now, restarts=restarts))
    return Asked(checked.action, present, checked.fault)


def before_nodes(connection: Connection, actions: Sequence[Action], limit: int, now: float) -> list[Action]:
    """The same for what users ask of single members; what the policies decide is stored with the action.

    Guaranteed: actions on nodes of clusters without such a policy cost one statement for all of them.
    """
    asking = [a for a in actions if a.action in _OF_NODES and a.cause is Cause.REQUEST and a.cluster_id and not a.data]
    governed = bindings.governed(connection, {a.cluster_id for a in asking}, _OF_NODES) if asking else set()
    decided: dict[str, Action] = {}
    for action in asking:
        cluster = (
            CLUSTERS.one(connection, clusters.c.id == action.cluster_id) if action.cluster_id in governed else None
        )
        if cluster is not None:
            attached = bindings.attached(connection, cluster.id)
            decided[action.id] = pipeline.before(attached, Look(cluster, action, (), limit, now)).action
    for action in decided.values():
        values = {"inputs": dict(action.inputs), "data": dict(action.data)}
        connection.execute(action_table.update().where(action_table.c.id == action.id).values(values))
    return [decided.get(action.id, action) for action in actions]


def after(connection: Connection, action: Action, verdict: Verdict, now: float) -> None:
    """The policies that note the end of such an action do so."""
    if action.action not in _STAMPED:
        return
    noting = pipeline.stamped(bindings.attached(connection, action.target), action.action)
    if noting:
        bindings.stamp(connection, action.target, noting, now)
        inputs = {**action.inputs, "action_result": verdict.status.value}
        connection.execute(action_table.update().where(action_table.c.id == action.id).values(inputs=inputs))


def carry_out(connection: Connection, action: Action, cluster: Cluster, ids: Ids, unbalanced: str = "") -> Verdict:
    """The whole of an action of one of ``KINDS``; a failure has changed nothing. ``unbalanced``: why no load balancer can be
    made; empty: one can."""
    policy_id = str(action.inputs["policy_id"])
    others = bindings.attached(connection, cluster.id)
    present = next((other for other in others if other.policy_id == policy_id), None)
    if action.action is ActionKind.CLUSTER_ATTACH_POLICY:
        if present is not None:
            return _done(action)
        return _attach(connection, action, cluster, policy_id, others, ids, unbalanced)
    if present is None:
        return _failed(action, f"policy {policy_id} is not attached to cluster {cluster.name}: attach it first")
    if action.action is ActionKind.CLUSTER_DETACH_POLICY:
        bindings.detach(connection, cluster.id, policy_id)
        return _done(action)
    return _update(connection, action, cluster, present, others)


def _attach(
    connection: Connection,
    action: Action,
    cluster: Cluster,
    policy_id: str,
    others: list[Attached],
    ids: Ids,
    unbalanced: str,
) -> Verdict:
    found = policies.hold(connection, policy_id)
    if found is None:
        return _failed(action, f"policy {policy_id} no longer exists")
    enabled = action.inputs.get("enabled") is not False
    new = Attached(policy_id, found.name, validate_spec(found.spec), enabled)
    fault = hindrance(new, _target(connection, cluster), others) or bindings.lacking(connection, cluster.project, new)
    if fault is not None:
        return _failed(action, fault)
    bindings.attach(connection, cluster.id, new, ids.new())
    asked = new.policy.contribution()
    unknown = [] if asked is None else bindings.unknown_clusters(connection, cluster.project, asked)
    if not unknown:
        remark = new.remark(others)
        if unbalanced and new.policy.kind.name == LOADBALANCE:
            remark = f"{remark} Now {unbalanced}."
        return _done(action, f" {remark}" if remark else "")
    names = ", ".join(f"'{name}'" for name in unknown)
    return _done(action, f" No cluster of the project is called {names} yet; the rule holds from when there is one.")


def _target(connection: Connection, cluster: Cluster) -> Target:
    made_from = sa.select(profile.c.type, profile.c.spec).where(profile.c.id == cluster.profile_id)
    target = attach_target(*connection.execute(made_from).one(), cluster)
    return replace(target, strangers=partial(runs.strangers, connection, cluster.id))


def _update(
    connection: Connection, action: Action, cluster: Cluster, present: Attached, others: list[Attached]
) -> Verdict:
    enabled = action.inputs.get("enabled")
    if enabled is None or enabled == present.enabled:
        return _done(action)
    fault = enabling(present, _target(connection, cluster), others) if enabled else None
    if fault is not None:
        return _failed(action, fault)
    bindings.enable(connection, cluster.id, present.policy_id, enabled)
    if enabled and present.type in HEALTH:
        health_rules.begin_anew(connection, cluster.id, present.policy_id)
    return _done(action)


def _done(action: Action, note: str = "") -> Verdict:
    return Verdict(ActionStatus.SUCCEEDED, f"{action.action.value} is done.{note}")


def _failed(action: Action, reason: str) -> Verdict:
    return Verdict(ActionStatus.FAILED, f"{action.action.value}: {reason}.")
