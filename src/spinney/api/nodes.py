"""Nodes: making, showing, changing and deleting them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Connection, Row

from spinney.api import views
from spinney.api.clusters import check_not_being_deleted, check_unused
from spinney.api.deleting import delete_later
from spinney.api.grants import require_grants
from spinney.api.insight import node_details
from spinney.api.policed import check_joining
from spinney.api.profiles import require_hosts, require_operator
from spinney.api.quotas import require_dearer, share_of
from spinney.api.reading import one_of, read_list, read_switch
from spinney.api.requests import submit
from spinney.api.values import Bool, Name, Object, Request, String, Word
from spinney.api.wire import Call, Filter, ListSpec, Reply, json_reply, queued
from spinney.domain.action import ActionKind
from spinney.domain.naming import node_name
from spinney.domain.node import TRANSIENT_STATUSES, Node, NodeStatus
from spinney.domain.quota import of_nodes
from spinney.domain.schema import Since
from spinney.errors import ActionInProgress, BadRequest, ResourceIsLocked
from spinney.profiles.hosts import can_host
from spinney.store import action_requests, clusters, dependents, listing, nodes, profiles, quotas, tables
from spinney.store.quotas import Change

LIST = ListSpec(
    {"cluster_id": Filter("cluster_id"), "name": Filter("name"), "status": Filter("status", one_of(NodeStatus))},
    ("index", "name", "status", "init_at", "created_at", "updated_at"),
    "init_at",
)


class NodeCreate(Request):
    name: Name
    profile_id: String = Field(description="Name or id.")
    cluster_id: String | None = Field(
        None, description="Name or id of the cluster that it becomes a member of; the cluster names it then."
    )
    role: Word | None = Field(None, description="The user's own word.")
    metadata: Object | None = Field(None, description="The user's own.")


class NodeUpdate(Request):
    name: Name | None = None
    profile_id: String | None = Field(None, description="Another profile, of the same type.")
    role: Word | None = None
    metadata: Object | None = Field(None, description="Stands in for what was there.")
    tainted: Annotated[Bool | None, Since("1.13")] = Field(
        None, description="Whether it is the first to go when the cluster shrinks."
    )


async def create(call: Call) -> Reply:
    data = call.data(NodeCreate)
    action_id = call.deps.ids.new()
    node = Node(
        id=call.deps.ids.new(),
        name=data.name,
        profile_id="",
        role=data.role or "",
        metadata=data.metadata or {},
        user=call.owner.user,
        project=call.owner.project,
        domain=call.owner.domain,
        init_at=call.now,
    )
    row = await call.deps.store.transact(_create, call, data, node, action_id)
    call.deps.ring()
    return queued(action_id, {"node": views.node(row, tainted=call.since(13), operator=call.caller.is_admin)})


def _create(connection: Connection, call: Call, data: NodeCreate, node: Node, action_id: str) -> Row[Any]:
    profile = profiles.FINDER.refer(connection, data.profile_id, call.scope, "profile_id")
    require_operator(call, profile.type)
    require_hosts(connection, profile, node.project)
    require_grants(call, profile)
    node = replace(node, profile_id=profile.id)
    timeout = None
    if data.cluster_id:
        cluster = clusters.FINDER.refer(connection, data.cluster_id, call.scope, "cluster_id")
        if cluster.profile_type != profile.type:
            raise BadRequest(
                f"profile_id: the profile '{profile.name}' is of type {profile.type}, the cluster's of "
                f"{cluster.profile_type}; all nodes of a cluster have one type: give a profile of that."
            )
        if action_requests.being_deleted(connection, cluster.id):
            raise ResourceIsLocked(f"The cluster '{cluster.name}' is being deleted; it takes no new nodes.")
        check_joining(connection, cluster)
        index = clusters.take_index(connection, cluster.id)
        name = node_name(cluster.config, index, call.deps.ids.token)
        node = replace(node, cluster_id=cluster.id, index=index, name=name)
        timeout = cluster.timeout
        more = Change(member=profile.id)
        quotas.reserve_growth(connection, cluster.project, cluster.id, more, call.deps.allowed.limits)
    else:
        quotas.reserve(connection, node.project, of_nodes(share_of(profile)), call.deps.allowed.limits)
    nodes.insert(connection, node)
    submit(
        connection,
        call,
        action_id,
        ActionKind.NODE_CREATE,
        target=node.id,
        cluster_id=node.cluster_id,
        timeout=timeout,
    )
    return nodes.FINDER.get(connection, node.id, call.scope)


async def get(call: Call) -> Reply:
    detailed = read_switch("show_details", call.flag("show_details"))
    row, view = await call.deps.store.read(_show, call)
    if detailed and row.physical_id is not None:
        view["details"] = await node_details(call, row)
    return json_reply({"node": view})


def _show(connection: Connection, call: Call) -> tuple[Row[Any], dict[str, Any]]:
    row = nodes.FINDER.get(connection, call.word, call.scope)
    return row, show(connection, call, row)


def show(connection: Connection, call: Call, row: Row[Any]) -> dict[str, Any]:
    found = dependents.of(connection, [row.id], call.owner.project) if can_host(row.profile_type or "") else {}
    return views.node(row, tainted=call.since(13), operator=call.caller.is_admin, dependents=found.get(row.id))


async def index(call: Call) -> Reply:
    return json_reply({"nodes": await call.deps.store.read(_index, call, read_list(call))})


def _index(connection: Connection, call: Call, query: listing.ListQuery) -> list[dict[str, Any]]:
    words = query.filters.get("cluster_id")
    if words is not None:
        cluster = clusters.FINDER.refer(connection, words[-1], call.scope, "cluster_id")
        query = replace(query, filters={**query.filters, "cluster_id": [cluster.id]})
    rows = listing.run(connection, tables.node, nodes.VIEW, query)
    hosts = [row.id for row in rows if can_host(row.profile_type or "")]
    found = dependents.of(connection, hosts, call.owner.project, dependents.IN_LISTS)
    tainted = call.since(13)
    return [
        views.node(row, tainted=tainted, operator=call.caller.is_admin, dependents=found.get(row.id)) for row in rows
    ]


async def update(call: Call) -> Reply:
    changes = call.data(NodeUpdate).given()
    if not call.since(13):
        changes.pop("tainted", None)
    action_id = call.deps.ids.new()
    view = await call.deps.store.transact(_update, call, changes, action_id)
    call.deps.ring()
    return queued(action_id, {"node": view})


def _update(connection: Connection, call: Call, given: Mapping[str, Any], action_id: str) -> dict[str, Any]:
    row = nodes.FINDER.get(connection, call.word, call.scope)
    inputs = {key: value for key, value in given.items() if key != "profile_id" and value != getattr(row, key)}
    if "profile_id" in given:
        profile = profiles.FINDER.refer(connection, given["profile_id"], call.scope, "profile_id")
        if profile.type != row.profile_type:
            raise BadRequest(
                f"profile_id: the profile '{profile.name}' is of type {profile.type}, the node's of {row.profile_type}; a "
                f"node keeps its type: give a profile of that."
            )
        require_operator(call, profile.type)
        require_hosts(connection, profile, row.project)
        require_grants(call, profile)
        require_dearer(connection, call, row, profile)
        inputs |= {"new_profile_id": profile.id} if profile.id != row.profile_id else {}
    if not inputs:
        raise BadRequest("Nothing would change: give at least one value that differs from what the node has.")
    submit_on(connection, call, action_id, ActionKind.NODE_UPDATE, row, inputs)
    return show(connection, call, row)


async def delete(call: Call) -> Reply:
    return await delete_later(call, _delete)


def _delete(connection: Connection, call: Call, force: bool, action_id: str) -> None:
    delete_row(connection, call, nodes.FINDER.get(connection, call.word, call.scope), force, action_id)


def delete_row(connection: Connection, call: Call, row: Row[Any], force: bool, action_id: str) -> None:
    """Queue the deletion of a node. Raises: ActionInProgress; ResourceInUse for a host in use."""
    if row.status in TRANSIENT_STATUSES and not force:
        raise ActionInProgress(
            f"The node '{row.name}' cannot be deleted while it is {row.status}; wait until that has ended, or delete with "
            f"force."
        )
    what = f"The node '{row.name}'"
    if not force:
        check_not_being_deleted(connection, what, row.id)
    check_unused(connection, call, what, [row.id])
    submit_on(connection, call, action_id, ActionKind.NODE_DELETE, row, {"force": True} if force else {})


def submit_on(
    connection: Connection,
    call: Call,
    action_id: str,
    kind: ActionKind,
    row: Row[Any],
    inputs: Mapping[str, Any],
    operation: str | None = None,
) -> None:
    """Queue an action on the node of the row, with the time limit of its cluster."""
    timeout = None
    if row.cluster_id:
        cluster = clusters.FINDER.by_id(connection, row.cluster_id)
        timeout = None if cluster is None else cluster.timeout
    submit(
        connection,
        call,
        action_id,
        kind,
        target=row.id,
        cluster_id=row.cluster_id,
        timeout=timeout,
        inputs=inputs,
        operation=operation,
    )
