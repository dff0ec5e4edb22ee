"""Credentials: what operators let the service approach Docker engines and registries with.

Guaranteed: what a credential holds is never answered; it is read and checked before it is sealed, and this process cannot
unseal it again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import orjson
from pydantic import Field
from sqlalchemy import Connection, Row

from spinney.api import views
from spinney.api.reading import one_of as only
from spinney.api.reading import read_list
from spinney.api.values import Object, Request, to_string
from spinney.api.wire import Call, Filter, ListSpec, Reply, json_reply
from spinney.domain import credential as domain
from spinney.domain.credential import NAME, NAME_SAYS, Credential, CredentialType, Unusable
from spinney.domain.schema import Kind, NotAllowed, one_of
from spinney.errors import BadRequest, Conflict, ResourceInUse, ResourceNotFound
from spinney.store import credentials, listing, tables
from spinney.store.listing import ListQuery

LIST = ListSpec(
    {"name": Filter("name"), "type": Filter("type", only(CredentialType))},
    ("name", "type", "created_at", "updated_at"),
    "name",
)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise NotAllowed(NAME_SAYS)
    return value


class CredentialCreate(Request):
    name: Annotated[str, Kind("String", _name)]
    type: Annotated[str, Kind("String", to_string), one_of(*(kind.value for kind in CredentialType))]
    data: Object = Field(description="What it holds, by type; never shown again.")


class CredentialUpdate(Request):
    data: Object = Field(description="Stands in for all that was there.")


async def create(call: Call) -> Reply:
    data = call.data(CredentialCreate)
    kind = CredentialType(data.type)
    made = Credential(
        id=call.deps.ids.new(),
        name=data.name,
        type=kind,
        sealed=b"",
        facts=_examine(kind, data.data),
        user=call.owner.user,
        project=call.owner.project,
        domain=call.owner.domain,
        created_at=call.now,
    )
    row = await call.deps.store.transact(_create, made, orjson.dumps(data.data))
    return json_reply({"credential": view(row, call.now)}, 201)


def _examine(kind: CredentialType, data: Any) -> dict[str, Any]:
    try:
        return domain.examine(domain.read(kind, data))
    except Unusable as error:
        raise BadRequest(f"credential.{error}.") from error


def _create(connection: Connection, made: Credential, content: bytes) -> Row[Any]:
    credentials.insert(connection, replace(made, sealed=_seal(connection, made.id, content)))
    return _found(connection, made.id)


def _seal(connection: Connection, credential_id: str, content: bytes) -> bytes:
    key = credentials.sealing_key(connection)
    if key is None:
        raise Conflict(
            "credential.data: nobody could unseal it yet, as no engine has run with this database: start `spinney engine` "
            "first."
        )
    return key.seal(content, credential_id)


def _found(connection: Connection, word: str) -> Row[Any]:
    row = credentials.find(connection, word)
    if row is None:
        raise ResourceNotFound(f"The credential '{word[:255]}' could not be found.")
    return row


async def index(call: Call) -> Reply:
    query = replace(read_list(call), project=None)
    rows = await call.deps.store.read(_index, query)
    return json_reply({"credentials": [view(row, call.now) for row in rows]})


def _index(connection: Connection, query: ListQuery) -> list[Row[Any]]:
    return list(listing.run(connection, tables.credential, credentials.SHOWN, query))


async def get(call: Call) -> Reply:
    return json_reply({"credential": view(await call.deps.store.read(_found, call.word), call.now)})


async def update(call: Call) -> Reply:
    row = await call.deps.store.transact(_update, call, dict(call.data(CredentialUpdate).data))
    return json_reply({"credential": view(row, call.now)})


def _update(connection: Connection, call: Call, data: dict[str, Any]) -> Row[Any]:
    row = _found(connection, call.word)
    facts = _examine(CredentialType(row.type), data)
    sealed = _seal(connection, row.id, orjson.dumps(data))
    credentials.replace_material(connection, row.id, sealed, facts, call.now)
    return _found(connection, row.id)


async def delete(call: Call) -> Reply:
    await call.deps.store.transact(_delete, call)
    return Reply(204)


def _delete(connection: Connection, call: Call) -> None:
    row = _found(connection, call.word)
    for kind, name in call.deps.default_credentials.items():
        if name in (row.name, row.id):
            raise ResourceInUse(
                f"The credential '{row.name}' cannot be deleted: it is the default of type {kind} in the configuration; "
                f"name another one there first."
            )
    credentials.remove(connection, row)


def view(found: Row[Any], now: float) -> dict[str, Any]:
    row = dict(zip(credentials.COLUMNS, found, strict=True))
    return {
        "created_at": views.when(row["created_at"]),
        "domain": row["domain"],
        "facts": row["facts"],
        "id": row["id"],
        "name": row["name"],
        "project": row["project"],
        "type": row["type"],
        "updated_at": views.when(row["updated_at"]),
        "user": row["user"],
        "warnings": domain.warnings(row["facts"], now),
    }
