"""The room of containers that are changed where they are.

Guaranteed: while such a change is at work its node has set aside, of each resource, the larger of what it had and what it is
to have, on a host where that fits; in the transaction that records how the change ended it has what its container has. A node
that was made anew instead is left alone: its generation tells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.node import Node
from spinney.store import placements
from spinney.store.tables import action as action_table
from spinney.store.tables import node as table

#: In the ``data`` of an action: what its node had, and is to have.
_KEY = "in_place"
#: In the outputs of an action that was put off: its container has to be made anew after all, for this reason.
REPLACE = "replaced_because"


def begun(action: Action, node: Node) -> bool:
    """Whether the action is in the middle of changing the node's present container."""
    return _of(action, node) is not None and REPLACE not in action.outputs


def untouched(action: Action, node: Node) -> bool:
    """Whether the node's container was to be changed, and is at least as it was."""
    return _of(action, node) is not None


def begin(connection: Connection, action: Action, node: Node, cpu: float, memory: int) -> tuple[Action, Node] | None:
    """Set aside what the node's container is to have, where it is; None: its host has no room for more."""
    wider = replace(node, reserved_cpu=max(node.reserved_cpu, cpu), reserved_memory=max(node.reserved_memory, memory))
    if not _resize(connection, node, wider.reserved_cpu, wider.reserved_memory):
        return None
    had = {"cpu": node.reserved_cpu, "memory": node.reserved_memory}
    told = {"generation": node.generation, "had": had, "wanted": {"cpu": cpu, "memory": memory}}
    data = {**action.data, _KEY: told}
    connection.execute(action_table.update().where(action_table.c.id == action.id).values(data=data))
    return replace(action, data=data), wider


def settle(connection: Connection, ended: Iterable[tuple[Action, Node | None, bool]]) -> bool:
    """Actions that are final, with their nodes as they acted on them, and whether they succeeded. True: some room came free."""
    freed = False
    for action, node, succeeded in ended:
        told = None if node is None else _of(action, node)
        if node is not None and told is not None:
            room = told["wanted" if succeeded else "had"]
            freed |= _resize(connection, node, room["cpu"], room["memory"])
    return freed


def updated(connection: Connection, since: float) -> list[tuple[str, str]]:
    """Hosts, and nodes there, whose update to another profile has succeeded since then."""
    c = action_table.c
    rows = connection.execute(
        sa.select(table.c.host_id, table.c.id)
        .join_from(action_table, table, table.c.id == c.target)
        .where(
            c.end_time >= since,
            c.action == ActionKind.NODE_UPDATE.value,
            c.status == ActionStatus.SUCCEEDED.value,
            table.c.host_id.is_not(None),
        )
    )
    return [(host_id, node_id) for host_id, node_id in rows]


def _of(action: Action, node: Node) -> Mapping[str, Any] | None:
    told: Mapping[str, Any] | None = action.data.get(_KEY)
    return told if told is not None and told["generation"] == node.generation else None


def _resize(connection: Connection, node: Node, cpu: float, memory: int) -> bool:
    """False: the host has no room for that."""
    more = (cpu - node.reserved_cpu, memory - node.reserved_memory)
    if more == (0.0, 0):
        return True
    assert node.host_id is not None
    if not placements.resize(connection, node.host_id, *more):
        return False
    values = {"reserved_cpu": cpu, "reserved_memory": memory}
    connection.execute(table.update().where(table.c.id == node.id).values(values))
    return True
