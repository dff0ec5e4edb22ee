"""``POST /v1/clusters/{id}/plan``: what an action would do, without doing it.

Guaranteed: nothing is changed, and what the action itself would refuse is refused in the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from pydantic import Field, ValidationError
from sqlalchemy import Connection, Row

from spinney.api import placement
from spinney.api.cluster_actions import VERBS, Rebalance, Resize, Scale, the_one
from spinney.api.clusters import new_profile
from spinney.api.faults import malformed
from spinney.api.values import Request, String
from spinney.api.wire import Call, Reply, json_reply
from spinney.domain.autoscale import timetable
from spinney.domain.autoscale.values import Situation
from spinney.domain.placement.decision import explain
from spinney.domain.plan import Plan, Question, QuestionKind, Unplaceable
from spinney.domain.schema import SpecModel
from spinney.errors import BadRequest
from spinney.store import autoscaling, clusters, nodes, shares, tables

Ask = Callable[[Connection, Call], Question]


class Update(Request):
    profile_id: String = Field(description="Name or id.")


class OnHost(Request):
    host: String = Field(description="Name, id or alias.")


async def plan(call: Call) -> Reply:
    name, given = the_one(call, list(QuestionKind))
    kind = QuestionKind(name)
    read = _READ.get(kind, _of_action)
    model = MODELS[kind]
    try:
        data: Any = model.model_validate(given)
    except ValidationError as error:
        raise malformed(error, model, name) from error

    def ask(connection: Connection, call: Call) -> Question:
        return read(connection, call, kind, clusters.FINDER.get(connection, call.word, call.scope), data)

    return await answer(call, ask)


async def answer(call: Call, ask: Ask) -> Reply:
    return json_reply({"plan": view(await call.deps.store.read(_answer, call, ask))})


def _answer(connection: Connection, call: Call, ask: Ask) -> Plan:
    viewer = None if call.caller.is_admin else call.owner.project
    question = replace(ask(connection, call), viewer=viewer)
    found = call.deps.planner(connection, question, call.now)
    return replace(found, summary=f"{found.summary}{_afterwards(connection, call, question)}")


_SIZES = (QuestionKind.RESIZE, QuestionKind.SCALE_OUT, QuestionKind.SCALE_IN)


def _afterwards(connection: Connection, call: Call, question: Question) -> str:
    """Who sets the size of the cluster besides whoever asks."""
    found = autoscaling.scaled(connection, question.target) if question.kind in _SIZES else []
    if not found:
        return ""
    (one,), limit = found, call.deps.settings.max_nodes_per_cluster
    ceiling = limit if one.max_size < 0 else min(one.max_size, limit)
    bounds = timetable.bounds(one.rules, Situation(now=call.now, size=0, floor=one.min_size, ceiling=ceiling))
    return (
        f" Autoscaling is at work on the cluster: it keeps {bounds.low} to {bounds.high} members, and brings another size back "
        "within seconds."
    )


def _of_action(connection: Connection, call: Call, kind: QuestionKind, row: Row[Any], data: Any) -> Question:
    """With the inputs that the action would be queued with."""
    verb = VERBS[kind.value]
    if verb.shape is not None:
        data = verb.shape(data)
    return Question(kind, row.id, inputs=verb.inputs(connection, call, row, data))


def _update(connection: Connection, call: Call, kind: QuestionKind, row: Row[Any], data: Update) -> Question:
    inputs = new_profile(connection, call, row, data.profile_id)
    if not inputs:
        raise BadRequest("profile_id: the cluster has this profile already; give another one.")
    return Question(kind, row.id, inputs=inputs)


def _on_host(connection: Connection, call: Call, kind: QuestionKind, row: Row[Any], data: OnHost) -> Question:
    """Of a host of the cluster everything on it is told; of any other host this cluster's members there."""
    host = nodes.FINDER.find(connection, data.host, call.scope) or _by_alias(connection, row, data.host)
    if host is None or host.as_host is None:
        raise BadRequest(f"host: The specified host '{data.host[:255]}' could not be found.")
    return Question(kind, host.id, cluster_id=None if host.cluster_id == row.id else row.id)


def _by_alias(connection: Connection, row: Row[Any], word: str) -> Row[Any] | None:
    """A host of the host cluster that the cluster's containers run on, as those see it with whom it is shared."""
    pin = tables.pin
    found = connection.execute(
        pin.select().where(pin.c.profile_id == row.profile_id, pin.c.kind == "host_cluster")
    ).first()
    return None if found is None else shares.member(connection, found.target_id, word)


MODELS: Mapping[QuestionKind, type[SpecModel]] = {
    QuestionKind.SCALE_OUT: Scale,
    QuestionKind.SCALE_IN: Scale,
    QuestionKind.RESIZE: Resize,
    QuestionKind.UPDATE: Update,
    QuestionKind.DRAIN: OnHost,
    QuestionKind.LOSE: OnHost,
    QuestionKind.REBALANCE: Rebalance,
}
_READ: Mapping[QuestionKind, Callable[[Connection, Call, QuestionKind, Row[Any], Any], Question]] = {
    QuestionKind.UPDATE: _update,
    QuestionKind.DRAIN: _on_host,
    QuestionKind.LOSE: _on_host,
}


def view(found: Plan) -> dict[str, Any]:
    return {
        "summary": found.summary,
        "steps": [
            {
                "step": s.step.value,
                "node": s.node,
                "from": s.source,
                "to": s.target,
                "reason": s.reason,
                "batch": s.batch,
                "manner": s.manner,
            }
            for s in found.steps
        ],
        "unplaceable": [_unplaceable(one) for one in found.unplaceable],
    }


def _unplaceable(one: Unplaceable) -> dict[str, Any]:
    """As a node's placement is shown; of hosts of others only that none has room."""
    shown = {"node": one.node, "state": "waiting", "host": None}
    explained = placement.of(explain(one.answer.decision.body(), one.answer.step))
    if one.foreign:
        summary = "No host of the host cluster fits."
        return {**shown, "strategy": explained["strategy"], "summary": summary, "hosts": [], "nearest_miss": None}
    return {**shown, **explained, "summary": one.answer.summary}
