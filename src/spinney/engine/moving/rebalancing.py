"""Evening out hosts: the action that does it.

What is to move is chosen once, when the action begins, and stored with it; after that moves begin in that order as budgets,
the rate and the window let them, and one that no longer makes sense (the container is gone or elsewhere) is passed over. So a
plan and what is done agree, and an engine that takes over goes on with the same list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.clock import iso
from spinney.domain.action import FINAL_STATUSES, Action, ActionStatus, Cause
from spinney.domain.budget import Purse
from spinney.domain.cluster import Cluster
from spinney.domain.cluster_config import rebalancing
from spinney.domain.event import Level
from spinney.domain.node import Node
from spinney.domain.rebalance import MAX_MOVES, Advice, Present, Turn, take_turns
from spinney.engine.moving.balance import advise, names_of
from spinney.engine.moving.window import PAUSE, Scene
from spinney.store import standing
from spinney.store.rows import CLUSTERS, NODES
from spinney.store.tables import action as action_table
from spinney.store.tables import cluster as table
from spinney.store.tables import node as node_table

_MAX_IN_FLIGHT = 4


def advance(scene: Scene, action: Action) -> None:
    """Take a claimed CLUSTER_REBALANCE one step further."""
    cluster = CLUSTERS.one(scene.connection, table.c.id == action.target)
    if cluster is None:
        scene.end(action, action.target, ActionStatus.FAILED, action.outputs, "The cluster no longer exists.")
    elif "moves" not in action.data:
        _begin(scene, action, cluster)
    else:
        _go_on(scene, action, cluster)


def _begin(scene: Scene, action: Action, cluster: Cluster) -> None:
    scene.tell(action, cluster.name, "start", Level.INFO, "")
    if action.cancel_requested:
        scene.end(action, cluster.name, ActionStatus.CANCELLED, {}, "The rebalance was cancelled before it began.")
        return
    wanted = rebalancing(cluster.config)
    advice = advise(scene, cluster, wanted, int(action.inputs.get("max_moves") or MAX_MOVES))
    shown = view(advice, names_of(scene.connection, advice, cluster.project))
    _remember(scene, cluster, shown)
    if action.inputs.get("dry_run") or not advice.moves:
        scene.end(action, cluster.name, ActionStatus.SUCCEEDED, shown, told(advice))
        return
    data = {"moves": [[move.node_id, move.source, move.target] for move in advice.moves], "next": 0}
    connection = scene.connection
    connection.execute(action_table.update().where(action_table.c.id == action.id).values(data=data, outputs=shown))
    _go_on(scene, replace(action, data=data, outputs=shown), cluster)


def _go_on(scene: Scene, action: Action, cluster: Cluster) -> None:
    """Begin the moves whose turn it is, and conclude when all are through."""
    moves: Sequence[Sequence[str]] = action.data["moves"]
    nodes = {node.id: node for node in NODES.all(scene.connection, node_table.c.id.in_([move[0] for move in moves]))}
    children = _children(scene.connection, action)
    moving = sum(status not in FINAL_STATUSES for status, _, _ in children)
    over = action.cancel_requested or _late(scene, action)
    turn = Turn((), len(moves)) if over else _turn(scene, action, cluster, nodes, children, moving)
    reason = f"rebalancing {cluster.name}"
    chosen = [(nodes[moves[i][0]], {"exclude": [], "to": moves[i][2], "reason": reason}) for i in turn.start]
    scene.order_moves(action, chosen)
    if not moving and not chosen and turn.next == len(moves):
        _conclude(scene, action, cluster, children)
        return
    if turn.held and turn.held != action.data.get("held"):
        scene.tell(action, cluster.name, "blocked", Level.WARN, turn.held)
    said = f"{len(children) + len(chosen)} of {len(moves)} moves have begun, {moving + len(chosen)} under way"
    data = {**action.data, "next": turn.next, "held": turn.held}
    scene.wait(action, data, action.outputs, f"{said}{turn.held and ': '}{turn.held}.", scene.now + PAUSE)


def _late(scene: Scene, action: Action) -> bool:
    assert action.start_time is not None
    return scene.now >= action.start_time + action.timeout


def _turn(
    scene: Scene,
    action: Action,
    cluster: Cluster,
    nodes: Mapping[str, Node],
    children: Sequence[tuple[ActionStatus, float, str]],
    moving: int,
) -> Turn:
    """A rebalance that nobody asked for keeps to its pace."""
    free = _MAX_IN_FLIGHT - moving
    if action.cause is Cause.HEALING:
        recent = sum(created > scene.now - 60.0 for _, created, _ in children)
        free = min(free, rebalancing(cluster.config).moves_per_minute - recent)
    working = standing.at_work(scene.connection, list(nodes))
    present = {
        node.id: Present(node.host_id, node.cluster_id, standing.serves(node), node.id in working)
        for node in nodes.values()
    }
    purse = Purse(standing.standings(scene.connection, {node.cluster_id for node in nodes.values()}))
    moves = [(move[0], move[1]) for move in action.data["moves"]]
    return take_turns(moves, int(action.data["next"]), present, purse, free)


def _conclude(
    scene: Scene, action: Action, cluster: Cluster, children: Sequence[tuple[ActionStatus, float, str]]
) -> None:
    failed = [reason for status, _, reason in children if status is not ActionStatus.SUCCEEDED]
    said = f"{len(children) - len(failed)} of {len(action.data['moves'])} moves were made"
    outputs = action.outputs
    if action.cancel_requested:
        scene.end(action, cluster.name, ActionStatus.CANCELLED, outputs, f"The rebalance was stopped; {said}.")
    elif int(action.data["next"]) < len(action.data["moves"]) and _late(scene, action):
        why = action.data.get("held") or "the others had not come to an end"
        reason = f"Not done within {action.timeout} s; {said}: {why}."
        scene.end(action, cluster.name, ActionStatus.FAILED, outputs, reason)
    elif failed:
        reason = f"{said}; {len(failed)} failed: {failed[0]}"
        scene.end(action, cluster.name, ActionStatus.FAILED, outputs, reason)
    else:
        reason = f"{said}; imbalance {outputs['before']:.0%} before, {outputs['after']:.0%} expected now."
        scene.end(action, cluster.name, ActionStatus.SUCCEEDED, outputs, reason)


def _children(connection: Connection, action: Action) -> list[tuple[ActionStatus, float, str]]:
    c = action_table.c
    rows = connection.execute(
        sa.select(c.status, c.created_at, c.status_reason).where(c.parent_id == action.id).order_by(c.created_at)
    )
    return [(ActionStatus(status), created, reason) for status, created, reason in rows]


def view(advice: Advice, names: Mapping[str, str]) -> dict[str, Any]:
    """As the API shows it; ``names`` of hosts by id."""
    return {
        "before": round(advice.before, 4),
        "after": round(advice.after, 4),
        "moves": [
            {
                "node": m.node_id,
                "name": m.name,
                "from": names[m.source],
                "to": names[m.target],
                "gain": round(m.gain, 4),
            }
            for m in advice.moves
        ],
    }


def told(advice: Advice) -> str:
    if not advice.moves:
        return f"No move would gain enough: the imbalance is {advice.before:.0%}."
    count = len(advice.moves)
    return f"{count} move{'s' * (count > 1)} would bring the imbalance from {advice.before:.0%} to {advice.after:.0%}."


def _remember(scene: Scene, cluster: Cluster, shown: Mapping[str, Any]) -> None:
    """The latest advice is shown with the cluster."""
    data = {**cluster.data, "rebalance": {**shown, "advised_at": iso(scene.now)}}
    scene.connection.execute(table.update().where(table.c.id == cluster.id).values(data=data))
