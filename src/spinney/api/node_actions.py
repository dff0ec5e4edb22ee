"""``POST /v1/nodes/{id}/actions`` and ``/ops``: what a node can be asked to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Row

from spinney.api.cluster_actions import Verb, read_verb
from spinney.api.nodes import submit_on
from spinney.api.recovering import NodeRecover, recover_inputs
from spinney.api.wire import Call, Reply, queued
from spinney.domain.action import ActionKind
from spinney.errors import HTTPBadRequest
from spinney.profiles import registry
from spinney.store import nodes


async def act(call: Call) -> Reply:
    verb, data = read_verb(call, VERBS)
    assert verb.kind is not None
    action_id = call.deps.ids.new()
    await call.deps.store.transact(_act, call, verb.kind, data, action_id)
    call.deps.ring()
    return queued(action_id, {"action": action_id})


def _act(connection: Connection, call: Call, kind: ActionKind, inputs: dict[str, Any], action_id: str) -> None:
    submit_on(connection, call, action_id, kind, nodes.FINDER.get(connection, call.word, call.scope), inputs)


def _as_given(connection: Connection, call: Call, row: Row[Any], inputs: dict[str, Any]) -> dict[str, Any]:
    return inputs


VERBS: Mapping[str, Verb] = {
    "check": Verb(ActionKind.NODE_CHECK, "Look whether it is well, whatever the map holds.", None, _as_given),
    "recover": Verb(ActionKind.NODE_RECOVER, "Mend it.", NodeRecover, _as_given, shape=recover_inputs),
}


async def operate(call: Call) -> Reply:
    """``POST /v1/nodes/{id}/ops``."""
    if len(call.body) != 1:
        raise HTTPBadRequest(f"The body needs exactly one operation, and there are {len(call.body)}.")
    ((operation, given),) = call.body.items()
    if given is not None and not isinstance(given, dict):
        raise HTTPBadRequest(f"{operation[:80]}: a map of its parameters is needed; {{}} where it takes none.")
    action_id = call.deps.ids.new()
    await call.deps.store.transact(_operate, call, operation, given, action_id)
    call.deps.ring()
    return queued(action_id, {"action": action_id})


def _operate(connection: Connection, call: Call, operation: str, given: dict[str, Any] | None, action_id: str) -> None:
    row = nodes.FINDER.get(connection, call.word, call.scope)
    parameters = registry.profile_type(row.profile_type or "").operation_parameters(operation, given)
    inputs = {"operation": operation, "params": parameters}
    submit_on(connection, call, action_id, ActionKind.NODE_OPERATION, row, inputs, operation)
