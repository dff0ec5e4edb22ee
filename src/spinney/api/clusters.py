"""Clusters: making, showing, changing and deleting them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Annotated, Any

import sqlalchemy as sa
from pydantic import Field, ValidationError
from sqlalchemy import Connection, Row

from spinney.api import views
from spinney.api.bindings import PolicyAttach, attach_all, let_balance
from spinney.api.deleting import delete_later
from spinney.api.faults import malformed
from spinney.api.grants import require_grants
from spinney.api.policed import check_update
from spinney.api.profiles import require_hosts, require_operator
from spinney.api.quotas import require_growth, share_of
from spinney.api.reading import one_of, read_list
from spinney.api.requests import submit
from spinney.api.shares import find_shared
from spinney.api.values import Bool, Count, Limit, Name, Object, Request, String
from spinney.api.wire import Call, Filter, ListSpec, Reply, json_reply, queued
from spinney.domain import sizing
from spinney.domain.action import ActionKind
from spinney.domain.cluster import TRANSIENT_STATUSES, Cluster, ClusterStatus
from spinney.domain.cluster_config import config_fault
from spinney.domain.fanout import machines_fault
from spinney.domain.host import HelperMode
from spinney.domain.quota import CLUSTERS, ClusterUse
from spinney.domain.revision import UPDATE
from spinney.domain.rollout.model import Progress
from spinney.domain.schema import Since, at_most
from spinney.errors import (
    ActionInProgress,
    BadRequest,
    FeatureNotSupported,
    Forbidden,
    HTTPBadRequest,
    RevisionConflict,
)
from spinney.profiles.hosts import check_not_pinned
from spinney.store import (
    action_requests,
    bindings,
    clusters,
    dependents,
    hosts,
    listing,
    profiles,
    quotas,
    revisions,
    tables,
    updates,
)
from spinney.store.clusters import MemberCount
from spinney.store.dependents import Dependents
from spinney.store.quotas import Change

LIST = ListSpec(
    {"name": Filter("name"), "status": Filter("status", one_of(ClusterStatus))},
    ("name", "status", "init_at", "created_at", "updated_at"),
    "init_at",
)


class ClusterCreate(Request):
    name: Name
    profile_id: String = Field(description="Name or id of the profile that its nodes are made from.")
    min_size: Count | None = Field(None, description="Given none, 0.")
    max_size: Limit | None = Field(None, description="-1, or none given: no limit of its own.")
    desired_capacity: Count | None = Field(None, description="How many nodes; given none, min_size.")
    timeout: Count | None = Field(
        None, description="Seconds that one of its actions may take; 0, or none given: the deployment's."
    )
    metadata: Object | None = Field(None, description="The user's own, kept as it is.")
    config: Object | None = Field(
        None, description="How it behaves; keys that begin with spinney. are refused unless known."
    )
    policies: Annotated[tuple[PolicyAttach, ...], at_most(100, "policies")] | None = Field(
        None, description="Attached before the first node is placed."
    )


class SenlinUpdate(Request):
    name: Name | None = None
    profile_id: String | None = Field(
        None, description="Another profile, of the same type: its nodes are changed to it."
    )
    metadata: Object | None = Field(None, description="Stands in for what was there.")
    timeout: Count | None = Field(None, description="Seconds; 0: the deployment's.")
    profile_only: Annotated[Bool | None, Since("1.6")] = Field(
        None, description="Only new nodes are made from the profile."
    )
    config: Annotated[Object | None, Since("1.7")] = Field(None, description="Stands in for what was there.")


class ClusterUpdate(SenlinUpdate):
    base_revision: Annotated[Count | None, Since("spinney 1.0")] = Field(
        None, description="Refused when the cluster is at another revision."
    )
    supersede: Annotated[Bool | None, Since("spinney 1.0")] = Field(
        None,
        description="With profile_id: an update under way stops where it is, and this one goes on from there; given none, this "
        "one is refused.",
    )


async def create(call: Call) -> Reply:
    data = call.data(ClusterCreate)
    check_config(call, data.config)
    await let_balance(call, [one.policy_id for one in data.policies or ()])
    min_size = data.min_size or 0
    max_size = -1 if data.max_size is None else data.max_size
    desired = min_size if data.desired_capacity is None else data.desired_capacity
    limit = call.deps.settings.max_nodes_per_cluster
    fault = sizing.check(None, desired, max_nodes=limit, strict=True, min_size=min_size, max_size=max_size)
    if fault:
        raise BadRequest(f"{fault}.")
    cluster = Cluster(
        id=call.deps.ids.new(),
        name=data.name,
        profile_id="",
        min_size=min_size,
        max_size=max_size,
        desired_capacity=desired,
        timeout=data.timeout or call.deps.settings.default_action_timeout,
        metadata=data.metadata or {},
        config=data.config or {},
        user=call.owner.user,
        project=call.owner.project,
        domain=call.owner.domain,
        init_at=call.now,
    )
    action_id = call.deps.ids.new()
    view = await call.deps.store.transact(_create, call, cluster, data, action_id)
    call.deps.ring()
    return queued(action_id, {"cluster": view})


def _create(connection: Connection, call: Call, cluster: Cluster, data: ClusterCreate, action_id: str) -> Any:
    found = profiles.FINDER.refer(connection, data.profile_id, call.scope, "profile_id")
    require_operator(call, found.type)
    machines = hosts.free_machines(connection, found.id)
    if machines is not None and cluster.desired_capacity > machines:
        raise BadRequest(f"desired_capacity: {machines_fault(cluster.desired_capacity, machines)}.")
    require_hosts(connection, found, cluster.project)
    require_grants(call, found)
    asked = {CLUSTERS: 1, **ClusterUse(cluster.desired_capacity, share_of(found)).amounts}
    quotas.reserve(connection, cluster.project, asked, call.deps.allowed.limits)
    clusters.insert(connection, replace(cluster, profile_id=found.id))
    revisions.first(connection, cluster.id, found.id, call.now)
    attach_all(connection, call, cluster, found, data.policies or ())
    submit(
        connection,
        call,
        action_id,
        ActionKind.CLUSTER_CREATE,
        target=cluster.id,
        cluster_id=cluster.id,
        timeout=cluster.timeout,
    )
    row = clusters.FINDER.get(connection, cluster.id, call.scope)
    attached = bindings.ids_of(connection, [row.id]).get(row.id, ())
    return views.cluster(row, [], None, MemberCount() if call.ours else None, attached)


async def get(call: Call) -> Reply:
    return json_reply({"cluster": await call.deps.store.read(_show, call)})


def _show(connection: Connection, call: Call) -> dict[str, Any]:
    row = clusters.FINDER.find(connection, call.word, call.scope)
    found = find_shared(connection, call) if row is None else show(connection, call, row)
    if found is None:
        raise clusters.FINDER.absent(call.word)
    return found


def show(connection: Connection, call: Call, row: Row[Any]) -> dict[str, Any]:
    """The whole cluster, members and dependents included."""
    found = dependents.of(connection, [row.id] if row.pinned else [], call.owner.project)
    counts = clusters.member_counts(connection, [row.id] if call.ours else [])
    attached = bindings.ids_of(connection, [row.id]).get(row.id, ())
    members = clusters.member_ids(connection, row.id)
    return views.cluster(row, members, found.get(row.id), counts.get(row.id), attached)


async def index(call: Call) -> Reply:
    return json_reply({"clusters": await call.deps.store.read(_index, call, read_list(call))})


def _index(connection: Connection, call: Call, query: listing.ListQuery) -> list[dict[str, Any]]:
    rows = listing.run(connection, tables.cluster, clusters.VIEW, query)
    members = clusters.members_of(connection, [row.id for row in rows])
    counts = clusters.member_counts(connection, [row.id for row in rows] if call.ours else [])
    pinned = [row.id for row in rows if row.pinned]
    found = dependents.of(connection, pinned, call.owner.project, dependents.IN_LISTS)
    attached = bindings.ids_of(connection, [row.id for row in rows])
    return [
        views.cluster(row, members[row.id], found.get(row.id), counts.get(row.id), attached.get(row.id, ()))
        for row in rows
    ]


async def update(call: Call) -> Reply:
    data = call.data(ClusterUpdate)
    action_id = call.deps.ids.new()
    changes = data.given()
    if not call.ours:
        _refuse_as_unknown(changes.keys() - SenlinUpdate.model_fields.keys())
    if not call.since(6):
        changes.pop("profile_only", None)
    if not call.since(7):
        changes.pop("config", None)
    check_config(call, changes.get("config"))
    view = await call.deps.store.transact(order_update, call, changes, action_id)
    call.deps.ring()
    return queued(action_id, {"cluster": view})


def _refuse_as_unknown(keys: Collection[str]) -> None:
    try:
        SenlinUpdate.model_validate(dict.fromkeys(keys))
    except ValidationError as error:
        raise malformed(error, SenlinUpdate, "cluster") from error


def order_update(connection: Connection, call: Call, given: Mapping[str, Any], action_id: str) -> dict[str, Any]:
    row = clusters.FINDER.get(connection, call.word, call.scope)
    check_base(connection, row, given.get("base_revision"))
    if row.status == ClusterStatus.ERROR:
        raise FeatureNotSupported(
            f"The cluster '{row.name}' is in ERROR and cannot be updated; recover it first, or resize it: {row.status_reason}"
        )
    changes = {
        key: given[key] for key in ("name", "metadata", "config") if key in given and given[key] != getattr(row, key)
    }
    if "timeout" in given:
        timeout = given["timeout"] or call.deps.settings.default_action_timeout
        changes |= {"timeout": timeout} if timeout != row.timeout else {}
    if "profile_id" in given:
        changes |= new_profile(connection, call, row, given["profile_id"])
    elif given.get("supersede"):
        raise BadRequest("supersede: it says what becomes of another update to a profile; give profile_id too.")
    if not changes:
        if "profile_id" in given:
            _check_not_leaving(connection, row)
        raise BadRequest("Nothing would change: give at least one value that differs from what the cluster has.")
    if given.get("profile_only") is not None:
        changes["profile_only"] = given["profile_only"]
    if "new_profile_id" in changes:
        changes |= {"supersede": True} if given.get("supersede") else {}
        check_update(connection, call, row, action_id, changes)
        changes["revision"] = take_revision(connection, call, row, changes["new_profile_id"], action_id, UPDATE)
    submit_on(connection, call, action_id, ActionKind.CLUSTER_UPDATE, row, changes)
    return show(connection, call, row)


def _check_not_leaving(connection: Connection, row: Row[Any]) -> None:
    """Whether the profile that the cluster has is also the one that it goes to. Raises: FeatureNotSupported."""
    under_way = updates.under_way(connection, row.id)
    if under_way:
        raise FeatureNotSupported(
            f"profile_id: the cluster '{row.name}' has this profile, and its update {under_way[-1].id} takes its members to "
            f"another; to take them back, abort that: `spinney cluster abort {row.name}`."
        )


def new_profile(connection: Connection, call: Call, row: Row[Any], word: str) -> dict[str, Any]:
    profile = profiles.FINDER.refer(connection, word, call.scope, "profile_id")
    if profile.type != row.profile_type:
        raise BadRequest(
            f"profile_id: the profile '{profile.name}' is of type {profile.type}, the cluster's of {row.profile_type}; a "
            f"cluster keeps its type: give a profile of that, or make another cluster."
        )
    check_usable(connection, call, row, profile)
    return {"new_profile_id": profile.id} if profile.id != row.profile_id else {}


def check_usable(connection: Connection, call: Call, row: Row[Any], profile: Row[Any]) -> None:
    """Whether the cluster of the row may have its nodes made from the profile, which is of its type."""
    require_operator(call, profile.type)
    require_hosts(connection, profile, row.project)
    require_grants(call, profile)
    require_growth(connection, call, row, Change(profile_id=profile.id))


def check_base(connection: Connection, row: Row[Any], wanted: int | None) -> None:
    """Refuse what was meant for another revision. Raises: RevisionConflict."""
    if wanted is None:
        return
    found = revisions.current(connection, row.id)
    if found != wanted:
        raise RevisionConflict(
            f"base_revision: the cluster '{row.name}' is at revision {found}, and the request was made for revision {wanted}; "
            f"look at what has changed, and ask again with {found}."
        )


def take_revision(
    connection: Connection, call: Call, row: Row[Any], profile_id: str, action_id: str, reason: str
) -> int:
    """The number of what an action is to make of the cluster."""
    keep = call.deps.settings.revisions_kept
    return revisions.begin(connection, row.id, profile_id, action_id, reason, call.now, keep)


async def delete(call: Call) -> Reply:
    return await delete_later(call, order_deletion)


def order_deletion(connection: Connection, call: Call, force: bool, action_id: str) -> None:
    row = clusters.FINDER.get(connection, call.word, call.scope)
    if row.status in TRANSIENT_STATUSES and not force:
        remedy = _how_it_ends(connection, row)
        raise ActionInProgress(
            f"The cluster '{row.name}' cannot be deleted while it is {row.status}; {remedy}, or delete with force."
        )
    what = f"The cluster '{row.name}'"
    if not force:
        check_not_being_deleted(connection, what, row.id)
    check_unused(connection, call, what, [row.id], of_cluster=row.id)
    submit_on(connection, call, action_id, ActionKind.CLUSTER_DELETE, row, {"force": True} if force else {})


def _how_it_ends(connection: Connection, row: Row[Any]) -> str:
    """What goes on with the cluster, told as what to do until that is over."""
    for action in updates.under_way(connection, row.id):
        if action.outputs.get("state") == Progress.CANARY:
            return (
                f"its update {action.id} waits for its canary's promotion: give that (`spinney cluster promote {row.name}`), "
                f"abort the update (`spinney cluster abort {row.name}`)"
            )
    return "wait until that has ended"


def check_not_being_deleted(connection: Connection, what: str, target: str) -> None:
    """Refuse a second deletion also before the first one has begun and shows. Raises: ActionInProgress."""
    if action_requests.being_deleted(connection, target):
        raise ActionInProgress(
            f"{what} is being deleted already; wait until that has ended, or delete with force to begin anew."
        )


def check_unused(
    connection: Connection, call: Call, what: str, targets: list[str], of_cluster: str | None = None
) -> None:
    """Refuse when profiles name any of the targets as host, or containers are placed on them; ``of_cluster``: on its
    members too. Raises: ResourceInUse."""
    if of_cluster is not None:
        node, host = tables.node, tables.host
        members = (
            sa.select(host.c.node_id).join(node, node.c.id == host.c.node_id).where(node.c.cluster_id == of_cluster)
        )
        targets = [*targets, *connection.execute(members).scalars()]
    found = dependents.of(connection, targets, call.owner.project)
    check_not_pinned(what, _named(found.values()), sum(one.others for one in found.values()))


def _named(found: Any) -> list[str]:
    own: list[Dependents] = list(found)
    held = {key: f"profile '{name}'" for one in own for key, name in one.profiles.named.items()}
    held |= {key: f"node '{name}'" for one in own for key, name in one.nodes.named.items()}
    return list(held.values())


def submit_on(
    connection: Connection,
    call: Call,
    action_id: str,
    kind: ActionKind,
    row: Row[Any],
    inputs: Mapping[str, Any],
    operation: str | None = None,
) -> None:
    """Queue an action on the cluster of the row."""
    submit(
        connection,
        call,
        action_id,
        kind,
        target=row.id,
        cluster_id=row.id,
        timeout=row.timeout,
        inputs=inputs,
        operation=operation,
    )


def check_config(call: Call, config: Mapping[str, Any] | None) -> None:
    fault = config_fault(config or {})
    if fault:
        raise HTTPBadRequest(f"cluster.config: {fault}.")
    if (config or {}).get("spinney.helper") == HelperMode.FULL and not call.caller.is_admin:
        raise Forbidden(
            "cluster.config: spinney.helper full lets the host helper see all containers of the hosts, which is an "
            "operator's to allow; give plain or none, or ask an operator."
        )
