"""Policies, their types and bindings, and receivers: there are none yet, and that is what is said."""

from __future__ import annotations

from typing import NoReturn

from sqlalchemy import Connection

from spinney.api.reading import one_of, read_list
from spinney.api.values import Name, Object, Request
from spinney.api.wire import Call, Filter, ListSpec, Reply, json_reply
from spinney.domain.action import ActionKind
from spinney.domain.schema import NotAllowed, to_bool
from spinney.errors import ESchema, ResourceNotFound
from spinney.store import clusters


def _switch(word: str) -> bool:
    try:
        return to_bool(word)
    except NotAllowed as error:
        raise ValueError(error.allowed) from error


POLICIES = ListSpec(
    {"name": Filter("name"), "type": Filter("type")}, ("type", "name", "created_at", "updated_at"), "created_at"
)
BINDINGS = ListSpec(
    {
        "enabled": Filter("enabled", _switch),
        "policy_name": Filter("policy_name"),
        "policy_type": Filter("policy_type"),
    },
    ("enabled",),
    "id",
    plain=True,
)
RECEIVERS = ListSpec(
    {
        "name": Filter("name"),
        "type": Filter("type", one_of(("webhook", "message"))),
        "action": Filter("action", one_of(ActionKind)),
        "cluster_id": Filter("cluster_id"),
        "user": Filter("user"),
    },
    ("name", "type", "action", "cluster_id", "created_at", "user"),
    "name",
)


class PolicyCreate(Request):
    name: Name
    spec: Object


class PolicyValidate(Request):
    spec: Object


async def types(call: Call) -> Reply:
    return json_reply({"policy_types": []})


async def get_type(call: Call) -> Reply:
    raise ResourceNotFound(f"The policy_type '{call.word[:255]}' could not be found.")


async def index(call: Call) -> Reply:
    read_list(call)
    return json_reply({"policies": []})


async def get(call: Call) -> Reply:
    raise ResourceNotFound(f"The policy '{call.word[:255]}' could not be found.")


async def create(call: Call) -> Reply:
    _refuse(call.data(PolicyCreate).spec)


async def validate(call: Call) -> Reply:
    _refuse(call.data(PolicyValidate).spec)


def _refuse(spec: object) -> NoReturn:
    words = []
    for key in ("type", "version"):
        value = spec.get(key) if isinstance(spec, dict) else None
        if value is None:
            raise ESchema(f"spec.{key}: this is required and was not given.")
        words.append(str(value)[:100])
    raise ResourceNotFound(f"The policy_type '{'-'.join(words)}' could not be found.")


async def bindings(call: Call) -> Reply:
    read_list(call)
    await call.deps.store.read(_require_cluster, call)
    return json_reply({"cluster_policies": []})


async def binding(call: Call) -> Reply:
    await call.deps.store.read(_require_cluster, call)
    raise ResourceNotFound(f"The policy '{call.words[1][:255]}' could not be found.")


def _require_cluster(connection: Connection, call: Call) -> None:
    clusters.FINDER.get(connection, call.word, call.scope)


async def receivers(call: Call) -> Reply:
    read_list(call)
    return json_reply({"receivers": []})


async def receiver(call: Call) -> Reply:
    raise ResourceNotFound(f"The receiver '{call.word[:255]}' could not be found.")
