"""``POST /v1/webhooks/{id}/trigger``: starting what a receiver is for, without any other authentication.

Guaranteed: what may not start a receiver is refused in one way, after one look at the database, whether there is no such
receiver, it is disabled or expired, or the proof is missing, wrong or too old; a signed request that was obeyed before is
refused in the same words. What is started is checked exactly as if the receiver's owner had asked for it. Of the request only
inputs that the action knows are taken, because alarm tools send bodies of their own. Not guaranteed: that the owner is still
allowed what was allowed when the receiver was made.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection

from spinney.api import cluster_actions
from spinney.api.cluster_actions import VERBS, Verb
from spinney.api.clusters import ClusterUpdate, check_config, order_deletion, order_update
from spinney.api.faults import malformed
from spinney.api.reading import read_switch
from spinney.api.receivers import PURPOSE
from spinney.api.versions import LATEST_MINOR, LATEST_OURS, Versions
from spinney.api.wire import Call, Reply, queued
from spinney.domain import webhook
from spinney.domain.action import ActionKind
from spinney.domain.identity import Caller, Owner
from spinney.domain.receiver import Receiver
from spinney.domain.webhook import Nothing, Proof, Signed
from spinney.errors import HTTPBadRequest, TooManyRequests
from spinney.keyring import KeyRing, NoSuchKey
from spinney.store import clusters, receivers
from spinney.store.identity import as_uuid

#: No object has it.
_NO_ID = "00000000-0000-0000-0000-000000000000"
#: What is done for a receiver's owner is done with these, and nothing more.
_ROLES = frozenset({"member", "reader"})
#: Of actions that take any inputs, those that mean something.
_KNOWN = {ActionKind.CLUSTER_CHECK: frozenset({"delete_check_action"})}

log = logging.getLogger(__name__)


async def trigger(call: Call) -> Reply:
    body = _body(call)
    shown = webhook.proof(call.sent.headers, call.flag("secret"))
    receiver = _granted(call, await _find(call), shown)
    if receiver is None:
        raise receivers.FINDER.absent(call.word)
    if not await call.deps.store.transact(_admit, call, receiver, shown):
        raise TooManyRequests(
            f"The receiver '{receiver.name}' was used {receiver.rate_limit} times within a minute, which is its rate_limit; "
            f"try again later, or have its owner raise that."
        ).after(receivers.WINDOW)
    how = "its URL alone" if isinstance(shown, Nothing) else f"its {type(shown).__name__.lower()} proof"
    call.audited.append(f"receiver {receiver.id} for user {receiver.user} of project {receiver.project}, by {how}")
    action_id = call.deps.ids.new()
    await call.deps.store.transact(_obey, call, receiver, {**receiver.params, **body}, shown, action_id)
    call.deps.ring()
    return queued(action_id, {"action": action_id})


def _body(call: Call) -> Mapping[str, Any]:
    """The inputs in the request. Raises: HTTPBadRequest."""
    version = call.flag("V")
    if version not in ("1", "2"):
        given = "it is missing" if version is None else f"'{version[:20]}' is none"
        raise HTTPBadRequest(f"V: {given}; add V=2 to the query, as in the receiver's alarm_url.")
    body: Mapping[str, Any] = call.body
    if version == "2" or call.since(10):
        return body
    params = body.get("params", {})
    if body.keys() - {"params"} or not isinstance(params, dict):
        raise HTTPBadRequest('With V=1 the body is {"params": {…}}, or empty; use V=2 to give the inputs themselves.')
    return params


async def _find(call: Call) -> Receiver | None:
    row = await call.deps.store.read(receivers.by_id, as_uuid(call.word) or _NO_ID)
    return None if row is None else receivers.RECEIVERS.value(row)


def _granted(call: Call, found: Receiver | None, shown: Proof) -> Receiver | None:
    """The receiver, if the request may start it. As much is computed for one that does not exist."""
    stand_in_hash, stand_in_key = _stand_in(call.deps.keys)
    secret_hash = stand_in_hash if found is None else found.secret_hash or stand_in_hash
    sealed = stand_in_key if found is None else found.signing_key or stand_in_key
    target = f"/v1/webhooks/{call.word}/trigger".encode() + (b"?" + call.sent.query if call.sent.query else b"")
    key = _unsealed(call.deps.keys, sealed)
    proven = webhook.holds(shown, secret_hash, key, call.route.method, target, call.sent.body, call.now)
    if found is None or not found.enabled or found.action is None:
        return None
    if found.expires_at is not None and found.expires_at <= call.now:
        return None
    unproven = isinstance(shown, Nothing) and not shown.garbled
    return found if proven or (unproven and found.open and call.deps.webhook.allow_open_urls) else None


@lru_cache(maxsize=8)
def _stand_in(keys: KeyRing) -> tuple[str, bytes]:
    """What nobody has the secret of."""
    chance = secrets.token_bytes(32)
    return webhook.hashed(chance), keys.seal(webhook.signing_key(chance), PURPOSE)


def _unsealed(keys: KeyRing, sealed: bytes) -> bytes:
    """With a key that nobody has, if the right one is gone: signatures are refused until the secret is rotated."""
    try:
        return keys.unseal(sealed, PURPOSE)
    except NoSuchKey as error:
        log.warning("the signing key of a receiver cannot be opened; its secret has to be rotated: %s", error)
        return secrets.token_bytes(32)


def _admit(connection: Connection, call: Call, receiver: Receiver, shown: Proof) -> bool:
    """Count the use, but not of what was obeyed before: who has seen a signed request must not use up the rate by it."""
    if isinstance(shown, Signed) and receivers.is_used(connection, receiver.id, shown.signature):
        raise receivers.FINDER.absent(call.word)
    return receivers.admit(connection, receiver.id, receiver.secret_hash, call.now)


def _obey(
    connection: Connection, call: Call, receiver: Receiver, inputs: dict[str, Any], shown: Proof, action_id: str
) -> None:
    if isinstance(shown, Signed):
        until = shown.timestamp + webhook.TOLERANCE + 1.0
        if not receivers.use_once(connection, receiver.id, shown.signature, until):
            raise receivers.FINDER.absent(call.word)
    cluster = clusters.FINDER.by_id(connection, receiver.cluster_id or _NO_ID)
    if cluster is None:
        raise receivers.FINDER.absent(call.word)
    # An admin's receiver may be for a cluster of another project: it acts within that one.
    owner = Owner(receiver.user, cluster.project, receiver.domain)
    asked = replace(
        call,
        caller=Caller(owner, _ROLES),
        versions=Versions(LATEST_MINOR, LATEST_OURS),
        words=(str(cluster.id),),
        query=(),
    )
    kind = ActionKind(receiver.action or "")
    _OTHERS.get(kind, _by_verb)(connection, asked, kind, inputs, action_id)
    receivers.name_action(connection, receiver.id, action_id)


def _by_verb(connection: Connection, call: Call, kind: ActionKind, inputs: dict[str, Any], action_id: str) -> None:
    """What ``POST /v1/clusters/{id}/actions`` does, with the same checks."""
    name, verb = _VERBS[kind]
    known = _KNOWN[kind] if verb.model is None else verb.model.model_fields.keys()
    call.body = {name: {key: value for key, value in inputs.items() if key in known}}
    verb, data = cluster_actions.read_verb(call, VERBS)
    cluster_actions.order(connection, call, kind, verb, data, action_id)


def _update(connection: Connection, call: Call, kind: ActionKind, inputs: dict[str, Any], action_id: str) -> None:
    given = {key: value for key, value in inputs.items() if key in ClusterUpdate.model_fields}
    try:
        changes = ClusterUpdate.model_validate(given).given()
    except ValidationError as error:
        raise malformed(error, ClusterUpdate, "") from error
    check_config(call, changes.get("config"))
    order_update(connection, call, changes, action_id)


def _delete(connection: Connection, call: Call, kind: ActionKind, inputs: dict[str, Any], action_id: str) -> None:
    order_deletion(connection, call, read_switch("force", inputs.get("force")), action_id)


def _operate(connection: Connection, call: Call, kind: ActionKind, inputs: dict[str, Any], action_id: str) -> None:
    operation = inputs.get("operation")
    if not isinstance(operation, str) or not operation:
        raise HTTPBadRequest("operation: the name of an operation is needed, in the receiver's params or in the body.")
    given = {key: inputs[key] for key in ("params", "filters") if inputs.get(key) is not None}
    cluster_actions.order_operation(connection, call, operation, given, action_id)


_VERBS: Mapping[ActionKind, tuple[str, Verb]] = {
    verb.kind: (name, verb) for name, verb in VERBS.items() if verb.kind is not None
}
_OTHERS: Mapping[ActionKind, Callable[[Connection, Call, ActionKind, dict[str, Any], str], None]] = {
    ActionKind.CLUSTER_UPDATE: _update,
    ActionKind.CLUSTER_DELETE: _delete,
    ActionKind.CLUSTER_OPERATION: _operate,
}
