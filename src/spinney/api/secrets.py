"""Secrets: what a project lets its containers, its registries and its hooks know.

Guaranteed: what a secret holds is never answered, to nobody; it is checked and then sealed, and this process cannot unseal
it again. A change counts its version up and takes effect for containers made or started afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import orjson
from pydantic import Field
from sqlalchemy import Connection, Row

from spinney.api import views
from spinney.api.reading import one_of as only
from spinney.api.reading import read_list
from spinney.api.values import Object, Request, to_string
from spinney.api.wire import Call, Filter, ListSpec, Reply, json_reply
from spinney.domain import secret as domain
from spinney.domain.credential import NAME, NAME_SAYS, Unusable
from spinney.domain.quota import SECRETS
from spinney.domain.schema import Kind, NotAllowed, one_of
from spinney.domain.secret import PAYLOAD, Secret, SecretType, reference_id
from spinney.errors import BadRequest, Conflict
from spinney.store import credentials, listing, quotas, secrets, tables

LIST = ListSpec(
    {"name": Filter("name"), "type": Filter("type", only(SecretType))},
    ("name", "type", "created_at", "updated_at"),
    "name",
)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise NotAllowed(NAME_SAYS)
    return value


def _reference(value: Any) -> str:
    if not isinstance(value, str) or reference_id(value) is None:
        raise NotAllowed("the URL of a secret in Barbican, as in https://keys.example.org/v1/secrets/<id>")
    return value


Reference = Annotated[str, Kind("String", _reference)]


class SecretCreate(Request):
    name: Annotated[str, Kind("String", _name)]
    type: Annotated[str, Kind("String", to_string), one_of(*(kind.value for kind in SecretType))] = SecretType.OPAQUE
    data: Object | None = Field(
        None, description="Key to value. Of type registry: username, password and serveraddress."
    )
    reference: Reference | None = Field(None, description="In place of data: where Barbican keeps the value.")


class SecretUpdate(Request):
    data: Object | None = Field(None, description="Stands in for all that was there.")
    reference: Reference | None = None


async def create(call: Call) -> Reply:
    given = call.data(SecretCreate)
    kind = SecretType(given.type)
    secret_id = call.deps.ids.new()
    facts = _examine(call, kind, given)
    await _let_read(call, given)
    row = await call.deps.store.transact(_create, call, secret_id, kind, given, facts)
    return json_reply({"secret": view(row)}, 201)


def _examine(call: Call, kind: SecretType, given: SecretCreate | SecretUpdate) -> dict[str, Any]:
    """What may be shown of it. Raises: BadRequest."""
    if (given.data is None) == (given.reference is None):
        raise BadRequest("secret.data: give either data or reference, and not both.")
    if given.data is not None:
        try:
            return domain.examine(kind, given.data)
        except Unusable as error:
            raise BadRequest(f"secret.{error}.") from error
    if kind is not SecretType.OPAQUE:
        raise BadRequest(f"secret.reference: a secret of type {kind} holds its data here; give data instead.")
    if not call.deps.references:
        raise BadRequest(
            "secret.reference: this service is not connected to Barbican; give data instead, or ask the operator to "
            "configure [barbican]."
        )
    return {"keys": [PAYLOAD]}


async def _let_read(call: Call, given: SecretCreate | SecretUpdate) -> None:
    """What is kept elsewhere is read in the caller's name when the caller is gone. Raises: DelegationRefused."""
    if given.reference is not None and call.deps.delegation is not None and call.caller.token:
        await call.deps.delegation.ensure(call.caller)


def _create(
    connection: Connection, call: Call, secret_id: str, kind: SecretType, given: SecretCreate, facts: dict[str, Any]
) -> Row[Any]:
    secret = Secret(
        id=secret_id,
        name=given.name,
        type=kind,
        sealed=_sealed(connection, secret_id, given.data),
        reference=given.reference,
        facts=facts,
        version=1,
        user=call.owner.user,
        project=call.owner.project,
        domain=call.owner.domain,
        created_at=call.now,
    )
    quotas.reserve(connection, secret.project, {SECRETS: 1}, call.deps.allowed.limits)
    secrets.insert(connection, secret)
    return secrets.FINDER.get(connection, secret_id, call.own_scope)


def _sealed(connection: Connection, secret_id: str, data: Mapping[str, Any] | None) -> bytes | None:
    if data is None:
        return None
    key = credentials.sealing_key(connection)
    if key is None:
        raise Conflict(
            "secret.data: nobody could unseal it yet, as no engine has run with this database: start `spinney engine` first."
        )
    return key.seal(orjson.dumps(data), secret_id)


async def index(call: Call) -> Reply:
    rows = await call.deps.store.read(listing.run, tables.secret, secrets.SHOWN, read_list(call))
    return json_reply({"secrets": [view(row) for row in rows]})


async def get(call: Call) -> Reply:
    row = await call.deps.store.read(secrets.FINDER.get, call.word, call.scope)
    return json_reply({"secret": view(row)})


async def update(call: Call) -> Reply:
    given = call.data(SecretUpdate)
    await _let_read(call, given)
    row = await call.deps.store.transact(_update, call, given)
    return json_reply({"secret": view(row)})


def _update(connection: Connection, call: Call, given: SecretUpdate) -> Row[Any]:
    row = secrets.FINDER.get(connection, call.word, call.scope)
    facts = _examine(call, SecretType(row.type), given)
    sealed = _sealed(connection, row.id, given.data)
    # A reference is followed for who gave it: another's must not lead to what only the secret's maker may read.
    user = None if given.reference is None else call.owner.user
    reference = given.reference
    secrets.replace_value(connection, row.id, sealed=sealed, reference=reference, facts=facts, now=call.now, user=user)
    return secrets.FINDER.get(connection, row.id, call.scope)


async def delete(call: Call) -> Reply:
    await call.deps.store.transact(_delete, call)
    return Reply(204)


def _delete(connection: Connection, call: Call) -> None:
    secrets.remove(connection, secrets.FINDER.get(connection, call.word, call.scope))


def view(row: Row[Any]) -> dict[str, Any]:
    return {
        "created_at": views.when(row.created_at),
        "domain": row.domain,
        "id": row.id,
        "keys": row.facts.get("keys", []),
        "name": row.name,
        "project": row.project,
        "reference": row.reference,
        "registry": row.facts.get("registry"),
        "type": row.type,
        "updated_at": views.when(row.updated_at),
        "user": row.user,
        "version": row.version,
    }
