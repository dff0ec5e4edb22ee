"""Profile types: their schemas and operations."""

from __future__ import annotations

from spinney.api.spec_types import listed, shown
from spinney.api.wire import Call, Reply, json_reply
from spinney.errors import BadRequest, ResourceNotFound
from spinney.profiles import registry


async def index(call: Call) -> Reply:
    kinds = registry.listed_types(with_ours=call.ours)
    return json_reply({"profile_types": [listed(call, kind) for kind in kinds]})


async def get(call: Call) -> Reply:
    kind = registry.profile_type(call.word)
    return json_reply({"profile_type": shown(call, kind, registry.support_status(kind.name))})


async def operations(call: Call) -> Reply:
    try:
        kind = registry.profile_type(call.word)
    except ResourceNotFound as error:
        raise BadRequest(error.message) from error
    return json_reply({"operations": kind.operations_schema()})
