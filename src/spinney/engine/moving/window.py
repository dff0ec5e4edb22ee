"""What draining and rebalancing share: ordering moves, and waiting in a window until one of them has ended.

A parent in a window is WAITING and woken by each child that ends, by a request to stop, and after a pause: what held a move
up may have gone without any child of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain import event as events
from spinney.domain.action import Action, ActionKind, ActionStatus, Cause, queued
from spinney.domain.event import Level
from spinney.domain.identity import Owner
from spinney.domain.node import Node
from spinney.domain.placement.model import PlacementRequest
from spinney.engine.catalog import Catalog, ContainerProfile
from spinney.engine.placing.asking import requests_for
from spinney.store import actions, windows
from spinney.store.rows import EVENTS

#: Seconds after which a window is looked at again though nothing ended.
PAUSE = 2.0
#: Between two children ordered together, so that they are claimed in the order in which they were chosen.
_STEP = 1e-6


@dataclass(frozen=True, slots=True)
class Scene:
    """One transaction about one such action."""

    connection: Connection
    catalog: Catalog
    network_limit: int
    ids: Ids
    now: float

    def order_moves(self, parent: Action, moves: Sequence[tuple[Node, Mapping[str, Any]]]) -> None:
        """Moves are work of the system: they yield to what the nodes' users ask, and are told in the users' projects."""
        self._order(ActionKind.NODE_MOVE, parent, [(node, f"Moving: {one['reason']}", one) for node, one in moves])

    def order_ends(self, parent: Action, nodes: Sequence[Node], reason: str) -> None:
        self._order(ActionKind.NODE_DELETE, parent, [(node, f"Ending: {reason}", {}) for node in nodes])

    def _order(self, kind: ActionKind, parent: Action, asked: Sequence[tuple[Node, str, Mapping[str, Any]]]) -> None:
        children = [
            replace(
                queued(
                    kind,
                    node.id,
                    Owner(node.user, node.project, node.domain),
                    action_id=self.ids.new(),
                    cause=Cause.HEALING,
                    now=self.now,
                    reason=reason,
                    cluster_id=node.cluster_id,
                    parent_id=parent.id,
                    inputs=inputs,
                ),
                created_at=self.now + number * _STEP,
            )
            for number, (node, reason, inputs) in enumerate(asked)
        ]
        actions.insert(self.connection, children)

    def wait(self, action: Action, data: Mapping[str, Any], outputs: Mapping[str, Any], reason: str, at: float) -> None:
        windows.wait(self.connection, action, data, outputs, reason, at)

    def end(self, action: Action, name: str, status: ActionStatus, outputs: Mapping[str, Any], reason: str) -> None:
        windows.end(self.connection, action, status, outputs, reason, self.now)
        good = status is ActionStatus.SUCCEEDED
        self.tell(action, name, "end" if good else "error", Level.INFO if good else Level.ERROR, reason)

    def tell(self, action: Action, name: str, phase: str, level: Level, reason: str) -> None:
        told = events.of_action(action, name, phase, level, reason, event_id=self.ids.new(), now=self.now)
        EVENTS.insert(self.connection, [told])

    def requests(self, nodes: Sequence[Node]) -> dict[str, PlacementRequest]:
        """What the scheduler would be asked for each node today; nodes whose profile is gone are left out."""
        profiles = self.catalog.load(self.connection, {node.profile_id for node in nodes})
        wanted = [
            (node, profile) for node in nodes if isinstance(profile := profiles.get(node.profile_id), ContainerProfile)
        ]
        return {request.node_id: request for request in requests_for(self.connection, wanted)}
