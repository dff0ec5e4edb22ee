"""Load balancers of clusters: looking at them. What they do is said by policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.api.wire import Call, Reply, json_reply
from spinney.clock import iso
from spinney.domain.balancing.model import Balancer, Member
from spinney.store import balancing, clusters
from spinney.store.tables import node

#: Seconds after which what was counted is not told as what is.
_FRESH = 30.0


async def index(call: Call) -> Reply:
    return json_reply({"balancers": await call.deps.store.read(_index, call)})


def _index(connection: Connection, call: Call) -> list[dict[str, Any]]:
    cluster = clusters.FINDER.get(connection, call.word, call.scope)
    found = balancing.of_cluster(connection, cluster.id)
    members = balancing.members_of(connection, [one.id for one in found])
    named = sa.select(node.c.id, node.c.name).where(node.c.id.in_({one.node_id for one in members}))
    names = {row.id: row.name for row in connection.execute(named)} if members else {}
    return [_view(one, [m for m in members if m.balancer_id == one.id], names, call.now) for one in found]


def _view(found: Balancer, members: list[Member], names: Mapping[str, str], now: float) -> dict[str, Any]:
    told: Mapping[str, Any] = found.data.get("stats") or {}
    fresh: Mapping[str, Any] = told if now - float(told.get("at", 0.0)) <= _FRESH else {}
    counted: Mapping[str, Any] = fresh.get("members") or {}
    return {
        "id": found.id,
        "cluster_id": found.cluster_id,
        "policy_id": found.policy_id,
        "kind": found.kind,
        "node_id": found.node_id,
        "state": found.state.value,
        "state_reason": found.state_reason,
        "addresses": list(found.data.get("addresses") or ()),
        "members": [_member(one, names, counted.get(one.node_id) or {}) for one in members],
        "requests": told.get("requests"),
        "request_rate": fresh.get("rate"),
        "sessions": fresh.get("sessions"),
        "measured_at": iso(told.get("at")),
        "created_at": iso(found.created_at),
        "updated_at": iso(found.updated_at),
    }


def _member(found: Member, names: Mapping[str, str], counted: Mapping[str, Any]) -> dict[str, Any]:
    """Not where it is: addresses of hosts are their operator's."""
    return {
        "node_id": found.node_id,
        "node_name": names.get(found.node_id),
        "state": found.state.value,
        "state_reason": found.state_reason,
        "since": iso(found.since),
        "sessions": counted.get("sessions"),
        "request_rate": counted.get("rate"),
    }
