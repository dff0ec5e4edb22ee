"""Cluster actions: begun and concluded within transactions, without touching any host."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain import event as events
from spinney.domain import fanout
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.cluster import STATUS_WHILE, Cluster
from spinney.domain.event import Event, Level
from spinney.domain.fanout import Begin, Child, Refusal, Results, Verdict, conclude
from spinney.domain.naming import node_name
from spinney.domain.node import Node
from spinney.domain.quota import Amounts, unlimited
from spinney.engine.intent import policies, quotas, rounds
from spinney.engine.runs import wishes
from spinney.engine.runs.scene import Scene
from spinney.store import balancing, bindings, health_rules, hosts, receivers, revisions, runs, shares, status, work
from spinney.store.members import members
from spinney.store.rows import CLUSTERS, EVENTS, NODES
from spinney.store.tables import action as action_table
from spinney.store.tables import cluster as table
from spinney.store.tables import node as node_table

_BEGUN = {"begun": True}
#: Of those that act on members alone a cluster is not said to be updated.
_CHANGING = (
    ActionKind.CLUSTER_UPDATE,
    ActionKind.CLUSTER_RESIZE,
    ActionKind.CLUSTER_SCALE_OUT,
    ActionKind.CLUSTER_SCALE_IN,
    ActionKind.CLUSTER_ADD_NODES,
    ActionKind.CLUSTER_DEL_NODES,
    ActionKind.CLUSTER_REPLACE_NODES,
)
_REASONS_TOLD = 3
_CHUNK = 500


@dataclass(frozen=True, slots=True)
class ClusterRules:
    max_nodes: int
    #: Quotas of projects for which nothing else is set.
    limits: Amounts = field(default_factory=unlimited)
    #: Why the service makes no load balancers of its own; empty: it does.
    unbalanced: str = ""


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
        conclude_with(connection, action, cluster, conclude(action, Results()), ids, now)
    else:
        begin(connection, action, cluster, rules, ids, now)


@dataclass(frozen=True, slots=True)
class Decision:
    """``action`` with what the policies have set; ``asked``: they allow it, so that they are told how it ends."""

    action: Action
    outcome: Begin | Refusal
    asked: bool = True


def decide(
    connection: Connection,
    cluster: Cluster,
    action: Action,
    rules: ClusterRules,
    now: float,
    machines: int | None = None,
) -> Decision:
    """What the action turns into, its cluster's policies asked first. Nothing is stored."""
    checked = policies.before(connection, cluster, action, rules.max_nodes, now)
    if checked.fault is not None:
        return Decision(checked.action, Refusal(f"{action.action.value}: {checked.fault}"), asked=False)
    unsigned = rounds.unsigned(connection, checked.action)
    if unsigned is not None:
        return Decision(checked.action, Refusal(f"{action.action.value}: {unsigned}"), asked=False)
    outcome = fanout.begin(cluster, checked.action, checked.members, limit=rules.max_nodes, machines=machines)
    return Decision(checked.action, outcome)


def begin(
    connection: Connection, action: Action, cluster: Cluster, rules: ClusterRules, ids: Ids, now: float
) -> tuple[Action, Cluster] | None:
    """Ask the policies, and record what is intended. An update that takes members to another profile is returned as it has
    begun, with nothing ordered yet; None: it is none, or it has ended."""
    EVENTS.insert(connection, [_event(action, cluster.name, "start", Level.INFO, "", ids, now)])
    if action.action in policies.KINDS:
        verdict = policies.carry_out(connection, action, cluster, ids, rules.unbalanced)
        _end(connection, action, verdict, cluster, ids, now)
        return None
    if action.action in wishes.KINDS:
        scene = Scene(connection, cluster, rules.max_nodes, rules.limits, ids, now)
        verdict, outputs = wishes.carry_out(scene, action)
        note(connection, action, outputs=outputs)
        _end(connection, action, verdict, cluster, ids, now)
        return None
    decision = decide(connection, cluster, action, rules, now, hosts.free_machines(connection, cluster.profile_id))
    action = decision.action
    outcome = quotas.within(connection, action, cluster, decision.outcome, rules.limits)
    note(connection, action, inputs=action.inputs, data=action.data)
    if isinstance(outcome, Refusal):
        verdict = Verdict(ActionStatus.FAILED, outcome.reason)
        if decision.asked:
            policies.after(connection, action, verdict, now)
        _end(connection, action, verdict, cluster, ids, now)
        return None
    if action.action is ActionKind.CLUSTER_RECOVER:
        health_rules.close_all(connection, cluster.id, "Recovery of the cluster was asked for.", ids.new(), now)
    if action.action is ActionKind.CLUSTER_DELETE:
        bindings.detach(connection, cluster.id)
        wishes.abandon(Scene(connection, cluster, rules.max_nodes, rules.limits, ids, now))
    showing = STATUS_WHILE.get(action.action, cluster.status)
    reason = cluster.status_reason if showing == cluster.status else f"{action.action.value} is at work."
    changed = replace(
        outcome.cluster,
        status=showing,
        status_reason=reason,
        next_index=cluster.next_index + outcome.create,
        updated_at=now if action.action in _CHANGING else cluster.updated_at,
    )
    _store(connection, cluster, changed)
    if action.rolling:
        data = {**action.data, **_BEGUN}
        note(connection, action, data=data)
        return replace(action, data=data), changed
    made = _make_nodes(connection, action, changed, outcome.create, ids, now)
    rounds.order(connection, action, outcome.children, ids, now)
    outputs = dict(outcome.outputs) | ({"nodes_added": made} if made else {})
    note(connection, action, outputs=outputs)
    count = len(made) + len(outcome.children)
    if count:
        data = rounds.put_later({**action.data, **_BEGUN}, outcome.later)
        work.wait_for_children(connection, action, data, f"Waiting for {count} nodes.")
    else:
        conclude_with(connection, replace(action, outputs=outputs), changed, conclude(action, Results()), ids, now)
    return None


def note(connection: Connection, action: Action, **values: Any) -> None:
    connection.execute(action_table.update().where(action_table.c.id == action.id).values(values))


def _make_nodes(
    connection: Connection, action: Action, cluster: Cluster, count: int, ids: Ids, now: float
) -> list[str]:
    """Insert new nodes with their creations and return their ids; a chunk at a time, because a cluster may be big."""
    made: list[str] = []
    first = cluster.next_index - count
    for start in range(first, first + count, _CHUNK):
        nodes = _new_nodes(cluster, start, min(_CHUNK, first + count - start), ids, now)
        NODES.insert(connection, nodes)
        rounds.order(connection, action, [Child(ActionKind.NODE_CREATE, node.id) for node in nodes], ids, now)
        made += [node.id for node in nodes]
    return made


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


def _store(connection: Connection, before: Cluster, after: Cluster) -> None:
    old, new = CLUSTERS.row(before), CLUSTERS.row(after)
    changes = {name: value for name, value in new.items() if value != old[name]}
    if changes:
        connection.execute(table.update().where(table.c.id == after.id).values(changes))


def _conclude(connection: Connection, action: Action, cluster: Cluster, ids: Ids, now: float) -> None:
    postponed = rounds.later(action)
    if postponed and not action.cancel_requested:
        rounds.order(connection, action, postponed, ids, now)
        data = rounds.put_later(action.data, ())
        work.wait_for_children(connection, action, data, f"Waiting for {len(postponed)} nodes.")
        return
    verdict = conclude(action, _results(connection, action))
    deleted = action.action is ActionKind.CLUSTER_DELETE and verdict.status is ActionStatus.SUCCEEDED
    # Somebody may have added nodes while the others were leaving: they leave too, and so do its load balancers.
    present = [member.id for member in members(connection, cluster.id)] if deleted else []
    present += balancing.nodes_of(connection, cluster.id) if deleted else []
    if present:
        late = [Child(ActionKind.NODE_DELETE, node_id) for node_id in present]
        rounds.order(connection, action, late, ids, now)
        work.wait_for_children(connection, action, action.data, f"Waiting for {len(late)} nodes.")
        return
    conclude_with(connection, action, cluster, verdict, ids, now)


def conclude_with(
    connection: Connection, action: Action, cluster: Cluster, verdict: Verdict, ids: Ids, now: float
) -> None:
    succeeded = verdict.status is ActionStatus.SUCCEEDED
    if action.action is ActionKind.CLUSTER_DELETE and succeeded:
        connection.execute(table.delete().where(table.c.id == cluster.id))
        shares.forget(connection, cluster.id)
        receivers.forget(connection, cluster.id)
        revisions.forget(connection, cluster.id)
        runs.forget(connection, cluster.id)
        _end(connection, action, verdict, cluster, ids, now)
        return
    if action.action is ActionKind.CLUSTER_UPDATE and succeeded and action.inputs.get("new_profile_id"):
        profile_id = str(action.inputs["new_profile_id"])
        connection.execute(table.update().where(table.c.id == cluster.id).values(profile_id=profile_id))
    if action.action is ActionKind.CLUSTER_CREATE and succeeded:
        connection.execute(table.update().where(table.c.id == cluster.id).values(created_at=now))
    policies.after(connection, action, verdict, now)
    _end(connection, action, verdict, cluster, ids, now)


def _results(connection: Connection, action: Action) -> Results:
    c = action_table.c
    # A second round of a deletion must not count what the first one counted: the latest children are the round.
    latest = sa.select(sa.func.max(c.created_at)).where(c.parent_id == action.id).scalar_subquery()
    ours = (c.parent_id == action.id) & (c.created_at == latest)
    if action.action is not ActionKind.CLUSTER_OPERATION:
        ours &= c.action != ActionKind.NODE_OPERATION.value  # stops before deletions: whether they succeed is all one
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
        revisions.end(connection, action, verdict.status, verdict.reason, now)
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
