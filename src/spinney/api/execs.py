"""``POST /v1/nodes/{id}/exec``: leave to run one command in a node's container.

Guaranteed: what is answered opens one session, once and within ``TIME_TO_CONNECT`` seconds, and whoever shows the word in its
path needs nothing else; neither the word nor the command is in the database in plain. Running it is ``terminals``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter
from sqlalchemy import Connection, Row

from spinney.api.insight import require_container
from spinney.api.values import Bool, Request
from spinney.api.wire import Call, Reply, json_reply
from spinney.clock import iso
from spinney.domain import webhook
from spinney.domain.identity import Owner
from spinney.domain.node import TRANSIENT_STATUSES, PowerState
from spinney.domain.schema import Kind, NotAllowed, Rule, at_most, to_map
from spinney.domain.terminal import ExecRequest
from spinney.errors import Conflict
from spinney.profiles.container_values import EnvironmentName, EnvironmentValue, User, to_argv
from spinney.store import exec_sessions, nodes

#: Where sessions are, below ``/v1``.
PLACE = "execs"
TIME_TO_CONNECT = 60.0
_LARGEST_ENVIRONMENT = 65536
SEALED = TypeAdapter(ExecRequest)


def purpose(session_id: str) -> str:
    """What the request of a session is sealed for."""
    return f"exec {session_id}"


def _some(words: tuple[str, ...]) -> tuple[str, ...]:
    if not words or not words[0]:
        raise NotAllowed("a program and its arguments, and the program is missing")
    return words


def _bounded(environment: Mapping[str, str]) -> Mapping[str, str]:
    if sum(len(name) + len(value) for name, value in environment.items()) > _LARGEST_ENVIRONMENT:
        raise NotAllowed(f"at most {_LARGEST_ENVIRONMENT} characters in all", secret=True)
    return environment


class ExecCreate(Request):
    command: Annotated[tuple[str, ...], Kind("List", to_argv), Rule("a program and its arguments", _some)]
    tty: Bool = Field(False, description="Whether it gets a terminal; then there is no error output of its own.")
    user: User | None = Field(None, description="Given none, that of the container.")
    environment: Annotated[
        Mapping[EnvironmentName, EnvironmentValue],
        Kind("Map", to_map),
        at_most(100, "variables"),
        Rule(f"at most {_LARGEST_ENVIRONMENT} characters in all", _bounded),
    ] = Field(default_factory=dict)


async def create(call: Call) -> Reply:
    data = call.data(ExecCreate)
    row = await call.deps.store.read(nodes.FINDER.get, call.word, call.scope)
    _check(row)
    session_id, word = call.deps.ids.new(), call.deps.secret()
    request = ExecRequest(data.command, data.tty, data.user, dict(data.environment))
    sealed = call.deps.keys.seal(SEALED.dump_json(request), purpose(session_id))
    expires_at = call.now + TIME_TO_CONNECT
    await call.deps.store.transact(_insert, session_id, word, row.id, sealed, call.owner, expires_at)
    shown = {"id": session_id, "stream_path": f"/v1/{PLACE}/{word}", "expires_at": iso(expires_at)}
    return json_reply({"exec": shown}, 201)


def _check(row: Row[Any]) -> None:
    """Raises: Conflict when nothing can run there now."""
    require_container(row)
    if row.status in TRANSIENT_STATUSES:
        raise Conflict(f"The node '{row.name}' is {row.status}; wait until that is over to run a command in it.")
    if row.power != PowerState.RUNNING:
        remedy = "unpause" if row.power == PowerState.PAUSED else "start"
        raise Conflict(
            f"The node '{row.name}' is {row.power}, and only in a running one commands run: {remedy} it first."
        )


def _insert(
    connection: Connection, session_id: str, word: str, node_id: str, sealed: bytes, owner: Owner, expires_at: float
) -> None:
    hashed = webhook.hashed(word.encode())
    exec_sessions.insert(connection, session_id, hashed, node_id, sealed, owner, expires_at)
