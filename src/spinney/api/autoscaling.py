"""What autoscaling has decided about a cluster, and the history of what it saw."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row

from spinney.api import views
from spinney.api.reading import read_list, read_moment, switch
from spinney.api.wire import Call, Filter, ListSpec, Reply, json_reply
from spinney.domain.autoscale import record
from spinney.domain.autoscale.values import Sample
from spinney.errors import HTTPBadRequest
from spinney.store import autoscaling, clusters
from spinney.store.autoscaling import Stretch
from spinney.store.listing import ListQuery

METRICS = ("name", "since", "until", "limit", "marker")
#: Samples in one answer, given no limit and at most.
_USUAL, _MOST = 1000, 10_000

DECISIONS = ListSpec({"acted": Filter("acted", switch), "policy_id": Filter("policy_id")}, ("at",), "at")


async def decisions(call: Call) -> Reply:
    rows = await call.deps.store.read(_decisions, call, read_list(call))
    return json_reply({"scaling_decisions": [_decision(row) for row in rows]})


def _decisions(connection: Connection, call: Call, query: ListQuery) -> Sequence[Row[Any]]:
    cluster = clusters.FINDER.get(connection, call.word, call.scope)
    filters = {**query.filters, "cluster_id": [cluster.id]}
    return autoscaling.find_decisions(connection, replace(query, project=None, filters=filters))


def _decision(row: Row[Any]) -> dict[str, Any]:
    return {
        "id": row.id,
        "cluster_id": row.cluster_id,
        "policy_id": row.policy_id,
        "size": row.size,
        "wanted": row.wanted,
        "acted": row.acted,
        "action_id": row.action_id,
        **record.shown(row.at, row.body),
    }


async def metrics(call: Call) -> Reply:
    for key, value in call.query:
        if "\x00" in value:
            raise HTTPBadRequest(f"{key[:80]}: a null character is in the value; no metric has one.")
        if key not in METRICS:
            raise HTTPBadRequest(f"Invalid parameter '{key[:80]}': metrics take {', '.join(METRICS)}.")
    return json_reply({"metrics": [_sample(one) for one in await call.deps.store.read(_metrics, call)]})


def _metrics(connection: Connection, call: Call) -> list[Sample]:
    cluster = clusters.FINDER.get(connection, call.word, call.scope)
    since, until = (read_moment(key, call.flag(key), call.now) for key in ("since", "until"))
    names = tuple(value for key, value in call.query if key == "name" and value)
    stretch = Stretch(names, since, until, _marker(call.flag("marker")), _limit(call.flag("limit")))
    return autoscaling.find_samples(connection, cluster.id, stretch)


def _marker(text: str | None) -> tuple[float, str] | None:
    """The moment and the name in the id of a sample."""
    if not text:
        return None
    at, slash, name = text.partition("/")
    try:
        moment = float(at)
    except ValueError:
        moment = math.nan
    if not slash or not math.isfinite(moment):
        raise HTTPBadRequest(f"marker: '{text[:80]}' is not allowed: the id of the last sample of the page before.")
    return moment, name


def _limit(text: str | None) -> int:
    if not text:
        return _USUAL
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:9]) <= _MOST or len(text) > 9:
        raise HTTPBadRequest(f"limit: '{text[:80]}' is not allowed: a whole number from 1 to {_MOST}.")
    return int(text)


def _sample(one: Sample) -> dict[str, Any]:
    return {
        "id": f"{one.at!r}/{one.name}",
        "name": one.name,
        "at": views.when(one.at),
        "value": one.value,
        "counted": one.counted,
        "members": one.members,
    }
