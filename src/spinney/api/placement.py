"""Where a container is, and why; or why it is nowhere yet. What the scheduler wrote down is told; nothing is decided again.

Of hosts that belong to another project only an alias is told, whether they fit, and by which rules they do not: how much they
have or lack says how much others use. Of what is lacking the nearest miss alone tells, in whole cores and GiB.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.api import views
from spinney.api.wire import Call, Reply, json_reply
from spinney.domain.alias import HostIdentity, called, conceal
from spinney.domain.placement.decision import Explanation, HostVerdict, explain
from spinney.domain.placement.misses import rounded
from spinney.domain.placement.sentence import without_amounts
from spinney.errors import BadRequest
from spinney.store import hosts, nodes, tables


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
        if not call.caller.is_admin:
            shown = _before(connection, shown, row.project)
    host = views.host_of(row, operator=call.caller.is_admin)
    return {
        **shown,
        "state": "waiting" if host is None else "placed",
        "host": None if host is None else host.name,
        "host_id": None if host is None else host.id,
        "generation": row.generation,
        "decided_at": views.when(row.placed_at),
    }


def _before(connection: Connection, shown: dict[str, Any], viewer: str) -> dict[str, Any]:
    """The same as people of that project may see it."""
    told, miss = shown["hosts"], shown["nearest_miss"]
    known = hosts.identities(connection, {one["host_id"] for one in (told if miss is None else [*told, miss])})
    foreign = {host_id: host for host_id, host in known.items() if host.project != viewer}
    if not foreign:
        return shown
    if miss is not None and miss["host_id"] in foreign:
        shown_as = _name(foreign[miss["host_id"]], viewer)
        change, text = rounded(miss["change"], conceal(miss["text"], foreign.values(), viewer))
        if "hosts" in change:  # those that the policy names, and last the one that it does not
            change["hosts"] = [*change["hosts"][:-1], shown_as["host"]]
        miss = {**miss, **shown_as, "change": change, "text": text}
    return {
        **shown,
        "summary": conceal(without_amounts(shown["summary"]), foreign.values(), viewer),
        "hosts": [_aliased(one, foreign, viewer) for one in told],
        "nearest_miss": miss,
    }


def _aliased(verdict: dict[str, Any], foreign: Mapping[str, HostIdentity], viewer: str) -> dict[str, Any]:
    host = foreign.get(verdict["host_id"])
    if host is None:
        return verdict
    reasons = [{**one, "available": None, "text": f"the rule {one['rule']} is not met"} for one in verdict["reasons"]]
    return {**verdict, **_name(host, viewer), "score": None, "scores": {}, "reasons": reasons}


def _name(host: HostIdentity, viewer: str) -> dict[str, str]:
    shown = called(host, viewer)
    return {"host": shown.name, "host_id": shown.id}


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
