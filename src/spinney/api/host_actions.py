"""``POST /v1/hosts/{id}/actions``: what an operator can ask of a host.

Guaranteed: cordoning and opening a host are done when the answer is sent; the action named there is final. A drain that is
alive is stopped by either: moves under way end, no more begin.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import Field, ValidationError
from sqlalchemy import Connection, Row

from spinney.api import nodes as api_nodes
from spinney.api import planning
from spinney.api.cluster_actions import the_one
from spinney.api.faults import malformed
from spinney.api.values import LARGEST, Bool, Nothing, Positive, Request
from spinney.api.wire import Call, Reply, queued
from spinney.domain import event as events
from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.action import queued as queued_action
from spinney.domain.event import Level
from spinney.domain.host import Duty
from spinney.domain.plan import Question, QuestionKind
from spinney.errors import ResourceNotFound
from spinney.store import actions, duties, nodes, tables
from spinney.store.rows import ACTIONS, EVENTS


class Drain(Request):
    deadline: Positive | None = Field(None, description="Seconds after which it ends, whatever is left.")
    max_in_flight: Positive | None = Field(None, description="Containers on the move at a time.")
    dry_run: Bool | None = Field(None, description="Answer with a plan, and do nothing.")


class Remove(Request):
    force: Bool | None = Field(None, description="Also in the middle of something.")


@dataclass(frozen=True, slots=True)
class Verb:
    says: str
    model: type[Request]
    #: Does what is asked within the transaction, about the host's node, with the id of the action.
    run: Callable[[Connection, Call, Row[Any], Any, str], None]


async def act(call: Call) -> Reply:
    name, given = the_one(call, VERBS)
    verb = VERBS[name]
    try:
        data = verb.model.model_validate(given)
    except ValidationError as error:
        raise malformed(error, verb.model, name) from error
    if isinstance(data, Drain) and data.dry_run:
        return await planning.answer(call, _would_drain)
    action_id = call.deps.ids.new()
    await call.deps.store.transact(_act, call, verb, data, action_id)
    call.deps.ring()
    return queued(action_id, {"action": action_id})


def find(connection: Connection, call: Call) -> Row[Any]:
    """The host's node. Raises: ResourceNotFound, MultipleChoices."""
    row = nodes.FINDER.find(connection, call.word, call.scope)
    if row is None or row.as_host is None:
        raise ResourceNotFound(f"The host '{call.word[:255]}' could not be found.")
    return row


def _act(connection: Connection, call: Call, verb: Verb, data: Any, action_id: str) -> None:
    verb.run(connection, call, find(connection, call), data, action_id)


def _would_drain(connection: Connection, call: Call) -> Question:
    return Question(QuestionKind.DRAIN, target=find(connection, call).id)


def _drain(connection: Connection, call: Call, row: Row[Any], data: Drain, action_id: str) -> None:
    inputs = {key: value for key, value in data.given().items() if key != "dry_run"}
    # Without a deadline there is no end but success or somebody's word: an action's ordinary limit is not meant for it.
    timeout = data.deadline or LARGEST
    actions.submit(connection, _action(call, row, ActionKind.HOST_DRAIN, action_id, inputs=inputs, timeout=timeout))
    duties.set_duty(connection, row.id, Duty.DRAINING, "its containers are moved away", call.now)


def _duty(kind: ActionKind, duty: Duty, says: str) -> Callable[[Connection, Call, Row[Any], Nothing, str], None]:
    def run(connection: Connection, call: Call, row: Row[Any], data: Nothing, action_id: str) -> None:
        drains = (tables.action.c.target == row.id, tables.action.c.action == ActionKind.HOST_DRAIN)
        actions.request_cancel(connection, *drains)
        reason = "" if duty is Duty.OPEN else f"by {call.owner.user}"
        duties.set_duty(connection, row.id, duty, reason, call.now)
        done = replace(
            _action(call, row, kind, action_id),
            status=ActionStatus.SUCCEEDED,
            status_reason=says,
            start_time=call.now,
            end_time=call.now,
        )
        ACTIONS.insert(connection, [done])
        event_id = call.deps.ids.new()
        told = events.of_action(done, row.name, "end", Level.INFO, says, event_id=event_id, now=call.now)
        EVENTS.insert(connection, [told])

    return run


def _action(call: Call, row: Row[Any], kind: ActionKind, action_id: str, **fields: Any) -> Action:
    return queued_action(
        kind,
        row.id,
        call.owner,
        action_id=action_id,
        cause=Cause.REQUEST,
        now=call.now,
        cluster_id=row.cluster_id,
        **fields,
    )


def _remove(connection: Connection, call: Call, row: Row[Any], data: Remove, action_id: str) -> None:
    api_nodes.delete_row(connection, call, row, bool(data.force), action_id)


VERBS: Mapping[str, Verb] = {
    "cordon": Verb(
        "Nothing new is placed there.",
        Nothing,
        _duty(ActionKind.HOST_CORDON, Duty.CORDONED, "Nothing new is placed there."),
    ),
    "uncordon": Verb(
        "Open it again; a drain that is alive is stopped.",
        Nothing,
        _duty(ActionKind.HOST_UNCORDON, Duty.OPEN, "Containers may be placed there again."),
    ),
    "drain": Verb("Move its containers away.", Drain, _drain),
    "remove": Verb("Forget it; refused while containers or profiles rely on it.", Remove, _remove),
}
