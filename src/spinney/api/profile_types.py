"""Profile types: their schemas and operations."""

from __future__ import annotations

from typing import Any

from spinney.api.wire import Call, Reply, json_reply
from spinney.errors import BadRequest, ResourceNotFound
from spinney.profiles import registry
from spinney.profiles.base import ProfileType


async def index(call: Call) -> Reply:
    kinds = registry.listed_types(with_ours=call.ours)
    return json_reply({"profile_types": [_listed(kind, since_5=call.since(5)) for kind in kinds]})


def _listed(kind: ProfileType, *, since_5: bool) -> dict[str, Any]:
    if not since_5:
        return {"name": kind.name_version}
    return {"name": kind.name, "support_status": kind.support(), "version": kind.version}


async def get(call: Call) -> Reply:
    kind = registry.profile_type(call.word)
    view: dict[str, Any] = {"name": call.word, "schema": kind.schema()}
    if call.since(5):
        view["support_status"] = registry.support_status(kind.name)
    return json_reply({"profile_type": view})


async def operations(call: Call) -> Reply:
    try:
        kind = registry.profile_type(call.word)
    except ResourceNotFound as error:
        raise BadRequest(error.message) from error
    return json_reply({"operations": kind.operations_schema()})
