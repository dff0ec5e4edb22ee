"""Receivers: making, showing, changing and deleting them. What starts their actions is in ``webhooks``.

Guaranteed: a secret is in the one answer that made it and nowhere else afterwards; nobody makes a receiver for what they may
not do themselves, nor for a cluster of another user unless the rules make them an admin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from math import inf
from typing import Annotated, Any

from pydantic import Field
from sqlalchemy import Connection, Row

from spinney.api import views
from spinney.api.reading import one_of as only
from spinney.api.reading import read_list
from spinney.api.values import Bool, Name, Object, Request, String, to_string
from spinney.api.wire import Call, Filter, ListSpec, Reply, json_reply
from spinney.domain import webhook
from spinney.domain.action import ActionKind
from spinney.domain.quota import RECEIVERS
from spinney.domain.receiver import STARTABLE, Receiver, ReceiverType, alarm_url
from spinney.domain.schema import Kind, NotAllowed, between, one_of, to_int
from spinney.errors import BadRequest, Forbidden
from spinney.store import clusters, listing, quotas, receivers, tables

LIST = ListSpec(
    {
        "name": Filter("name"),
        "type": Filter("type", only(ReceiverType)),
        "action": Filter("action", only(ActionKind)),
        "cluster_id": Filter("cluster_id"),
        "user": Filter("user", since=4),
    },
    ("name", "type", "action", "cluster_id", "created_at", "user"),
    "name",
)
_NEVER = "never"
_TIME = "%Y-%m-%dT%H:%M:%SZ"
#: What a signing key is sealed for.
PURPOSE = "webhook"
_RULES = {
    ActionKind.CLUSTER_DELETE: "clusters:delete",
    ActionKind.CLUSTER_UPDATE: "clusters:update",
    ActionKind.CLUSTER_OPERATION: "clusters:operation",
}


def _expiry(value: Any) -> float:
    """Infinity: never."""
    if value == _NEVER:
        return inf
    try:
        return datetime.strptime(to_string(value), _TIME).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise NotAllowed(f"a time as in 2030-12-31T23:59:59Z, or {_NEVER}") from None


def _action(value: Any) -> str:
    if value not in STARTABLE:
        raise NotAllowed(f"one of {', '.join(STARTABLE)}")
    return str(value)


Expiry = Annotated[float, Kind("String", _expiry)]
Action = Annotated[str, Kind("String", _action)]
PerMinute = Annotated[int, Kind("Integer", to_int), between(1, 6000, "a whole number")]


class _Limits(Request):
    """What Senlin's receivers do not have."""

    enabled: Bool | None = Field(None, description="Given none, true.")
    open: Bool | None = Field(None, description="Whether its URL alone starts it; only where the operator allows that.")
    expires_at: Expiry | None = Field(None, description="A time, or never.")
    rate_limit: PerMinute | None = Field(
        None, description="How often a minute it may be used; given none, the deployment's."
    )


class ReceiverCreate(_Limits):
    name: Name
    type: Annotated[str, Kind("String", to_string), one_of(*ReceiverType)] = Field(description="message is refused.")
    cluster_id: String | None = Field(None, description="Name or id; required.")
    action: Action | None = Field(None, description="What it starts; required.")
    params: Object | None = Field(None, description="Inputs of the action, where a request does not say otherwise.")
    actor: Object | None = Field(None, description="Kept, without effect.")


class ReceiverUpdate(_Limits):
    name: Name | None = None
    action: Action | None = None
    params: Object | None = None


@dataclass(frozen=True, slots=True)
class Minted:
    """A new secret, and what is kept of it."""

    secret: str = field(repr=False)
    secret_hash: str
    signing_key: bytes = field(repr=False)


def mint(call: Call) -> Minted:
    secret = call.deps.secret()
    raw = secret.encode()
    return Minted(secret, webhook.hashed(raw), call.deps.keys.seal(webhook.signing_key(raw), PURPOSE))


async def create(call: Call) -> Reply:
    data = call.data(ReceiverCreate)
    if data.type == ReceiverType.MESSAGE:
        raise BadRequest(
            "receiver.type: message receivers are fed from a queue, and this service has no queue service to feed them; give "
            "webhook, and have whatever would write to the queue send its requests to the receiver's alarm_url."
        )
    for name in ("cluster_id", "action"):
        if not getattr(data, name):
            raise BadRequest(f"receiver.{name}: it is required for receivers of type webhook.")
    minted = mint(call)
    made = _made(call, data, minted)
    row = await call.deps.store.transact(_create, call, made, data.cluster_id or "")
    return json_reply({"receiver": view(row, call.ours, minted.secret)}, 201)


def _made(call: Call, data: ReceiverCreate, minted: Minted) -> Receiver:
    _require(call, data.action)
    settings = call.deps.webhook
    receiver_id, params = call.deps.ids.new(), dict(data.params or {})
    limits = _limits(call, data)
    return Receiver(
        id=receiver_id,
        name=data.name,
        type=data.type,
        cluster_id=None,
        action=data.action,
        params=params,
        channel={"alarm_url": alarm_url(settings.base_url or call.sent.root, receiver_id, params)},
        user=call.owner.user,
        project=call.owner.project,
        domain=call.owner.domain,
        created_at=call.now,
        secret_hash=minted.secret_hash,
        signing_key=minted.signing_key,
        **{"open": settings.allow_open_urls, "rate_limit": settings.rate_limit, **limits},
    )


def _require(call: Call, action: str | None) -> None:
    """Whoever may not do it must not have it done by a receiver. Raises: Forbidden."""
    if action is not None:
        call.require(_RULES.get(ActionKind(action), "clusters:action"))


def _limits(call: Call, data: _Limits) -> dict[str, Any]:
    """Those that were given. Raises: BadRequest."""
    given = {name: value for name, value in data.given().items() if name in _Limits.model_fields}
    if given.get("open") and not call.deps.webhook.allow_open_urls:
        raise BadRequest(
            "receiver.open: true is not allowed: the operator has not permitted receivers that need no secret; leave it out "
            "and use the alarm_url with the secret in it."
        )
    if "expires_at" in given:
        if given["expires_at"] <= call.now:
            raise BadRequest(
                f"receiver.expires_at: {views.when(given['expires_at'])} has passed; give a later time, or {_NEVER}."
            )
        given["expires_at"] = None if given["expires_at"] == inf else given["expires_at"]
    return given


def _create(connection: Connection, call: Call, made: Receiver, word: str) -> Row[Any]:
    cluster = clusters.FINDER.find(connection, word, call.scope)
    if cluster is None:
        raise BadRequest(f"receiver.cluster_id: The referenced cluster '{word[:255]}' could not be found.")
    if cluster.user != call.owner.user and not call.caller.is_admin:
        raise Forbidden(
            f"receiver.cluster_id: the cluster '{word[:255]}' belongs to another user, who can make receivers for it; so can "
            f"an admin."
        )
    quotas.reserve(connection, made.project, {RECEIVERS: 1}, call.deps.allowed.limits)
    receivers.insert(connection, replace(made, cluster_id=cluster.id))
    return receivers.FINDER.get(connection, made.id, call.scope)


async def index(call: Call) -> Reply:
    query = read_list(call)
    rows = await call.deps.store.read(listing.run, tables.receiver, receivers.RECEIVERS.select(), query)
    return json_reply({"receivers": [view(row, call.ours) for row in rows]})


async def get(call: Call) -> Reply:
    row = await call.deps.store.read(receivers.FINDER.get, call.word, call.scope)
    return json_reply({"receiver": view(row, call.ours)})


async def update(call: Call) -> Reply:
    data = call.data(ReceiverUpdate)
    _require(call, data.action)
    row = await call.deps.store.transact(_update, call, {**data.given(), **_limits(call, data)})
    return json_reply({"receiver": view(row, call.ours)})


def _update(connection: Connection, call: Call, given: Mapping[str, Any]) -> Row[Any]:
    row = receivers.FINDER.get(connection, call.word, call.scope)
    _require(call, row.action)
    changes = {name: value for name, value in given.items() if value != getattr(row, name)}
    if not changes:
        raise BadRequest(
            "Nothing would change: give at least one of name, action, params, enabled, open, expires_at and rate_limit with "
            "another value than the receiver has."
        )
    return _change(connection, call, row, changes)


def _change(connection: Connection, call: Call, row: Row[Any], changes: dict[str, Any]) -> Row[Any]:
    receivers.change(connection, row.id, {**changes, "updated_at": call.now})
    return receivers.FINDER.get(connection, row.id, call.scope)


async def rotate(call: Call) -> Reply:
    """Another secret; the one before is worth nothing from now on."""
    minted = mint(call)
    row = await call.deps.store.transact(_rotate, call, minted)
    return json_reply({"receiver": view(row, call.ours, minted.secret)})


def _rotate(connection: Connection, call: Call, minted: Minted) -> Row[Any]:
    row = receivers.FINDER.get(connection, call.word, call.scope)
    _require(call, row.action)
    kept = {"secret_hash": minted.secret_hash, "signing_key": minted.signing_key}
    return _change(connection, call, row, kept)


async def delete(call: Call) -> Reply:
    await call.deps.store.transact(_delete, call)
    return Reply(204)


def _delete(connection: Connection, call: Call) -> None:
    receivers.remove(connection, receivers.FINDER.get(connection, call.word, call.scope).id)


async def notify(call: Call) -> Reply:
    """A queue's call; there are no receivers that are fed from one."""
    row = await call.deps.store.read(receivers.FINDER.get, call.word, call.scope)
    raise BadRequest(
        f"The receiver '{row.name}' is of type {row.type}, and only those of type message are notified; send the request to "
        f"its alarm_url."
    )


def view(found: Row[Any], ours: bool, secret: str | None = None) -> dict[str, Any]:
    """``secret``: in the one answer in which it is shown."""
    row = receivers.RECEIVERS.value(found)
    channel = dict(row.channel)
    if secret is not None:
        if not row.open:
            channel["alarm_url"] = f"{channel['alarm_url']}&secret={secret}"
        if ours:
            channel["secret"] = secret
    shown = {
        "action": row.action,
        "actor": row.actor,
        "channel": channel,
        "cluster_id": row.cluster_id,
        "created_at": views.when(row.created_at),
        "domain": row.domain,
        "id": row.id,
        "name": row.name,
        "params": row.params,
        "project": row.project,
        "type": row.type,
        "updated_at": views.when(row.updated_at),
        "user": row.user,
    }
    if not ours:
        return shown
    limits = {"enabled": row.enabled, "open": row.open, "rate_limit": row.rate_limit}
    return {**shown, **limits, "expires_at": views.when(row.expires_at)}
