"""Shares of host clusters: who else may place containers there, and what they get to see.

Owners and operators keep them. Guaranteed: whoever has a cluster shared with them sees of it its id, name, status and zones,
and its hosts by alias, with state, zone and region: no names, addresses, sizes or counts of theirs or anybody's.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Connection, Row

from spinney.api import views
from spinney.api.values import Request
from spinney.api.wire import Call, Reply, json_reply
from spinney.domain.alias import alias
from spinney.domain.schema import Kind, NotAllowed
from spinney.errors import BadRequest, ResourceNotFound
from spinney.profiles.hosts import can_host
from spinney.store import clusters, revoking, shares


def _project(value: Any) -> str:
    if not isinstance(value, str) or not 1 <= len(value) <= 64 or not value.isprintable() or value != value.strip():
        raise NotAllowed('the id of a project, or "*" for all')
    return value


class ShareCreate(Request):
    project_id: Annotated[str, Kind("String", _project)] = Field(description="*: all projects.")


async def create(call: Call) -> Reply:
    row = await call.deps.store.transact(_create, call, call.data(ShareCreate).project_id)
    call.deps.ring()  # containers that wait for room may have some now
    return json_reply({"share": _view(row)}, 201)


def _create(connection: Connection, call: Call, project: str) -> Row[Any]:
    cluster = clusters.FINDER.get(connection, call.word, call.scope)
    if not can_host(cluster.profile_type or ""):
        raise BadRequest(
            f"The cluster '{cluster.name}' is of {cluster.profile_type}, not of hosts; only host clusters can be shared."
        )
    if project == cluster.project:
        raise BadRequest(f"share.project_id: '{project}' is the cluster's own project, which needs no share.")
    return shares.add(connection, cluster.id, project, call.now)


async def index(call: Call) -> Reply:
    return json_reply({"shares": [_view(row) for row in await call.deps.store.read(_index, call)]})


def _index(connection: Connection, call: Call) -> list[Row[Any]]:
    return list(shares.of_cluster(connection, clusters.FINDER.get(connection, call.word, call.scope).id))


async def get(call: Call) -> Reply:
    return json_reply({"share": _view(await call.deps.store.read(_get, call))})


def _get(connection: Connection, call: Call) -> Row[Any]:
    cluster = clusters.FINDER.get(connection, call.word, call.scope)
    found = shares.get(connection, cluster.id, call.words[1])
    if found is None:
        raise _absent(cluster, call.words[1])
    return found


async def delete(call: Call) -> Reply:
    await call.deps.store.transact(_delete, call)
    call.deps.ring()
    return Reply(204)


def _delete(connection: Connection, call: Call) -> None:
    cluster = clusters.FINDER.get(connection, call.word, call.scope)
    if not shares.remove(connection, cluster.id, call.words[1]):
        raise _absent(cluster, call.words[1])
    revoking.order_evictions(connection, call.deps.ids, call.now, cluster.id)


def _absent(cluster: Row[Any], project: str) -> ResourceNotFound:
    return ResourceNotFound(f"The cluster '{cluster.name}' is not shared with project '{project[:255]}'.")


def _view(row: Row[Any]) -> dict[str, Any]:
    return {"cluster_id": row.cluster_id, "created_at": views.when(row.created_at), "project_id": row.project}


async def shared(call: Call) -> Reply:
    """The host clusters that others let the caller's project use."""
    return json_reply({"clusters": await call.deps.store.read(_shared, call)})


def _shared(connection: Connection, call: Call) -> list[dict[str, Any]]:
    return [shared_view(connection, row) for row in shares.shared_with(connection, call.owner.project)]


def find_shared(connection: Connection, call: Call) -> dict[str, Any] | None:
    """What the caller may see of a cluster of others that the path names; None when none of them is shared under that word."""
    found = shares.find_cluster(connection, call.word, call.owner.project) if call.ours else None
    return None if found is None else shared_view(connection, found)


def shared_view(connection: Connection, cluster: Row[Any]) -> dict[str, Any]:
    """``cluster``: a row of ``clusters.VIEW``."""
    hosts = shares.hosts_shown(connection, cluster.id)
    return {
        "hosts": [
            {"name": alias(host.index), "region": host.region, "state": host.state, "zone": host.zone} for host in hosts
        ],
        "id": cluster.id,
        "name": cluster.name,
        "shared": True,
        "status": cluster.status,
        "zones": sorted({host.zone for host in hosts if host.zone is not None}),
    }
