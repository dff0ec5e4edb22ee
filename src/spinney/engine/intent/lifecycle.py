"""Claimed node actions asked whether somebody has to be asked first: put aside, let through, or ended.

Guaranteed: which of the three is decided and stored in the transaction that claimed the action, with the message that asks; an
action whose stay is over is let through by whoever claims it then. Actions on nodes of clusters without such a policy cost
one statement for all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain.action import Action, ActionKind
from spinney.domain.lifecycle import (
    Hook,
    Launch,
    Stay,
    Transition,
    about_to_stop,
    begin,
    message,
    stay_of,
    told_already,
    waiting_reason,
    with_stay,
)
from spinney.domain.node import Node
from spinney.policies.lifecycle import LifecycleProperties
from spinney.store import hooks, lifecycle, telling
from spinney.store.tables import action as table
from spinney.store.telling import Message

Work = tuple[Action, Node]
_OF_CLUSTERS = (ActionKind.NODE_DELETE, ActionKind.NODE_OPERATION)
_MAKING = (ActionKind.NODE_CREATE, ActionKind.NODE_UPDATE, ActionKind.NODE_MOVE, ActionKind.NODE_RECOVER)


@dataclass(slots=True)
class Gated:
    """``launches``: by action, what is to be asked when its new container runs."""

    through: list[Work] = field(default_factory=list)
    refused: list[tuple[Action, Node, str]] = field(default_factory=list)
    launches: dict[str, Launch] = field(default_factory=dict)


def gate(
    connection: Connection,
    pending: Sequence[Work],
    ids: Ids,
    now: float,
    *,
    careful: Callable[[set[str]], set[str]],
    in_place: Callable[[Action, Node], bool],
) -> Gated:
    """``careful``: those of some clusters two containers of whose members must never run at once; ``in_place``: whether an
    update leaves the container where it is."""
    pending = [(_settled(connection, action, now), node) for action, node in pending]
    asking = [(action, node) for action, node in pending if node.cluster_id]
    policies = hooks.of_clusters(connection, {node.cluster_id for _, node in asking})
    parents = {a.parent_id for a, _ in asking if a.action in _OF_CLUSTERS and a.parent_id is not None}
    deletions = (
        hooks.of_deletions(connection, parents) if len(policies) < len({n.cluster_id for _, n in asking}) else {}
    )
    moving = {n.cluster_id for a, n in asking if a.action is ActionKind.NODE_MOVE and n.cluster_id in policies}
    one_at_a_time = careful(moving) if moving else ()
    found = Gated()
    entry = _Entry(connection, policies, deletions, one_at_a_time, in_place, ids, now, found)
    for action, node in pending:
        entry.decide(action, node)
    return found


def _settled(connection: Connection, action: Action, now: float) -> Action:
    """With its stays ended that it has come back from."""
    data = action.data
    for transition in Transition:
        stay = stay_of(data, transition)
        if stay is not None and not stay.over:
            data = with_stay(data, transition, stay.ended(action, now))
    if data is action.data:
        return action
    connection.execute(table.update().where(table.c.id == action.id).values(data=data))
    return replace(action, data=data)


@dataclass(slots=True)
class _Entry:
    connection: Connection
    policies: Mapping[str, LifecycleProperties]
    deletions: Mapping[str, Hook]
    one_at_a_time: Collection[str]
    in_place: Callable[[Action, Node], bool]
    ids: Ids
    now: float
    found: Gated

    def decide(self, action: Action, node: Node) -> None:
        stay = stay_of(action.data, Transition.TERMINATION)
        if stay is not None and stay.abandoned and "left" not in action.data and not action.cancel_requested:
            self.found.refused.append((action, node, stay.unanswered("the stop")))
            return
        if stay is None and not action.cancel_requested and not told_already(action):
            hook = self._before_stop(action, node)
            container = None if hook is None else self._stopping(action, node)
            if hook is not None and container is not None and not self._silent(action, node):
                self._hold(action, node, hook, container)
                return
        launch = self._launch(action, node)
        if isinstance(launch, str):
            self.found.refused.append((action, node, launch))
            return
        if launch is not None:
            self.found.launches[action.id] = launch
        self.found.through.append((action, node))

    def _before_stop(self, action: Action, node: Node) -> Hook | None:
        properties = self.policies.get(node.cluster_id)
        if properties is not None and properties.before_stop is not None:
            return properties.before_stop.hook()
        return self.deletions.get(action.parent_id or "")

    def _stopping(self, action: Action, node: Node) -> str | None:
        return about_to_stop(
            action, node, one_at_a_time=node.cluster_id in self.one_at_a_time, in_place=self.in_place(action, node)
        )

    def _silent(self, action: Action, node: Node) -> bool:
        """Whether nobody can tell if the container still serves."""
        left = action.data.get("left")
        host_id = node.host_id if left is None else left["host"]
        return bool(hooks.silent(self.connection, [host_id] if host_id else []))

    def _hold(self, action: Action, node: Node, hook: Hook, container: str) -> None:
        signer = self._signer(action, hook, "before_stop")
        if isinstance(signer, str):
            self.found.refused.append((action, node, signer))
            return
        stay: Stay = begin(hook, self.now)
        body = message(action, node.name, container, Transition.TERMINATION, stay.deadline)
        told = Message(self.ids.new(), action.id, hook.url, body, stay.deadline, *signer)
        data = with_stay(action.data, Transition.TERMINATION, stay)
        lifecycle.hold(self.connection, action, data, waiting_reason(stay), stay.deadline, told, self.now)

    def _launch(self, action: Action, node: Node) -> Launch | str | None:
        """A text: why it must not begin."""
        properties = self.policies.get(node.cluster_id)
        if properties is None or properties.after_start is None or action.action not in _MAKING:
            return None
        if stay_of(action.data, Transition.LAUNCH) is not None or "left" in action.data:
            return None
        hook = properties.after_start.hook()
        signer = self._signer(action, hook, "after_start")
        return signer if isinstance(signer, str) else Launch(hook, *signer)

    def _signer(self, action: Action, hook: Hook, at: str) -> tuple[str | None, str | None] | str:
        if not hook.secret:
            return None, None
        found = telling.named_secret(self.connection, action.project, hook.secret)
        return telling.no_secret(hook.secret, at) if found is None else found
