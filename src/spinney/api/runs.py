"""Runs of clusters that do a job: listing and showing them, and asking for one more or one less.

Guaranteed: what an engine would refuse is refused here in the same words, as things are in the transaction that queues the
action; the engine decides again.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Row

from spinney.api import views
from spinney.api.values import Positive, Request
from spinney.api.wire import Call, Reply, json_reply
from spinney.domain.node import Node
from spinney.domain.run_schedule import admit
from spinney.domain.runs import LIVE, Run, place_of
from spinney.errors import BadRequest, Conflict, ResourceNotFound
from spinney.store import bindings, clusters, runs


class Begin(Request):
    """Takes no parameters."""


class Cancel(Request):
    number: Positive = Field(description="Of the run.")


async def index(call: Call) -> Reply:
    return json_reply({"runs": await call.deps.store.read(_index, call)})


def _index(connection: Connection, call: Call) -> list[dict[str, Any]]:
    cluster = clusters.FINDER.get(connection, call.word, call.scope)
    return [_view(run) for run in runs.of_cluster(connection, cluster.id)]


async def get(call: Call) -> Reply:
    return json_reply({"run": await call.deps.store.read(_get, call)})


def _get(connection: Connection, call: Call) -> dict[str, Any]:
    cluster = clusters.FINDER.get(connection, call.word, call.scope)
    word = call.words[1]
    digits = word.isascii() and word.isdigit() and len(word) < 10
    run = runs.get(connection, cluster.id, int(word)) if digits else None
    if run is None:
        raise ResourceNotFound(f"The run '{word[:80]}' of the cluster '{cluster.name}' could not be found.")
    members = runs.all_members(connection, cluster.id)
    return {**_view(run), "members": [view for member in members if (view := _member(member, run)) is not None]}


def _view(run: Run) -> dict[str, Any]:
    rules = run.rules
    return {
        "active": sum(one.node_id is not None for one in run.open),
        "completions": rules.completions,
        "created_at": views.when(run.created_at),
        "ended_at": views.when(run.ended_at),
        "failed": run.failed,
        "number": run.number,
        "parallelism": rules.parallelism,
        "policy_id": run.policy_id,
        "profile_id": run.profile_id,
        "scheduled_at": views.when(run.scheduled_at),
        "started_at": views.when(run.started_at),
        "status": run.status.value,
        "status_reason": run.status_reason,
        "succeeded": run.succeeded,
    }


def _member(member: Node, run: Run) -> dict[str, Any] | None:
    """None: it is another run's."""
    place = place_of(member.data)
    if place is None or place.number != run.number:
        return None
    ending = member.data.get("completion") or {}
    return {
        "attempt": place.attempt,
        "completion": place.completion,
        "ended_at": ending.get("ended_at"),
        "exit_code": ending.get("exit_code"),
        "node_id": member.id,
        "node_name": member.name,
        "status": member.status.value,
        "status_reason": member.status_reason,
    }


def begin_inputs(connection: Connection, call: Call, row: Row[Any], data: Begin) -> dict[str, Any]:
    """Of the action that begins one more. Raises: BadRequest, Conflict."""
    job = bindings.job_of(connection, row.id)
    if job is None or not job.enabled:
        raise BadRequest(f"run: the cluster '{row.name}' has no enabled job policy: attach one, or enable it.")
    fault = admit(job.rules.overlap, runs.unended(connection, [row.id]).get(row.id, [])).fault
    if fault is not None:
        raise Conflict(f"{fault[0].upper()}{fault[1:]}: wait for it, or cancel it.")
    return {}


def cancel_inputs(connection: Connection, call: Call, row: Row[Any], data: Cancel) -> dict[str, Any]:
    """Of the action that ends one. Raises: BadRequest, Conflict."""
    run = runs.get(connection, row.id, data.number)
    if run is None:
        raise BadRequest(f"cancel_run.number: {data.number} is not allowed: the cluster '{row.name}' has no such run.")
    if run.status not in LIVE:
        raise Conflict(f"Run {run.number} of the cluster '{row.name}' is {run.status.value} already.")
    return {"number": data.number}
