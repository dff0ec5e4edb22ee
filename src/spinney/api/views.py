"""Rows as the wire shows them. Every key is always there unless the request's version leaves it out.

Rows are turned into dictionaries whole: asking a row for one column by name costs as much as that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Row

from spinney.domain.action import FINAL_STATUSES
from spinney.domain.alias import Called, HostIdentity, called
from spinney.domain.event import Level
from spinney.domain.host import HostState
from spinney.domain.node import PowerState
from spinney.domain.policy import Policy
from spinney.domain.profile import Profile
from spinney.store import bindings, clusters, nodes
from spinney.store.clusters import MemberCount
from spinney.store.dependents import Dependents
from spinney.store.rows import ACTIONS, EVENTS, POLICIES, PROFILES

_SILENT = (HostState.SUSPECT, HostState.LOST)
_FINAL = frozenset(status.value for status in FINAL_STATUSES)
_LEVELS = {level.value: level.label for level in Level}


def when(moment: float | None) -> str | None:
    return None if moment is None else _stamp(int(moment))


@lru_cache(maxsize=8192)
def _stamp(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def profile(found: Row[Any]) -> dict[str, Any]:
    return _profile(dict(zip(PROFILES.names, found, strict=True)))


def new_profile(made: Profile) -> dict[str, Any]:
    return _profile(PROFILES.row(made))


def _profile(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "created_at": when(row["created_at"]),
        "domain": row["domain"],
        "id": row["id"],
        "metadata": row["metadata"],
        "name": row["name"],
        "project": row["project"],
        "spec": row["spec"],
        "type": row["type"],
        "updated_at": when(row["updated_at"]),
        "user": row["user"],
    }


def policy(found: Row[Any]) -> dict[str, Any]:
    return _policy(dict(zip(POLICIES.names, found, strict=True)))


def new_policy(made: Policy) -> dict[str, Any]:
    return _policy(POLICIES.row(made))


def _policy(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "created_at": when(row["created_at"]), "updated_at": when(row["updated_at"])}


def binding(found: Row[Any]) -> dict[str, Any]:
    """A row of ``store.bindings.VIEW``."""
    row = dict(zip(bindings.COLUMNS, found, strict=True))
    return {**row, "last_op": when(row["last_op"])}


def cluster(
    found: Row[Any],
    members: list[str],
    dependents: Dependents | None,
    count: MemberCount | None = None,
    policies: Sequence[str] = (),
) -> dict[str, Any]:
    """A row of ``store.clusters.VIEW``; ``count``: given when the request speaks a version that has it."""
    row = dict(zip(clusters.COLUMNS, found, strict=True))
    view = {
        "config": row["config"],
        "created_at": when(row["created_at"]),
        "data": row["data"],
        "dependents": {} if dependents is None else dependents.view(),
        "desired_capacity": row["desired_capacity"],
        "domain": row["domain"],
        "id": row["id"],
        "init_at": when(row["init_at"]),
        "max_size": row["max_size"],
        "metadata": row["metadata"],
        "min_size": row["min_size"],
        "name": row["name"],
        "nodes": members,
        "policies": list(policies),
        "profile_id": row["profile_id"],
        "profile_name": row["profile_name"] or "Unknown",
        "project": row["project"],
        "status": row["status"],
        "status_reason": row["status_reason"],
        "timeout": row["timeout"],
        "updated_at": when(row["updated_at"]),
        "user": row["user"],
    }
    if count is not None:
        view["members"] = {"active": count.active, "ready": count.ready, "total": count.total}
        view["revision"] = row["revision"]
    return view


def node(found: Row[Any], *, tainted: bool, operator: bool, dependents: Dependents | None = None) -> dict[str, Any]:
    """A row of ``store.nodes.VIEW``; ``tainted``: whether the request's version has that key; ``operator``: who may know the
    hosts of others."""
    row = dict(zip(nodes.COLUMNS, found, strict=True))
    view = {
        "cluster_id": row["cluster_id"],
        "created_at": when(row["created_at"]),
        "data": _node_data(row, operator),
        "dependents": {} if dependents is None else dependents.view(),
        "domain": row["domain"],
        "id": row["id"],
        "index": row["index"],
        "init_at": when(row["init_at"]),
        "metadata": row["metadata"],
        "name": row["name"],
        "physical_id": row["physical_id"],
        "profile_id": row["profile_id"],
        "profile_name": row["profile_name"] or "Unknown",
        "project": row["project"],
        "role": row["role"],
        "status": row["status"],
        "status_reason": row["status_reason"],
        "updated_at": when(row["updated_at"]),
        "user": row["user"],
    }
    if tainted:
        view["tainted"] = row["tainted"]
    return view


def _node_data(row: Mapping[str, Any], operator: bool) -> Any:
    """What is stored, with the placement in brief, whether it is ready, and the power state if it is not running."""
    data = row["data"]
    if row["power"] != PowerState.RUNNING:
        data = {**data, "power": row["power"]}
    if row["host_id"] is None:
        return data
    host = _host(row, operator)
    return {
        **data,
        "placement": {
            "host_id": host.id,
            "host_name": host.name,
            "generation": row["generation"],
            "decided_at": when(row["placed_at"]),
        },
        "readiness": _readiness(row),
    }


def _readiness(row: Mapping[str, Any]) -> dict[str, Any]:
    reason = row["ready_reason"]
    if row["ready"] and row["host_state"] in _SILENT:
        reason = "Its host does not answer: this is what was known last."
    elif not row["ready"] and not reason:
        reason = "It has no container yet."
    return {"ready": row["ready"], "since": when(row["ready_at"]), "reason": reason}


def host_of(found: Row[Any], *, operator: bool) -> Called | None:
    """What the host of a row of ``store.nodes.VIEW`` is called; None: it is on none."""
    row = dict(zip(nodes.COLUMNS, found, strict=True))
    return None if row["host_id"] is None else _host(row, operator)


def _host(row: Mapping[str, Any], operator: bool) -> Called:
    """To the node's own project a host of others has no name but an alias."""
    host_id, project = row["host_id"], row["project"]
    host = HostIdentity(host_id, row["host_name"] or host_id, row["host_project"] or project, row["host_index"] or 0)
    return called(host, project, operator=operator)


#: Ids of hosts that an engine has to remember about an action; they may be somebody else's.
_HOSTS_OF_ACTIONS = frozenset({"previous_host", "to", "exclude", "moves"})


def _without_hosts(values: Mapping[str, Any]) -> Mapping[str, Any]:
    if _HOSTS_OF_ACTIONS.isdisjoint(values):
        return values
    return {key: value for key, value in values.items() if key not in _HOSTS_OF_ACTIONS}


def action(found: Row[Any], children: list[str], *, cluster_id: bool) -> dict[str, Any]:
    """``children``: the live ones; ``cluster_id``: whether the request's version has that key."""
    row = dict(zip(ACTIONS.names, found, strict=True))
    final = row["status"] in _FINAL
    view = {
        "action": row["action"],
        "cause": row["cause"],
        "created_at": when(row["created_at"]),
        "data": _without_hosts(row["data"]),
        "depended_by": [row["parent_id"]] if row["parent_id"] is not None and not final else [],
        "depends_on": children,
        "end_time": row["end_time"],
        "id": row["id"],
        "inputs": _without_hosts(row["inputs"]),
        "interval": -1,
        "name": row["name"],
        "outputs": row["outputs"],
        "owner": row["owner"],
        "project": row["project"],
        "start_time": row["start_time"],
        "status": row["status"],
        "status_reason": row["status_reason"],
        "target": row["target"],
        "timeout": row["timeout"],
        "updated_at": when(row["updated_at"]),
        "user": row["user"],
    }
    if cluster_id:
        view["cluster_id"] = row["cluster_id"]
    return view


def event(found: Row[Any]) -> dict[str, Any]:
    row = dict(zip(EVENTS.names, found, strict=True))
    return {
        "action": row["action"],
        "cluster_id": row["cluster_id"],
        "id": row["id"],
        "level": _LEVELS.get(row["level"], str(row["level"])),
        "meta_data": row["meta_data"],
        "oid": row["oid"],
        "oname": row["oname"],
        "otype": row["otype"],
        "project": row["project"],
        "status": row["status"],
        "status_reason": row["status_reason"],
        "timestamp": when(row["timestamp"]),
        "user": row["user"],
    }
