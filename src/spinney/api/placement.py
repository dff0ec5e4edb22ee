"""Where a container is, and why; or why it is nowhere yet. What the scheduler wrote down is told; nothing is decided again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.api import views
from spinney.api.wire import Call, Reply, json_reply
from spinney.domain.placement.decision import Explanation, HostVerdict, explain
from spinney.errors import BadRequest
from spinney.store import nodes, tables


async def get(call: Call) -> Reply:
    return json_reply({"placement": await call.deps.store.read(_get, call)})


def _get(connection: Connection, call: Call) -> dict[str, Any]:
    row = nodes.FINDER.get(connection, call.word, call.scope)
    if row.as_host is not None:
        raise BadRequest(f"The node '{row.name}' is a host: it is placed nowhere, containers are placed on it.")
    shown = _nothing(row.status_reason)
    stored = connection.execute(
        sa.select(tables.decision.c.body, tables.node.c.decision_step)
        .join_from(tables.node, tables.decision, tables.decision.c.id == tables.node.c.decision_id)
        .where(tables.node.c.id == row.id)
    ).first()
    if stored is not None:
        shown = of(explain(stored.body, stored.decision_step))
    placed = row.host_id is not None
    return {
        **shown,
        "state": "placed" if placed else "waiting",
        "host": row.host_name,
        "host_id": row.host_id,
        "generation": row.generation,
        "decided_at": views.when(row.placed_at),
    }


def _nothing(reason: str) -> dict[str, Any]:
    """Of a node about which nothing was decided yet."""
    return {"strategy": None, "summary": reason, "hosts": [], "hosts_total": 0, "failed": {}, "nearest_miss": None}


def of(explanation: Explanation) -> dict[str, Any]:
    miss = explanation.nearest_miss
    return {
        "strategy": explanation.strategy,
        "summary": explanation.summary,
        "hosts": [_verdict(verdict) for verdict in explanation.hosts],
        "hosts_total": explanation.total,
        "failed": dict(explanation.failed),
        "nearest_miss": None
        if miss is None
        else {"host": miss.host_name, "host_id": miss.host_id, "change": dict(miss.change), "text": miss.text},
    }


def _verdict(verdict: HostVerdict) -> dict[str, Any]:
    return {
        "host": verdict.host_name,
        "host_id": verdict.host_id,
        "fits": verdict.fits,
        "score": verdict.score,
        "scores": dict(verdict.scores),
        "reasons": [asdict(reason) for reason in verdict.reasons],
    }
