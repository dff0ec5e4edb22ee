"""Actions: what is being done, was done, and the wish to stop it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pydantic import Field
from sqlalchemy import Connection

from spinney.api import views
from spinney.api.reading import one_of, read_list, read_switch
from spinney.api.values import Request, String
from spinney.api.wire import Call, Filter, ListSpec, Reply, json_reply
from spinney.domain.action import Action, ActionKind, ActionStatus
from spinney.domain.event import Level, of_action
from spinney.errors import Forbidden, HTTPBadRequest
from spinney.store import action_requests, actions, clusters, listing, tables
from spinney.store.action_requests import FINDER
from spinney.store.identity import Scope, as_uuid
from spinney.store.listing import ListQuery
from spinney.store.rows import EVENTS

LIST = ListSpec(
    {
        "name": Filter("name"),
        "target": Filter("target"),
        "action": Filter("action", one_of(ActionKind)),
        "status": Filter("status", one_of(ActionStatus)),
        "cluster_id": Filter("cluster_id", since=14),
    },
    ("name", "target", "action", "created_at", "status"),
    "created_at",
)


class ActionUpdate(Request):
    status: String = Field(description="CANCELLED.")


async def index(call: Call) -> Reply:
    query = read_list(call)
    return json_reply({"actions": await call.deps.store.read(_index, call, query)})


def _index(connection: Connection, call: Call, query: ListQuery) -> list[dict[str, Any]]:
    resolved = resolve_cluster(connection, call.scope, query)
    if resolved is None:
        return []
    rows = listing.run(connection, tables.action, FINDER.select, resolved)
    children = action_requests.children_of(connection, rows)
    return [views.action(row, children.get(row.id, []), cluster_id=call.since(14)) for row in rows]


def resolve_cluster(connection: Connection, scope: Scope, query: ListQuery) -> ListQuery | None:
    """With the names in its filter ``cluster_id`` resolved; None when nothing can fit. An id is taken as it is, so that
    what was done to a deleted cluster can still be listed."""
    words = query.filters.get("cluster_id")
    if words is None:
        return query
    ids = []
    for word in words:
        found = clusters.FINDER.find(connection, word, scope)
        uuid = as_uuid(word)
        ids += [found.id] if found is not None else [uuid] if uuid is not None else []
    return replace(query, filters={**query.filters, "cluster_id": ids}) if ids else None


async def get(call: Call) -> Reply:
    return json_reply({"action": await call.deps.store.read(_get, call)})


def _get(connection: Connection, call: Call) -> dict[str, Any]:
    row = FINDER.get(connection, call.word, call.scope)
    children = action_requests.children_of(connection, [row])
    return views.action(row, children.get(row.id, []), cluster_id=call.since(14))


async def update(call: Call) -> Reply:
    data = call.data(ActionUpdate)
    if data.status != ActionStatus.CANCELLED:
        raise HTTPBadRequest(
            f"action.status: '{data.status[:80]}' is not allowed: an action can only be made {ActionStatus.CANCELLED}."
        )
    force = read_switch("force", call.flag("force"))
    await call.deps.store.transact(_cancel, call, force)
    call.deps.ring()
    return Reply(202)


def _cancel(connection: Connection, call: Call, force: bool) -> None:
    uuid = as_uuid(call.word)
    if uuid is None:
        raise FINDER.absent(call.word)
    row = FINDER.get(connection, uuid, call.scope)
    actions.cancel(connection, row.id)
    if force:
        _tell(connection, call, action_requests.cancel_by_force(connection, row.id, call.now))


def _tell(connection: Connection, call: Call, ended: list[Action]) -> None:
    """Nobody works on them any more who could say so."""
    told = [one for one in ended if not one.cause.derived]
    names = action_requests.names_of(connection, [one.target for one in told])
    reason = "Cancelled by force"
    EVENTS.insert(
        connection,
        [
            of_action(one, names[one.target], "error", Level.ERROR, reason, event_id=call.deps.ids.new(), now=call.now)
            for one in told
            if one.target in names
        ],
    )


async def create(call: Call) -> Reply:
    """The contract knows this path, and that nobody may use it; the access rule has refused it before."""
    raise Forbidden("Actions are made by what they are about: ask the cluster or node for them.")
