"""What a cluster action turns into: sizes to record, nodes to make, work per node, and in the end a verdict.

``begin`` is asked when an engine first takes the action up, ``conclude`` when all of its children are final. Between the two
the action waits and nothing of it is kept in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from spinney.domain import sizing
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.cluster import Cluster
from spinney.domain.cluster_config import stop_before_delete
from spinney.domain.member import Member
from spinney.domain.node import NodeStatus
from spinney.domain.victims import shares_of, victims

_LEAVING = (ActionKind.NODE_DELETE, ActionKind.NODE_LEAVE)
_STOPPING_FIRST = (
    ActionKind.CLUSTER_DELETE,
    ActionKind.CLUSTER_DEL_NODES,
    ActionKind.CLUSTER_RESIZE,
    ActionKind.CLUSTER_SCALE_IN,
)
_TOLD = 10


@dataclass(frozen=True, slots=True)
class Child:
    action: ActionKind
    node_id: str
    inputs: Mapping[str, Any] = field(default_factory=dict)
    #: It waits until somebody has been told and completes it, or the hook's time is up.
    held: bool = False


@dataclass(frozen=True, slots=True)
class Begin:
    """``cluster`` is the cluster as it is to be stored; ``create`` counts new nodes beside the children named.

    ``later`` are children for when those named are final, however they ended.
    """

    cluster: Cluster
    create: int = 0
    children: tuple[Child, ...] = ()
    later: tuple[Child, ...] = ()
    outputs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """The action fails without having changed anything."""

    reason: str


@dataclass(frozen=True, slots=True)
class Results:
    """How the children of an action ended."""

    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    reasons: tuple[str, ...] = ()  # of the first failures, each naming its node

    @property
    def total(self) -> int:
        return self.succeeded + self.failed + self.cancelled


@dataclass(frozen=True, slots=True)
class Verdict:
    status: ActionStatus
    reason: str


def begin(
    cluster: Cluster, action: Action, members: Sequence[Member], *, limit: int, machines: int | None = None
) -> Begin | Refusal:
    """``limit`` is the greatest number of nodes a cluster may have; ``machines`` how many more hosts its profile has machines
    for, None where nodes need none.

    What policies have decided is in the action's ``data``. Guaranteed: a host that is used is in no child that deletes it or
    takes it out of its cluster, and no more hosts are made than there are machines; what would need either is refused as a
    whole.
    """
    outcome = _BEGIN[action.action](cluster, action, members, limit)
    if isinstance(outcome, Refusal):
        return outcome
    fault = _used_fault(outcome, members) or _machines_fault(outcome.create, machines)
    return Refusal(fault) if fault else _stopping_first(cluster, action, outcome, members)


def _used_fault(outcome: Begin, members: Sequence[Member]) -> str | None:
    leaving = {child.node_id for child in outcome.children if child.action in _LEAVING}
    used = [member for member in members if member.id in leaving and member.used]
    if not used:
        return None
    told = ", ".join(member.use for member in used[:_TOLD]) + (f" and {len(used) - _TOLD} more" if used[_TOLD:] else "")
    empty = sum(1 for member in members if not member.used)
    return (
        f"hosts in use stay in their cluster: {told}; empty are {empty} of {len(members)}, and {len(leaving)} would have to "
        f"leave. Drain those in use first, or take fewer"
    )


def _machines_fault(wanted: int, machines: int | None) -> str | None:
    return None if machines is None or wanted <= machines else machines_fault(wanted, machines)


def machines_fault(wanted: int, machines: int) -> str:
    hosts = f"{wanted} more host{'s are' if wanted != 1 else ' is'} wanted"
    left = f"{machines} machine{'s' * (machines != 1)} of the profile {'are' if machines != 1 else 'is'} free"
    remedy = f"ask for {machines} at most, or list" if machines else "list"
    return f"{hosts} and {left}: {remedy} more machines in the inventory of the cluster's profile"


def _stopping_first(cluster: Cluster, action: Action, outcome: Begin, members: Sequence[Member]) -> Begin:
    """Where the cluster is configured so, containers are stopped before any of them is deleted; whoever waits for somebody
    to be told then waits with its stop."""
    deleted = {child.node_id: child for child in outcome.children if child.action is ActionKind.NODE_DELETE}
    asked = action.action in _STOPPING_FIRST and not action.inputs.get("force")
    if not deleted or not asked or not stop_before_delete(cluster.config):
        return outcome
    stopped = [m.id for m in members if m.id in deleted and m.host_id is not None and m.made]
    stops = tuple(_stop(deleted[node_id]) for node_id in stopped)
    if not stops:
        return outcome
    at_once = tuple(child for child in outcome.children if child.node_id not in stopped)
    return replace(
        outcome, children=stops, later=(*at_once, *(replace(deleted[node_id], held=False) for node_id in stopped))
    )


def _stop(deletion: Child) -> Child:
    timeout = deletion.inputs.get("stop_timeout")
    inputs = {"operation": "stop", "params": {} if timeout is None else {"timeout": timeout}}
    return Child(ActionKind.NODE_OPERATION, deletion.node_id, inputs, deletion.held)


def _create(cluster: Cluster, action: Action, members: Sequence[Member], limit: int) -> Begin | Refusal:
    return Begin(cluster, create=max(cluster.desired_capacity - len(members), 0))


def _delete(cluster: Cluster, action: Action, members: Sequence[Member], limit: int) -> Begin | Refusal:
    inputs = {"force": True} if action.inputs.get("force") else {}
    return Begin(cluster, children=_each(ActionKind.NODE_DELETE, members, inputs))


def _resize_to(cluster: Cluster, action: Action, members: Sequence[Member], desired: int) -> Begin:
    resized = replace(cluster, desired_capacity=desired)
    missing = desired - len(members)
    if missing >= 0:
        return Begin(resized, create=missing)
    leaving = _leaving(action, members, -missing)
    return Begin(
        resized,
        children=_removals(action, leaving, destroy=True),
        outputs={"nodes_removed": [member.id for member in leaving]},
    )


def _decided(action: Action, what: str) -> Mapping[str, Any]:
    """What policies have decided about ``creation`` or ``deletion``."""
    found: Mapping[str, Any] = action.data.get(what) or {}
    return found


def _leaving(action: Action, members: Sequence[Member], count: int) -> list[Member]:
    deletion = _decided(action, "deletion")
    if "candidates" not in deletion:
        return victims(members, count, shares=shares_of(deletion))
    present = {member.id: member for member in members}
    return [present[node] for node in deletion["candidates"] if node in present][:count]


def _removals(action: Action, leaving: Sequence[Member], *, destroy: bool) -> tuple[Child, ...]:
    """``destroy``: where no policy says whether nodes that leave are deleted."""
    deletion = _decided(action, "deletion")
    kind = ActionKind.NODE_DELETE if deletion.get("destroy_after_deletion", destroy) else ActionKind.NODE_LEAVE
    grace = deletion.get("grace_period")
    inputs = {"stop_timeout": grace} if grace and kind is ActionKind.NODE_DELETE else {}
    hooked = bool(action.data.get("hooks"))
    return tuple(
        Child(kind, member.id, inputs, held=hooked and member.made and member.status is NodeStatus.ACTIVE)
        for member in leaving
    )


def _scale_out(cluster: Cluster, action: Action, members: Sequence[Member], limit: int) -> Begin | Refusal:
    count = _decided(action, "creation").get("count", _count(action))
    return _scale(cluster, action, members, limit, count)


def _scale_in(cluster: Cluster, action: Action, members: Sequence[Member], limit: int) -> Begin | Refusal:
    count = _decided(action, "deletion").get("count", _count(action))
    return _scale(cluster, action, members, limit, -min(count, len(members)))


def _scale(cluster: Cluster, action: Action, members: Sequence[Member], limit: int, change: int) -> Begin | Refusal:
    if change == 0 and members:  # all that a policy's best effort could do
        return Begin(cluster)
    desired = len(members) + change
    fault = sizing.check(cluster, desired, max_nodes=limit, strict=True)
    return Refusal(fault) if fault else _resize_to(cluster, action, members, desired)


def _count(action: Action) -> int:
    count = action.inputs.get("count")
    return 1 if count is None else int(count)


def _resize(cluster: Cluster, action: Action, members: Sequence[Member], limit: int) -> Begin | Refusal:
    outcome = sizing.resize(cluster, action.inputs, current=len(members), max_nodes=limit)
    if isinstance(outcome, str):
        return Refusal(outcome)
    resized = replace(cluster, min_size=outcome.min_size, max_size=outcome.max_size)
    return _resize_to(resized, action, members, outcome.desired_capacity)


def _add_nodes(cluster: Cluster, action: Action, members: Sequence[Member], limit: int) -> Begin | Refusal:
    joining = [str(node) for node in action.inputs["nodes"]]
    desired = len(members) + len(joining)
    fault = sizing.check(cluster, desired, max_nodes=limit, strict=True)
    if fault:
        return Refusal(fault)
    children = tuple(Child(ActionKind.NODE_JOIN, node, {"cluster_id": cluster.id}) for node in joining)
    return Begin(replace(cluster, desired_capacity=desired), children=children, outputs={"nodes_added": joining})


def _del_nodes(cluster: Cluster, action: Action, members: Sequence[Member], limit: int) -> Begin | Refusal:
    named = {str(node) for node in action.inputs["candidates"]}
    leaving = [member for member in members if member.id in named]
    desired = len(members) - len(leaving)
    fault = sizing.check(cluster, desired, max_nodes=limit, strict=True)
    if fault:
        return Refusal(fault)
    reduce = _decided(action, "deletion").get("reduce_desired_capacity", True)
    return Begin(
        replace(cluster, desired_capacity=desired) if reduce else cluster,
        children=_removals(action, leaving, destroy=bool(action.inputs.get("destroy_after_deletion"))),
        outputs={"nodes_removed": [member.id for member in leaving]},
    )


def _replace_nodes(cluster: Cluster, action: Action, members: Sequence[Member], limit: int) -> Begin | Refusal:
    pairs = {str(old): str(new) for old, new in action.inputs["candidates"].items()}
    present = {member.id for member in members}
    absent = [old for old in pairs if old not in present]
    if absent:
        return Refusal(f"nodes {', '.join(sorted(absent))} are no longer members of cluster {cluster.name}")
    joins = tuple(Child(ActionKind.NODE_JOIN, new, {"cluster_id": cluster.id}) for new in pairs.values())
    leaves = tuple(Child(ActionKind.NODE_LEAVE, old) for old in pairs)
    return Begin(cluster, children=joins + leaves)


def _update(cluster: Cluster, action: Action, members: Sequence[Member], limit: int) -> Begin | Refusal:
    """Members that are to have another profile get it one batch after the other: ``domain.rollout`` decides about that."""
    inputs = action.inputs
    changes = {key: inputs[key] for key in ("name", "metadata", "timeout", "config") if inputs.get(key) is not None}
    if inputs.get("profile_only") and inputs.get("new_profile_id") is not None:
        changes["profile_id"] = inputs["new_profile_id"]
    return Begin(replace(cluster, **changes))


def _check(cluster: Cluster, action: Action, members: Sequence[Member], limit: int) -> Begin | Refusal:
    return Begin(cluster, children=_each(ActionKind.NODE_CHECK, members))


def _recover(cluster: Cluster, action: Action, members: Sequence[Member], limit: int) -> Begin | Refusal:
    """Without ``check`` only members known to be unwell are recovered; with it, each is looked at first."""
    look_first = bool(action.inputs.get("check"))
    inputs = {
        key: action.inputs[key] for key in ("operation", "operation_params") if action.inputs.get(key) is not None
    }
    unwell = [m for m in members if look_first or m.status is not NodeStatus.ACTIVE]
    missing = cluster.desired_capacity - len(members) if action.inputs.get("check_capacity") else 0
    if look_first:
        inputs["check"] = True
    leaving = victims(members, -missing) if missing < 0 else []
    gone = {member.id for member in leaving}
    return Begin(
        cluster,
        create=max(missing, 0),
        children=_each(ActionKind.NODE_RECOVER, [m for m in unwell if m.id not in gone], inputs)
        + _each(ActionKind.NODE_DELETE, leaving),
    )


def _operation(cluster: Cluster, action: Action, members: Sequence[Member], limit: int) -> Begin | Refusal:
    named = {str(node) for node in action.inputs.get("nodes", ())}
    chosen = [member for member in members if member.id in named]
    inputs = {"operation": action.inputs["operation"], "params": action.inputs.get("params") or {}}
    return Begin(cluster, children=_each(ActionKind.NODE_OPERATION, chosen, inputs))


def _each(kind: ActionKind, members: Sequence[Member], inputs: Mapping[str, Any] | None = None) -> tuple[Child, ...]:
    return tuple(Child(kind, member.id, dict(inputs or {})) for member in members)


_BEGIN: Mapping[ActionKind, Callable[[Cluster, Action, Sequence[Member], int], Begin | Refusal]] = {
    ActionKind.CLUSTER_CREATE: _create,
    ActionKind.CLUSTER_DELETE: _delete,
    ActionKind.CLUSTER_UPDATE: _update,
    ActionKind.CLUSTER_ADD_NODES: _add_nodes,
    ActionKind.CLUSTER_DEL_NODES: _del_nodes,
    ActionKind.CLUSTER_RESIZE: _resize,
    ActionKind.CLUSTER_CHECK: _check,
    ActionKind.CLUSTER_RECOVER: _recover,
    ActionKind.CLUSTER_REPLACE_NODES: _replace_nodes,
    ActionKind.CLUSTER_SCALE_OUT: _scale_out,
    ActionKind.CLUSTER_SCALE_IN: _scale_in,
    ActionKind.CLUSTER_OPERATION: _operation,
}


def conclude(action: Action, results: Results) -> Verdict:
    """The action's final word once its children are final."""
    label = action.action.value
    if action.cancel_requested or results.cancelled:
        done = f"{results.succeeded} of {results.total} nodes were done before"
        return Verdict(ActionStatus.CANCELLED, f"{label} was cancelled; {done}.")
    if results.failed:
        told = "; ".join(results.reasons)
        return Verdict(ActionStatus.FAILED, f"{label}: {results.failed} of {results.total} nodes failed: {told}")
    if results.total == 0:
        return Verdict(ActionStatus.SUCCEEDED, f"{label} is done.")
    return Verdict(ActionStatus.SUCCEEDED, f"{label} is done: {results.total} node{'s' * (results.total > 1)}.")
