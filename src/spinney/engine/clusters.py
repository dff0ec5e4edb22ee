"""Cluster actions: begun and concluded within transactions, without touching any host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain import event as events
from spinney.domain.action import Action, ActionKind, ActionStatus, Cause, queued
from spinney.domain.cluster import STATUS_WHILE, Cluster
from spinney.domain.event import Event, Level
from spinney.domain.fanout import Member, Refusal, Results, Verdict, begin, conclude
from spinney.domain.host import Duty
from spinney.domain.identity import Owner
from spinney.domain.naming import node_name
from spinney.domain.node import Node, NodeStatus
from spinney.engine import policies
from spinney.store import bindings, hosts, receivers, shares, status, work
from spinney.store.rows import ACTIONS, CLUSTERS, EVENTS, NODES
from spinney.store.tables import action as action_table
from spinney.store.tables import cluster as table
from spinney.store.tables import hold as hold_table
from spinney.store.tables import host as host_table
from spinney.store.tables import node as node_table
from spinney.store.tables import pin as pin_table

_BEGUN = {"begun": True}
_REASONS_TOLD = 3
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class ClusterRules:
    max_nodes: int


def advance(connection: Connection, action: Action, rules: ClusterRules, ids: Ids, now: float) -> None:
    """Take a claimed cluster action one step further: fan out, or conclude."""
    query = CLUSTERS.select().where(table.c.id == action.target).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        gone = action.action is ActionKind.CLUSTER_DELETE
        verdict = Verdict(ActionStatus.SUCCEEDED if gone else ActionStatus.FAILED, "The cluster no longer exists.")
        _end(connection, action, verdict, None, ids, now)
        return
    cluster = CLUSTERS.value(row)
    if action.data.get("begun"):
        _conclude(connection, action, cluster, ids, now)
    elif action.cancel_requested:
        _conclude_with(connection, action, cluster, conclude(action, Results()), ids, now)
    else:
        _begin(connection, action, cluster, rules, ids, now)


def _begin(connection: Connection, action: Action, cluster: Cluster, rules: ClusterRules, ids: Ids, now: float) -> None:
    EVENTS.insert(connection, [_event(action, cluster.name, "start", Level.INFO, "", ids, now)])
    if action.action in policies.KINDS:
        _end(connection, action, policies.carry_out(connection, action, cluster, ids), cluster, ids, now)
        return
    machines = hosts.free_machines(connection, cluster.profile_id)
    outcome = begin(cluster, action, members(connection, cluster.id), limit=rules.max_nodes, machines=machines)
    if isinstance(outcome, Refusal):
        _end(connection, action, Verdict(ActionStatus.FAILED, outcome.reason), cluster, ids, now)
        return
    if action.action is ActionKind.CLUSTER_DELETE:
        bindings.detach(connection, cluster.id)
    showing = STATUS_WHILE.get(action.action, cluster.status)
    reason = cluster.status_reason if showing == cluster.status else f"{action.action.value} is at work."
    changed = replace(
        outcome.cluster,
        status=showing,
        status_reason=reason,
        next_index=cluster.next_index + outcome.create,
        updated_at=now,
    )
    _store(connection, cluster, changed)
    made = _make_nodes(connection, action, changed, outcome.create, ids, now)
    kids = [_child(action, child.action, child.node_id, child.inputs, ids, now) for child in outcome.children]
    ACTIONS.insert(connection, kids)
    outputs = dict(outcome.outputs) | ({"nodes_added": made} if made else {})
    connection.execute(action_table.update().where(action_table.c.id == action.id).values(outputs=outputs))
    if made or kids:
        work.wait_for_children(connection, action, _BEGUN, f"Waiting for {len(made) + len(kids)} nodes.")
    else:
        _conclude_with(connection, replace(action, outputs=outputs), changed, conclude(action, Results()), ids, now)


def _make_nodes(
    connection: Connection, action: Action, cluster: Cluster, count: int, ids: Ids, now: float
) -> list[str]:
    """Insert new nodes with their creations and return their ids; a chunk at a time, because a cluster may be big."""
    made: list[str] = []
    first = cluster.next_index - count
    for start in range(first, first + count, _CHUNK):
        nodes = _new_nodes(cluster, start, min(_CHUNK, first + count - start), ids, now)
        NODES.insert(connection, nodes)
        ACTIONS.insert(connection, [_child(action, ActionKind.NODE_CREATE, node.id, {}, ids, now) for node in nodes])
        made += [node.id for node in nodes]
    return made


def members(connection: Connection, cluster_id: str) -> list[Member]:
    """In the order of their indexes."""
    c, h = node_table.c, host_table.c
    coming = sa.select(sa.func.count()).where(hold_table.c.host_id == c.id).scalar_subquery()
    pinned = sa.exists().where(pin_table.c.target_id == c.id)
    rows = connection.execute(
        sa.select(c.id, c.name, c.status, c.index, c.tainted, c.physical_id, h.containers + coming, pinned, h.duty)
        .join_from(node_table, host_table, h.node_id == c.id, isouter=True)
        .where(c.cluster_id == cluster_id)
        .order_by(c.index)
    )
    return [
        Member(
            node_id,
            name,
            NodeStatus(state),
            position,
            tainted,
            physical is not None,
            used or 0,
            pins,
            Duty(duty or "open"),
        )
        for node_id, name, state, position, tainted, physical, used, pins, duty in rows
    ]


def _new_nodes(cluster: Cluster, first: int, count: int, ids: Ids, now: float) -> list[Node]:
    return [
        Node(
            id=ids.new(),
            name=node_name(cluster.config, index, ids.token),
            profile_id=cluster.profile_id,
            cluster_id=cluster.id,
            index=index,
            user=cluster.user,
            project=cluster.project,
            domain=cluster.domain,
            init_at=now,
        )
        for index in range(first, first + count)
    ]


def _child(parent: Action, kind: ActionKind, node_id: str, inputs: Mapping[str, Any], ids: Ids, now: float) -> Action:
    return queued(
        kind,
        node_id,
        Owner(parent.user, parent.project, parent.domain),
        action_id=ids.new(),
        cause=Cause.DERIVED,
        now=now,
        operation=inputs.get("operation") if kind is ActionKind.NODE_OPERATION else None,
        cluster_id=parent.target,
        parent_id=parent.id,
        timeout=parent.timeout,
        inputs=inputs,
    )


def _store(connection: Connection, before: Cluster, after: Cluster) -> None:
    old, new = CLUSTERS.row(before), CLUSTERS.row(after)
    changes = {name: value for name, value in new.items() if value != old[name]}
    if changes:
        connection.execute(table.update().where(table.c.id == after.id).values(changes))


def _conclude(connection: Connection, action: Action, cluster: Cluster, ids: Ids, now: float) -> None:
    results = _results(connection, action)
    verdict = conclude(action, results)
    left = members(connection, cluster.id) if action.action is ActionKind.CLUSTER_DELETE else []
    if left and verdict.status is ActionStatus.SUCCEEDED:
        # Somebody added nodes while the others were leaving: they leave too.
        late = [_child(action, ActionKind.NODE_DELETE, member.id, {}, ids, now) for member in left]
        ACTIONS.insert(connection, late)
        work.wait_for_children(connection, action, _BEGUN, f"Waiting for {len(late)} nodes.")
        return
    _conclude_with(connection, action, cluster, verdict, ids, now)


def _conclude_with(
    connection: Connection, action: Action, cluster: Cluster, verdict: Verdict, ids: Ids, now: float
) -> None:
    succeeded = verdict.status is ActionStatus.SUCCEEDED
    if action.action is ActionKind.CLUSTER_DELETE and succeeded:
        connection.execute(table.delete().where(table.c.id == cluster.id))
        shares.forget(connection, cluster.id)
        receivers.forget(connection, cluster.id)
        _end(connection, action, verdict, cluster, ids, now)
        return
    if action.action is ActionKind.CLUSTER_CREATE and succeeded:
        connection.execute(table.update().where(table.c.id == cluster.id).values(created_at=now))
    _end(connection, action, verdict, cluster, ids, now)


def _results(connection: Connection, action: Action) -> Results:
    c = action_table.c
    # A second round of a deletion must not count what the first one counted: the latest children are the round.
    latest = sa.select(sa.func.max(c.created_at)).where(c.parent_id == action.id).scalar_subquery()
    ours = (c.parent_id == action.id) & (c.created_at == latest)
    counts = {
        ActionStatus(status): count
        for status, count in connection.execute(sa.select(c.status, sa.func.count()).where(ours).group_by(c.status))
    }
    reasons: tuple[str, ...] = ()
    if counts.get(ActionStatus.FAILED):
        failed = connection.execute(
            sa.select(node_table.c.name, c.target, c.status_reason)
            .join_from(action_table, node_table, node_table.c.id == c.target, isouter=True)
            .where(ours, c.status == ActionStatus.FAILED.value)
            .order_by(node_table.c.index)
            .limit(_REASONS_TOLD)
        )
        reasons = tuple(f"{name or target}: {reason}" for name, target, reason in failed)
    return Results(
        counts.get(ActionStatus.SUCCEEDED, 0),
        counts.get(ActionStatus.FAILED, 0),
        counts.get(ActionStatus.CANCELLED, 0),
        reasons,
    )


def _end(
    connection: Connection, action: Action, verdict: Verdict, cluster: Cluster | None, ids: Ids, now: float
) -> None:
    connection.execute(
        action_table.update()
        .where(action_table.c.id == action.id)
        .values(
            status=verdict.status,
            status_reason=verdict.reason,
            end_time=now,
            updated_at=now,
            owner=None,
            running_target=None,
        )
    )
    if cluster is not None:
        if action.action not in policies.KINDS:  # which leave the members, and so the status, as they were
            status.refresh(connection, [cluster.id], verdict.reason.rstrip("."))
        good = verdict.status is ActionStatus.SUCCEEDED
        phase, level = ("end", Level.INFO) if good else ("error", Level.ERROR)
        EVENTS.insert(connection, [_event(action, cluster.name, phase, level, verdict.reason, ids, now)])


def fail(connection: Connection, action: Action, reason: str, ids: Ids, now: float) -> None:
    """The end of an action that could not even be decided about."""
    row = connection.execute(CLUSTERS.select().where(table.c.id == action.target)).first()
    cluster = CLUSTERS.value(row) if row is not None else None
    _end(connection, action, Verdict(ActionStatus.FAILED, reason), cluster, ids, now)


def _event(action: Action, name: str, phase: str, level: Level, reason: str, ids: Ids, now: float) -> Event:
    return events.of_action(action, name, phase, level, reason, event_id=ids.new(), now=now)
