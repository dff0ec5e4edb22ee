"""Outcomes that need no look at a host: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from spinney.clock import Ids
from spinney.domain import event as events
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.event import Event, Level
from spinney.domain.node import Node, NodeStatus
from spinney.domain.placement.answers import Waiting
from spinney.domain.runs import finished
from spinney.engine.jobs import beside
from spinney.store.adjusting import REPLACE
from spinney.store.work import Outcome

_ROW_FIELDS = ("name", "role", "metadata", "tainted")


def announcement(action: Action, node: Node, phase: str, level: Level, reason: str, ids: Ids, now: float) -> Event:
    return events.of_action(action, node.name, phase, level, reason, event_id=ids.new(), now=now)


def ended(
    action: Action,
    node: Node | None,
    status: ActionStatus,
    reason: str,
    changes: Mapping[str, Any],
    ids: Ids,
    now: float,
    *,
    remove_node: bool = False,
    release_placement: bool = False,
) -> Outcome:
    """A final outcome, with its event unless the action is part of another."""
    told: tuple[Event, ...] = ()
    if not action.cause.derived and node is not None:
        phase, level = ("end", Level.INFO) if status is ActionStatus.SUCCEEDED else ("error", Level.ERROR)
        told = (announcement(action, node, phase, level, reason, ids, now),)
    return Outcome(
        action=action,
        status=status,
        reason=reason,
        node=node,
        changes=changes,
        events=told,
        remove_node=remove_node,
        release_placement=release_placement,
    )


def missing(action: Action) -> Outcome:
    """Its node is gone: what a deletion wanted, and the end of anything else."""
    gone = action.action is ActionKind.NODE_DELETE
    status = ActionStatus.SUCCEEDED if gone else ActionStatus.FAILED
    return Outcome(action=action, status=status, reason="The node no longer exists.")


def failed(
    action: Action, node: Node, reason: str, ids: Ids, now: float, *, shows: NodeStatus = NodeStatus.ERROR
) -> Outcome:
    changes = {"status": shows, "status_reason": reason}
    return ended(action, node, ActionStatus.FAILED, reason, changes, ids, now)


def unmoved(action: Action, node: Node, reason: str, ids: Ids, now: float) -> Outcome:
    """Nothing came of it, and the node is as it was."""
    return ended(action, node, ActionStatus.FAILED, reason, {}, ids, now)


def not_in_place(action: Action, node: Node, reason: str, ids: Ids, now: float) -> Outcome:
    """The same, where it takes a new container, and whoever ordered the update decides when and how."""
    return replace(unmoved(action, node, reason, ids, now), outputs={REPLACE: reason})


def waiting_reason(answer: Waiting, node: Node) -> str:
    """What a waiting node shows; one that was pushed out says by whom."""
    evicted = node.data.get("evicted")
    return f"{evicted + ' ' if evicted else ''}Waiting for room: {answer.summary}."


def waiting(action: Action, node: Node, answer: Waiting, decision_id: str, ids: Ids, now: float) -> Outcome:
    """No host has room: the action is final, the node waits on and is placed later by itself.

    One that waited before its update waits with the new profile, which is all that an update can do for it.
    """
    reason = waiting_reason(answer, node)
    changes = {
        "status": NodeStatus.INIT,
        "status_reason": reason,
        "waiting_since": node.waiting_since or now,
        "decision_id": decision_id,
        "decision_step": answer.step,
    }
    if node.waiting_since is not None and action.action is ActionKind.NODE_UPDATE:
        changes["profile_id"] = action.inputs["new_profile_id"]
        return ended(action, node, ActionStatus.SUCCEEDED, reason, changes, ids, now)
    return ended(action, node, ActionStatus.FAILED, reason, changes, ids, now)


def evicted(action: Action, node: Node, ids: Ids, now: float) -> Outcome:
    """Its container had to leave its host: the node waits until some host may take it. Of a run's member that has ended there
    was only its log left."""
    reason = str(action.inputs["reason"])
    if finished(node):
        return ended(action, node, ActionStatus.SUCCEEDED, reason, {}, ids, now, remove_node=True)
    data = {key: value for key, value in node.data.items() if key not in ("addresses", "ports")}
    changes = {
        "status": NodeStatus.INIT,
        "status_reason": reason,
        "waiting_since": now,
        "physical_id": None,
        "data": {**data, "evicted": reason},
    }
    return ended(action, node, ActionStatus.SUCCEEDED, reason, changes, ids, now, release_placement=True)


def without_network(action: Action, node: Node, networks: int, ids: Ids, now: float) -> Outcome:
    """Its host has room for it, but not for another project. One that has a container elsewhere keeps that."""
    if beside(action):
        reason = f"all {networks} project networks of the host that it would go to are in use"
        return replace(unmoved(action, node, reason, ids, now), give_up_hold=True)
    reason = (
        f"all {networks} project networks of the host are in use: recover the node when another host has room, "
        f"or have the operator enlarge [network] pool"
    )
    changes = {"status": NodeStatus.ERROR, "status_reason": reason, "physical_id": None}
    return ended(action, node, ActionStatus.FAILED, reason, changes, ids, now, release_placement=True)


def rows_changed(action: Action, node: Node, ids: Ids, now: float) -> Outcome:
    """An update that concerns the node's row alone."""
    changes = {key: action.inputs[key] for key in _ROW_FIELDS if action.inputs.get(key) is not None}
    changes |= {"updated_at": now, "status": NodeStatus.ACTIVE, "status_reason": "Update succeeded."}
    return ended(action, node, ActionStatus.SUCCEEDED, "Update succeeded.", changes, ids, now)


def cancelled(action: Action, node: Node, ids: Ids, now: float) -> Outcome:
    """Nothing is known of the node until somebody looks; a creation gives its room back."""
    reason = f"{action.action.value} was cancelled."
    if action.action is ActionKind.NODE_CREATE:
        gone = {"status": NodeStatus.ERROR, "status_reason": reason, "physical_id": None, "waiting_since": None}
        return ended(action, node, ActionStatus.CANCELLED, reason, gone, ids, now, release_placement=True)
    if beside(action) or action.action in (ActionKind.NODE_EVICT, ActionKind.NODE_FETCH):
        return replace(ended(action, node, ActionStatus.CANCELLED, reason, {}, ids, now), give_up_hold=True)
    unknown = {"status": NodeStatus.WARNING, "status_reason": f"{reason} Check the node to see how it is."}
    return ended(action, node, ActionStatus.CANCELLED, reason, unknown, ids, now)


def unrecordable(outcome: Outcome) -> Outcome:
    """Instead of an outcome that the database refuses, one without anything of its own."""
    reason = f"{outcome.action.action.value} ended, but what came of it could not be recorded; check the node."
    changes = {"status": NodeStatus.ERROR, "status_reason": reason}
    return Outcome(action=outcome.action, status=ActionStatus.FAILED, reason=reason, node=outcome.node, changes=changes)
