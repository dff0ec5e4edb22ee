"""``POST /v1/clusters/{id}/actions`` and ``/ops``: what a cluster can be asked to do.

Guaranteed: the shape of what is asked is checked before the cluster is looked up, everything else after, in the transaction
that queues the action; so sizes are compared with what the cluster has at that moment.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, ValidationError
from sqlalchemy import Connection, Row

from spinney.api import membership, runs, updating
from spinney.api.bindings import (
    PolicyAttach,
    PolicyDetach,
    attach_inputs,
    detach_inputs,
    let_balance,
    update_inputs,
)
from spinney.api.clusters import submit_on
from spinney.api.faults import malformed
from spinney.api.quotas import require_growth
from spinney.api.recovering import ClusterRecover, recover_inputs
from spinney.api.values import Bool, Count, IdList, JsonNumber, Limit, Nothing, Object, Positive, Request, String
from spinney.api.wire import Call, Reply, queued
from spinney.domain import sizing
from spinney.domain.action import ActionKind
from spinney.domain.schema import Since, SpecModel
from spinney.domain.sizing import Adjustment
from spinney.errors import ActionCooldown, BadRequest, FeatureNotSupported, HTTPBadRequest, MethodVersionNotFound
from spinney.policies import pipeline
from spinney.policies.attaching import Attached
from spinney.policies.registry import POLICY_TYPES
from spinney.policies.scaling import EVENTS as SCALINGS
from spinney.policies.scaling import ScalingProperties, cooling
from spinney.profiles import registry
from spinney.store import action_requests, bindings, clusters, lifecycle, nodes
from spinney.store.identity import as_uuid
from spinney.store.quotas import Change

#: What the policies of a cluster may refuse before it is queued.
_POLICED = frozenset({*SCALINGS, *(kind for one in POLICY_TYPES.values() for kind in one.refuses)})


class Nodes(Request):
    nodes: IdList = Field(description="Names or ids.")


class DelNodes(Nodes):
    destroy_after_deletion: Annotated[Bool | None, Since("1.4")] = Field(
        None, description="Also delete them; else they live on, in no cluster."
    )


class ReplaceNodes(Request):
    nodes: Object = Field(description="Old node to the new one that takes its place.")


class Scale(Request):
    count: Count | None = Field(None, description="Given none, 1, or what a policy of the cluster says.")


class Resize(Request):
    adjustment_type: String | None = Field(
        None, description="EXACT_CAPACITY, CHANGE_IN_CAPACITY or CHANGE_IN_PERCENTAGE."
    )
    number: JsonNumber | None = Field(None, description="With adjustment_type.")
    min_size: Count | None = Field(None, description="Its new one.")
    max_size: Limit | None = Field(None, description="Its new one.")
    min_step: Count | None = Field(None, description="The least change, with CHANGE_IN_PERCENTAGE.")
    strict: Bool | None = Field(
        None, description="Given none, true: refused beyond the sizes. False: as far as they allow."
    )


class Rebalance(Request):
    max_moves: Positive | None = Field(None, description="Containers that are moved at most.")
    dry_run: Bool | None = Field(None, description="Only report, as the action's outcome.")


class CompleteLifecycle(Request):
    lifecycle_action_token: String = Field(description="The id of the action that waits.")


class Check(Request):
    """Any map; passed through."""


@dataclass(frozen=True, slots=True)
class Verb:
    """``inputs`` gives the inputs of the action from what was asked and the cluster, or raises.

    ``kind`` None: ``does`` all of it, given an id for what it may queue, and returns the id of the action that answers.
    """

    kind: ActionKind | None
    #: What it does.
    says: str
    model: type[SpecModel] | None
    inputs: Callable[[Connection, Call, Row[Any], Any], dict[str, Any]] = lambda connection, call, row, data: dict(data)
    since: int = 0
    does: Callable[[Connection, Call, Any, str], str] | None = None
    #: Checks that need no cluster.
    shape: Callable[[Any], Any] | None = None
    #: There only for callers who negotiate Spinney's own version.
    ours: bool = False


async def act(call: Call) -> Reply:
    verb, data = read_verb(call, VERBS)
    action_id = call.deps.ids.new()
    if verb.kind is None:
        assert verb.does is not None
        action_id = await call.deps.store.transact(verb.does, call, data, action_id)
    else:
        if verb.kind is ActionKind.CLUSTER_ATTACH_POLICY:
            await let_balance(call, [data.policy_id], call.word)
        await call.deps.store.transact(order, call, verb.kind, verb, data, action_id)
    call.deps.ring()
    return queued(action_id, {"action": action_id})


def read_verb(call: Call, verbs: Mapping[str, Verb]) -> tuple[Verb, Any]:
    """The one action of the body, and its parameters. Raises: HTTPBadRequest, MethodVersionNotFound."""
    name, given = the_one(call, [name for name, verb in verbs.items() if call.ours or not verb.ours])
    verb = verbs[name]
    if verb.since > call.versions.minor:
        raise MethodVersionNotFound(
            f"The action {name} does not exist at version 1.{call.versions.minor}; ask for 'clustering 1.{verb.since}' or "
            f"later in OpenStack-API-Version."
        )
    data: Any = given
    if verb.model is not None:
        try:
            data = verb.model.model_validate(given)
        except ValidationError as error:
            raise malformed(error, verb.model, name) from error
    return verb, data if verb.shape is None else verb.shape(data)


def the_one(call: Call, names: Collection[str]) -> tuple[str, dict[str, Any]]:
    """Which of the names the body holds, and the parameters there. Raises: HTTPBadRequest."""
    body: dict[str, Any] = call.body
    if len(body) != 1:
        found = f"there are {len(body)} ({', '.join(sorted(body))[:200]})" if body else "there is none"
        raise HTTPBadRequest(f"The body needs exactly one action, and {found}; there could be {', '.join(names)}.")
    ((name, given),) = body.items()
    if name not in names:
        raise HTTPBadRequest(f"'{name[:80]}' is no action here; there are {', '.join(names)}.")
    if not isinstance(given, dict):
        raise HTTPBadRequest(f"{name}: a map of its parameters is needed; {{}} where it takes none.")
    return name, given


def order(connection: Connection, call: Call, kind: ActionKind, verb: Verb, data: Any, action_id: str) -> None:
    """Check and queue an action on the cluster that the call's first word names."""
    row = clusters.FINDER.get(connection, call.word, call.scope)
    attached = bindings.attached(connection, row.id) if kind in _POLICED else []
    refused = pipeline.refusal(attached, kind)
    if refused is not None:
        raise FeatureNotSupported(f"{kind.value} on the cluster '{row.name}' is refused: {refused}.")
    submit_on(connection, call, action_id, kind, row, verb.inputs(connection, call, row, data))
    _require_cooled_down(call, row, kind, attached)


def _require_cooled_down(call: Call, row: Row[Any], kind: ActionKind, attached: Sequence[Attached]) -> None:
    """What is at work on the cluster is told before this is. Raises: ActionCooldown."""
    for one in attached if kind in SCALINGS else ():
        properties = one.policy.properties
        if not one.enabled or not isinstance(properties, ScalingProperties):
            continue
        left = cooling(properties, kind, one.last_op, call.now)
        if left > 0:
            raise ActionCooldown(
                f"{kind.value} on the cluster '{row.name}' is refused: policy '{one.name}' asks for "
                f"{properties.adjustment.cooldown} s between scalings; try again in {math.ceil(left)} s."
            )


def _limit(call: Call) -> int:
    return call.deps.settings.max_nodes_per_cluster


def _require_room(call: Call, row: Row[Any], desired: int) -> None:
    fault = sizing.check(clusters.value(row), desired, max_nodes=_limit(call), strict=True)
    if fault:
        raise BadRequest(f"{fault}.")


def _add_nodes(connection: Connection, call: Call, row: Row[Any], data: Nodes) -> dict[str, Any]:
    joining = membership.to_join(connection, call, row, data.nodes)
    _require_room(call, row, row.desired_capacity + len(joining))
    return {"nodes": joining}


def _del_nodes(connection: Connection, call: Call, row: Row[Any], data: DelNodes) -> dict[str, Any]:
    leaving = membership.to_leave(connection, call, row, data.nodes)
    _require_room(call, row, row.desired_capacity - len(leaving))
    destroy = bool(data.destroy_after_deletion) and call.since(4)
    return {"candidates": leaving, "count": len(leaving), "destroy_after_deletion": destroy}


def _replace_shape(data: ReplaceNodes) -> dict[str, str]:
    pairs = dict(data.nodes)
    if not pairs:
        raise HTTPBadRequest("replace_nodes.nodes: a map of at least one old node to its new one is needed.")
    for old, new in pairs.items():
        if not isinstance(new, str) or not new:
            raise HTTPBadRequest(f"replace_nodes.nodes: '{old[:80]}' needs the name or id of a node to be replaced by.")
    if len(set(pairs.values())) < len(pairs):
        raise HTTPBadRequest("replace_nodes.nodes: one node cannot replace two; name a different one for each.")
    return pairs


def _replace_nodes(connection: Connection, call: Call, row: Row[Any], pairs: dict[str, str]) -> dict[str, Any]:
    return {"candidates": membership.to_replace(connection, call, row, pairs)}


def _scale_shape(data: Scale) -> Scale:
    if data.count == 0:
        raise HTTPBadRequest("count: 0 is not allowed: give the number of nodes, or leave it out to mean 1.")
    return data


def _scale(sign: int) -> Callable[[Connection, Call, Row[Any], Scale], dict[str, Any]]:
    def inputs(connection: Connection, call: Call, row: Row[Any], data: Scale) -> dict[str, Any]:
        desired = row.desired_capacity + sign * (1 if data.count is None else data.count)
        fault = sizing.check(clusters.value(row), desired, max_nodes=_limit(call), strict=False)
        if fault:
            raise BadRequest(f"{fault}.")
        require_growth(connection, call, row, Change(desired=desired))
        return {} if data.count is None else {"count": data.count}

    return inputs


def _resize_shape(data: Resize) -> dict[str, Any]:
    inputs = data.given()
    if not inputs.keys() - {"strict"}:
        raise HTTPBadRequest("resize: nothing to do; give adjustment_type and number, or min_size, or max_size.")
    kind, number = inputs.get("adjustment_type"), inputs.get("number")
    if kind is not None and kind not in list(Adjustment):
        raise HTTPBadRequest(f"resize.adjustment_type: '{kind[:80]}' is not allowed: one of {', '.join(Adjustment)}.")
    if (kind is None) != (number is None):
        given, missing = ("number", "adjustment_type") if kind is None else ("adjustment_type", "number")
        raise HTTPBadRequest(f"resize.{missing}: it is required when {given} is given.")
    if kind == Adjustment.EXACT and number is not None and number < 0:
        raise HTTPBadRequest(f"resize.number: {number} is not allowed: {kind} takes 0 or more.")
    if data.min_step is not None and kind != Adjustment.PERCENTAGE:
        raise HTTPBadRequest(f"resize.min_step: it belongs to {Adjustment.PERCENTAGE}; leave it out here.")
    if data.min_size is not None and data.max_size is not None and 0 < data.max_size < data.min_size:
        raise HTTPBadRequest(
            f"resize: the specified min_size ({data.min_size}) is greater than the specified max_size ({data.max_size})."
        )
    return inputs


def _resize(connection: Connection, call: Call, row: Row[Any], inputs: dict[str, Any]) -> dict[str, Any]:
    desired = sizing.asked(inputs, clusters.member_count(connection, row.id))
    fault = sizing.check(
        clusters.value(row),
        desired,
        max_nodes=_limit(call),
        strict=bool(inputs.get("strict", True)),
        min_size=inputs.get("min_size"),
        max_size=inputs.get("max_size"),
    )
    if fault:
        raise BadRequest(f"{fault}.")
    require_growth(connection, call, row, Change(desired=desired))
    return inputs


def _check(connection: Connection, call: Call, row: Row[Any], inputs: dict[str, Any]) -> dict[str, Any]:
    if inputs.get("delete_check_action") is True:
        action_requests.forget_checks(connection, row.id)
    return inputs


def _as_given(connection: Connection, call: Call, row: Row[Any], inputs: dict[str, Any]) -> dict[str, Any]:
    return inputs


def _rebalance(connection: Connection, call: Call, row: Row[Any], data: Rebalance) -> dict[str, Any]:
    return data.given()


def _complete_lifecycle(connection: Connection, call: Call, data: CompleteLifecycle, _: str) -> str:
    """Let an action go on that waits for its lifecycle hook; one that does not wait is left as it is."""
    token = as_uuid(data.lifecycle_action_token)
    if token is None:
        raise action_requests.FINDER.absent(data.lifecycle_action_token)
    row = action_requests.FINDER.get(connection, token, call.scope)
    lifecycle.release(connection, row.id, call.now)
    return str(row.id)


VERBS: Mapping[str, Verb] = {
    "add_nodes": Verb(ActionKind.CLUSTER_ADD_NODES, "Make nodes without a cluster its members.", Nodes, _add_nodes),
    "del_nodes": Verb(ActionKind.CLUSTER_DEL_NODES, "Take members out.", DelNodes, _del_nodes),
    "scale_out": Verb(ActionKind.CLUSTER_SCALE_OUT, "Grow.", Scale, _scale(1), shape=_scale_shape),
    "scale_in": Verb(ActionKind.CLUSTER_SCALE_IN, "Shrink.", Scale, _scale(-1), shape=_scale_shape),
    "resize": Verb(ActionKind.CLUSTER_RESIZE, "Change the sizes.", Resize, _resize, shape=_resize_shape),
    "check": Verb(ActionKind.CLUSTER_CHECK, "Look whether the members are well, whatever the map holds.", None, _check),
    "recover": Verb(
        ActionKind.CLUSTER_RECOVER, "Mend members that are not well.", ClusterRecover, _as_given, shape=recover_inputs
    ),
    "replace_nodes": Verb(
        ActionKind.CLUSTER_REPLACE_NODES,
        "Exchange members for nodes without a cluster.",
        ReplaceNodes,
        _replace_nodes,
        since=3,
        shape=_replace_shape,
    ),
    "policy_attach": Verb(ActionKind.CLUSTER_ATTACH_POLICY, "Attach a policy.", PolicyAttach, attach_inputs),
    "policy_detach": Verb(ActionKind.CLUSTER_DETACH_POLICY, "Detach a policy.", PolicyDetach, detach_inputs),
    "policy_update": Verb(ActionKind.CLUSTER_UPDATE_POLICY, "Enable or disable a policy.", PolicyAttach, update_inputs),
    "rebalance": Verb(
        ActionKind.CLUSTER_REBALANCE, "Even out the hosts of a host cluster.", Rebalance, _rebalance, ours=True
    ),
    "rollback": Verb(None, "Go back to an earlier revision.", updating.Rollback, does=updating.roll_back, ours=True),
    **{
        wish.value: Verb(None, says, Nothing, does=updating.saying(wish), ours=True)
        for wish, says in updating.WISHES.items()
    },
    "run": Verb(ActionKind.CLUSTER_RUN, "Begin a run of a job.", runs.Begin, runs.begin_inputs, ours=True),
    "cancel_run": Verb(
        ActionKind.CLUSTER_CANCEL_RUN, "End a run of a job.", runs.Cancel, runs.cancel_inputs, ours=True
    ),
    "complete_lifecycle": Verb(
        None, "Let an action go on that waits for this.", CompleteLifecycle, since=9, does=_complete_lifecycle
    ),
}

_FILTERS = ("name", "profile_id", "status", "role")


async def operate(call: Call) -> Reply:
    """``POST /v1/clusters/{id}/ops``."""
    if len(call.body) != 1:
        raise HTTPBadRequest(f"The body needs exactly one operation, and there are {len(call.body)}.")
    ((operation, given),) = call.body.items()
    if given is not None and not isinstance(given, dict):
        raise HTTPBadRequest(f"{operation[:80]}: a map with params and filters is needed; {{}} where there are none.")
    action_id = call.deps.ids.new()
    await call.deps.store.transact(order_operation, call, operation, given or {}, action_id)
    call.deps.ring()
    return queued(action_id, {"action": action_id})


def order_operation(connection: Connection, call: Call, operation: str, given: dict[str, Any], action_id: str) -> None:
    params, filters = _split(given)
    row = clusters.FINDER.get(connection, call.word, call.scope)
    parameters = registry.profile_type(row.profile_type or "").operation_parameters(operation, params)
    chosen = [node.id for node in nodes.members(connection, row.id) if _fits(node, filters)]
    if not chosen:
        raise BadRequest(f"No node of the cluster '{row.name}' is left to {operation} after the filters; change them.")
    inputs = {"operation": operation, "params": parameters, "nodes": chosen}
    submit_on(connection, call, action_id, ActionKind.CLUSTER_OPERATION, row, inputs, operation)


def _split(given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Parameters and filters. Without either of these two keys the map itself is the parameters, as clients send it."""
    if given.keys() - {"params", "filters"}:
        return given, {}
    filters = given.get("filters") or {}
    if not isinstance(filters, dict):
        raise HTTPBadRequest("filters: a map is needed.")
    unknown = sorted(filters.keys() - set(_FILTERS))
    if unknown:
        raise HTTPBadRequest(f"filters.{unknown[0][:80]}: there is no such filter; there are {', '.join(_FILTERS)}.")
    return given.get("params"), filters


def _fits(node: Row[Any], filters: dict[str, Any]) -> bool:
    return all(
        getattr(node, key) in (wanted if isinstance(wanted, list) else [wanted]) for key, wanted in filters.items()
    )
