"""Policies and their types."""

from __future__ import annotations

from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Row

from spinney.api import views
from spinney.api.reading import read_list
from spinney.api.spec_types import listed, shown
from spinney.api.values import Name, Object, Request
from spinney.api.wire import Call, Filter, ListSpec, Reply, json_reply
from spinney.domain.policy import Policy
from spinney.errors import BadRequest, InvalidSpec
from spinney.policies import registry
from spinney.policies.health import HealthProperties
from spinney.store import listing, policies, tables

POLICIES = ListSpec(
    {"name": Filter("name"), "type": Filter("type")}, ("type", "name", "created_at", "updated_at"), "created_at"
)


class PolicyCreate(Request):
    name: Name
    spec: Object = Field(
        description="type, version and properties, as the policy type has them; description if you like."
    )


class PolicyValidate(Request):
    spec: Object = Field(description="As for creating one.")


class PolicyUpdate(Request):
    name: Name


async def types(call: Call) -> Reply:
    kinds = registry.listed_types(with_ours=call.ours)
    return json_reply({"policy_types": [listed(call, kind) for kind in kinds]})


async def get_type(call: Call) -> Reply:
    kind = registry.policy_type(call.word)
    return json_reply({"policy_type": shown(call, kind, registry.support_status(kind.name))})


async def index(call: Call) -> Reply:
    query = read_list(call)
    rows = await call.deps.store.read(listing.run, tables.policy, policies.FINDER.select, query)
    return json_reply({"policies": [views.policy(row) for row in rows]})


async def get(call: Call) -> Reply:
    row = await call.deps.store.read(policies.FINDER.get, call.word, call.scope)
    return json_reply({"policy": views.policy(row)})


async def create(call: Call) -> Reply:
    data = call.data(PolicyCreate)
    made = _policy(call, data.name, data.spec)
    await call.deps.store.transact(policies.insert, made)
    return json_reply({"policy": views.new_policy(made)}, 201)


async def validate(call: Call) -> Reply:
    made = _policy(call, "validated_policy", call.data(PolicyValidate).spec)
    return json_reply({"policy": {**views.new_policy(made), "id": None, "created_at": None}})


def _policy(call: Call, name: str, spec: Any) -> Policy:
    """Raises: ESchema, InvalidSpec, ResourceNotFound."""
    found = registry.validate_spec(spec)
    _require_patience(call, found)
    return Policy(
        id=call.deps.ids.new(),
        name=name,
        type=found.kind.name_version,
        spec=spec,
        user=call.owner.user,
        project=call.owner.project,
        domain=call.owner.domain,
        created_at=call.now,
    )


def _require_patience(call: Call, found: registry.ValidatedPolicy) -> None:
    """Raises: InvalidSpec, where members would be looked at more often than the operator allows."""
    least = call.deps.settings.health_check_interval_min
    if isinstance(found.properties, HealthProperties) and found.properties.detection.interval < least:
        raise InvalidSpec(
            f"properties.detection.interval: {found.properties.detection.interval} is not allowed: give {least} or more, "
            f"which the service's setting [api] health_check_interval_min is"
        )


async def update(call: Call) -> Reply:
    row = await call.deps.store.transact(_update, call, call.data(PolicyUpdate).name)
    return json_reply({"policy": views.policy(row)})


def _update(connection: Connection, call: Call, name: str) -> Row[Any]:
    found = policies.FINDER.get(connection, call.word, call.scope)
    if name == found.name:
        raise BadRequest(f"Nothing would change: the policy's name is '{name}' already; give another.")
    policies.rename(connection, found.id, name, call.now)
    return policies.FINDER.get(connection, found.id, call.scope)


async def delete(call: Call) -> Reply:
    await call.deps.store.transact(_delete, call)
    return Reply(204)


def _delete(connection: Connection, call: Call) -> None:
    policies.remove(connection, policies.FINDER.get(connection, call.word, call.scope).id, call.word)
