"""Policies attached to clusters: listing and showing them, and asking for them to be attached, changed and detached.

Guaranteed: a cluster made with policies has them before its first node is placed, because they are stored in one
transaction with it; whether they can be attached is decided by the same rules as later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import Field
from sqlalchemy import Connection, Row

from spinney.api import views
from spinney.api.reading import read_list, switch
from spinney.api.values import Bool, Request, String
from spinney.api.wire import Call, Filter, ListSpec, Reply, json_reply
from spinney.domain.cluster import Cluster
from spinney.domain.identity import Owner
from spinney.errors import BadRequest, DelegationRefused, PolicyBindingNotFound
from spinney.policies.attaching import Attached, hindrance
from spinney.policies.loadbalance import NAME as LOADBALANCE
from spinney.policies.registry import validate_spec
from spinney.profiles.registry import attach_target
from spinney.store import bindings, clusters, policies
from spinney.store.listing import ListQuery

LIST = ListSpec(
    {
        "enabled": Filter("enabled", switch),
        "policy_name": Filter("policy_name"),
        "policy_type": Filter("policy_type"),
    },
    ("enabled",),
    "id",
    plain=True,
)


class PolicyAttach(Request):
    policy_id: String = Field(description="Name or id.")
    enabled: Bool | None = Field(None, description="Given none, true.")


class PolicyDetach(Request):
    policy_id: String = Field(description="Name or id.")


async def index(call: Call) -> Reply:
    rows = await call.deps.store.read(_index, call, read_list(call))
    return json_reply({"cluster_policies": [views.binding(row) for row in rows]})


def _index(connection: Connection, call: Call, query: ListQuery) -> Sequence[Row[Any]]:
    row = clusters.FINDER.get(connection, call.word, call.scope)
    return bindings.find(connection, row.id, replace(query, project=None))


async def get(call: Call) -> Reply:
    return json_reply({"cluster_policy": views.binding(await call.deps.store.read(_get, call))})


def _get(connection: Connection, call: Call) -> Row[Any]:
    cluster = clusters.FINDER.get(connection, call.word, call.scope)
    word = call.words[1]
    policy = policies.FINDER.get(connection, word, call.scope)
    found = bindings.get(connection, cluster.id, policy.id)
    if found is None:
        raise PolicyBindingNotFound(
            f"The policy '{word[:255]}' is not attached to the cluster '{call.word[:255]}'; attach it, or name another."
        )
    return found


def attach_inputs(connection: Connection, call: Call, row: Row[Any], data: PolicyAttach) -> dict[str, Any]:
    """Of the action that attaches a policy to the cluster of the row. Raises: BadRequest, MultipleChoices."""
    policy = policies.FINDER.refer(connection, data.policy_id, call.scope, "policy_id")
    return {"policy_id": policy.id, "enabled": data.enabled is not False}


def update_inputs(connection: Connection, call: Call, row: Row[Any], data: PolicyAttach) -> dict[str, Any]:
    enabled = {} if data.enabled is None else {"enabled": data.enabled}
    return {"policy_id": _bound(connection, call, row, data.policy_id), **enabled}


def detach_inputs(connection: Connection, call: Call, row: Row[Any], data: PolicyDetach) -> dict[str, Any]:
    return {"policy_id": _bound(connection, call, row, data.policy_id)}


def _bound(connection: Connection, call: Call, row: Row[Any], word: str) -> str:
    """The id of an attached policy. Raises: BadRequest, MultipleChoices."""
    policy = policies.FINDER.refer(connection, word, call.scope, "policy_id")
    if bindings.get(connection, row.id, policy.id) is None:
        raise BadRequest(
            f"policy_id: The policy '{word[:255]}' is not attached to the cluster '{row.name}'; attach it, or name another."
        )
    return str(policy.id)


async def let_balance(call: Call, words: Sequence[str], cluster: str | None = None) -> None:
    """Have the owner of the cluster let the service ask Octavia later, where one of the policies is about load balancing and
    there may be one. ``cluster`` None: the caller is making it. Nobody else's leave is asked for, since it is of no use.

    Raises: DelegationRefused; where nobody knows whether there is one, the engine tells instead."""
    deps = call.deps
    if deps.delegation is None or not call.caller.token or deps.balancer_kind == "haproxy":
        return
    owner = await deps.store.read(_balanced, call, words, cluster)
    if owner is None:
        return
    try:
        if (owner.user, owner.project) == (call.owner.user, call.owner.project):
            await deps.delegation.ensure(call.caller)
        elif not await deps.delegation.given(owner):
            raise DelegationRefused(
                f"policy_id: Octavia is asked in the name of the cluster's owner, user {owner.user}, who does not let the "
                f"service do that yet: have that user attach the policy."
            )
    except DelegationRefused:
        if deps.balancer_kind == "octavia":
            raise


def _balanced(connection: Connection, call: Call, words: Sequence[str], cluster: str | None) -> Owner | None:
    """Whose cluster one of the policies is to balance; None: none of them does."""
    row = None if cluster is None else clusters.FINDER.get(connection, cluster, call.scope)
    found = [policies.FINDER.refer(connection, word, call.scope, "policy_id") for word in words]
    if not any(one.type.startswith(f"{LOADBALANCE}-") for one in found):
        return None
    return call.owner if row is None else Owner(row.user, row.project, row.domain)


def attach_all(
    connection: Connection, call: Call, cluster: Cluster, profile: Row[Any], asked: Sequence[PolicyAttach]
) -> None:
    """To a cluster that is being made, at once. Raises: BadRequest, MultipleChoices."""
    target = attach_target(profile.type, profile.spec, cluster)
    others: list[Attached] = []
    for index, one in enumerate(asked):
        at = f"cluster.policies[{index}]"
        found = policies.FINDER.refer(connection, one.policy_id, call.scope, f"{at}.policy_id")
        held = policies.hold(connection, found.id)
        if held is None:  # it has gone in this very moment
            raise BadRequest(f"{at}.policy_id: The specified policy '{one.policy_id[:255]}' could not be found.")
        new = Attached(held.id, held.name, validate_spec(held.spec), one.enabled is not False)
        if any(other.policy_id == new.policy_id for other in others):
            raise BadRequest(f"{at}.policy_id: '{one.policy_id[:255]}' stands there twice; name each policy once.")
        fault = hindrance(new, target, others) or bindings.lacking(connection, call.owner.project, new)
        if fault is not None:
            raise BadRequest(f"{at}: {fault}.")
        bindings.attach(connection, cluster.id, new, call.deps.ids.new())
        others.append(new)
