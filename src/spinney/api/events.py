"""Events: what happened."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from spinney.api import views
from spinney.api.actions import resolve_cluster
from spinney.api.reading import read_list
from spinney.api.wire import Call, Filter, ListSpec, Reply, json_reply
from spinney.domain.event import Level
from spinney.store import listing, tables
from spinney.store.events import FINDER
from spinney.store.listing import ListQuery


def _level(word: str) -> int:
    try:
        return Level[word.upper()].value
    except KeyError:
        raise ValueError(f"one of {', '.join(level.label for level in Level)}") from None


LIST = ListSpec(
    {
        "oid": Filter("oid"),
        "oname": Filter("oname"),
        "otype": Filter("otype"),
        "action": Filter("action"),
        "level": Filter("level", _level),
        "cluster_id": Filter("cluster_id"),
    },
    ("timestamp", "level", "otype", "oname", "action", "status", "oid", "cluster_id"),
    "timestamp",
)


async def index(call: Call) -> Reply:
    rows = await call.deps.store.read(_index, call, read_list(call))
    return json_reply({"events": [views.event(row) for row in rows]})


def _index(connection: Connection, call: Call, query: ListQuery) -> list[Row[Any]]:
    resolved = resolve_cluster(connection, call.scope, query)
    return [] if resolved is None else list(listing.run(connection, tables.event, FINDER.select, resolved))


async def get(call: Call) -> Reply:
    row = await call.deps.store.read(FINDER.get, call.word, call.scope)
    return json_reply({"event": views.event(row)})
