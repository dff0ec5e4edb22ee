"""The children of a cluster's action, ordered round by round.

Guaranteed: which round is at work is stored in the action's ``data`` in the transaction that orders it, so whoever takes the
action up next goes on from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.clock import Ids, iso
from spinney.domain.action import Action, ActionKind, ActionStatus, Cause, queued
from spinney.domain.fanout import Child
from spinney.domain.identity import Owner
from spinney.domain.lifecycle import Transition, message
from spinney.store import telling
from spinney.store.rows import ACTIONS
from spinney.store.tables import node as node_table
from spinney.store.telling import Message


def order(connection: Connection, parent: Action, children: Sequence[Child], ids: Ids, now: float) -> None:
    """Queue children; those that are held wait for whom the parent's hook tells."""
    made = [(child, _action(parent, child, ids, now)) for child in children]
    hooks = parent.data.get("hooks") or {}
    held = [action for child, action in made if child.held]
    deadline = now + float(hooks.get("timeout", 0))
    waiting: dict[str, Any] = {
        "status": ActionStatus.WAITING_LIFECYCLE_COMPLETION,
        "status_reason": f"Waits for complete_lifecycle until {iso(deadline)}.",
        "cause": Cause.HOOKED,
        "ready_at": deadline,
    }
    ACTIONS.insert(connection, [replace(action, **waiting) if child.held else action for child, action in made])
    if held and hooks.get("type") == "webhook":
        telling.tell(connection, parent.project, _messages(connection, parent, held, hooks, deadline, ids), now)


def _action(parent: Action, child: Child, ids: Ids, now: float) -> Action:
    return queued(
        child.action,
        child.node_id,
        Owner(parent.user, parent.project, parent.domain),
        action_id=ids.new(),
        cause=Cause.DERIVED,
        now=now,
        operation=child.inputs.get("operation") if child.action is ActionKind.NODE_OPERATION else None,
        cluster_id=parent.target,
        parent_id=parent.id,
        timeout=parent.timeout,
        inputs=dict(child.inputs),
    )


def _messages(
    connection: Connection,
    parent: Action,
    held: Sequence[Action],
    hooks: Mapping[str, Any],
    deadline: float,
    ids: Ids,
) -> list[Message]:
    word = hooks["params"].get("secret")
    secret = telling.named_secret(connection, parent.project, word) if word else None
    c = node_table.c
    rows = connection.execute(sa.select(c.id, c.name, c.physical_id).where(c.cluster_id == parent.target))
    nodes = {row.id: row for row in rows}
    return [
        Message(
            ids.new(),
            action.id,
            hooks["params"]["url"],
            message(
                action, nodes[action.target].name, nodes[action.target].physical_id, Transition.TERMINATION, deadline
            ),
            deadline,
            *(secret or (None, None)),
        )
        for action in held
    ]


def unsigned(connection: Connection, action: Action) -> str | None:
    """Why the messages of the action's hook could not be signed as they should be; None: they can, or need not."""
    word = ((action.data.get("hooks") or {}).get("params") or {}).get("secret")
    if not word or telling.named_secret(connection, action.project, word) is not None:
        return None
    return telling.no_secret(word)


def later(action: Action) -> list[Child]:
    """The children that were put off until those before them are final."""
    return [Child(ActionKind(kind), node, inputs) for kind, node, inputs in action.data.get("later") or ()]


def put_later(data: Mapping[str, Any], children: Sequence[Child]) -> dict[str, Any]:
    rest = {key: value for key, value in data.items() if key != "later"}
    return {**rest, "later": [[c.action.value, c.node_id, dict(c.inputs)] for c in children]} if children else rest
