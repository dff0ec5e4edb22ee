"""Policies attached to clusters, changed and detached, within the transaction that claimed the action.

What is placed stays where it is; what is placed from then on obeys the policies as they are then, and that includes nodes which
wait for room, because these are looked at again and again.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.cluster import Cluster
from spinney.domain.fanout import Verdict
from spinney.policies.attaching import Attached, contradiction, hindrance
from spinney.policies.registry import validate_spec
from spinney.profiles.registry import attach_target
from spinney.store import bindings, policies
from spinney.store.tables import profile

KINDS = (ActionKind.CLUSTER_ATTACH_POLICY, ActionKind.CLUSTER_DETACH_POLICY, ActionKind.CLUSTER_UPDATE_POLICY)


def carry_out(connection: Connection, action: Action, cluster: Cluster, ids: Ids) -> Verdict:
    """The whole of an action of one of ``KINDS``; a failure has changed nothing."""
    policy_id = str(action.inputs["policy_id"])
    others = bindings.attached(connection, cluster.id)
    present = next((other for other in others if other.policy_id == policy_id), None)
    if action.action is ActionKind.CLUSTER_ATTACH_POLICY:
        return _done(action) if present is not None else _attach(connection, action, cluster, policy_id, others, ids)
    if present is None:
        return _failed(action, f"policy {policy_id} is not attached to cluster {cluster.name}: attach it first")
    if action.action is ActionKind.CLUSTER_DETACH_POLICY:
        bindings.detach(connection, cluster.id, policy_id)
        return _done(action)
    return _update(connection, action, cluster, present, others)


def _attach(
    connection: Connection, action: Action, cluster: Cluster, policy_id: str, others: list[Attached], ids: Ids
) -> Verdict:
    found = policies.hold(connection, policy_id)
    if found is None:
        return _failed(action, f"policy {policy_id} no longer exists")
    enabled = action.inputs.get("enabled") is not False
    new = Attached(policy_id, found.name, validate_spec(found.spec), enabled)
    profile_type = connection.execute(sa.select(profile.c.type).where(profile.c.id == cluster.profile_id)).scalar_one()
    fault = hindrance(new, attach_target(profile_type), others)
    if fault is not None:
        return _failed(action, fault)
    bindings.attach(connection, cluster.id, new, ids.new())
    asked = new.policy.contribution()
    unknown = [] if asked is None else bindings.unknown_clusters(connection, cluster.project, asked)
    if not unknown:
        return _done(action)
    names = ", ".join(f"'{name}'" for name in unknown)
    return _done(action, f" No cluster of the project is called {names} yet; the rule holds from when there is one.")


def _update(
    connection: Connection, action: Action, cluster: Cluster, present: Attached, others: list[Attached]
) -> Verdict:
    enabled = action.inputs.get("enabled")
    if enabled is None or enabled == present.enabled:
        return _done(action)
    fault = contradiction(present, others) if enabled else None
    if fault is not None:
        return _failed(action, fault)
    bindings.enable(connection, cluster.id, present.policy_id, enabled)
    return _done(action)


def _done(action: Action, note: str = "") -> Verdict:
    return Verdict(ActionStatus.SUCCEEDED, f"{action.action.value} is done.{note}")


def _failed(action: Action, reason: str) -> Verdict:
    return Verdict(ActionStatus.FAILED, f"{action.action.value}: {reason}.")
