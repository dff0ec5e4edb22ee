"""Who may join and leave a cluster.

What is checked here is checked again by the engine when it carries the action out: between the two much may happen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row

from spinney.api.clusters import check_unused
from spinney.api.wire import Call
from spinney.domain.node import NodeStatus
from spinney.errors import BadRequest
from spinney.store import nodes


def to_join(connection: Connection, call: Call, cluster: Row[Any], words: Sequence[str]) -> list[str]:
    """The ids of orphans that may join. Raises: BadRequest naming all faults of all of them, MultipleChoices."""
    found = nodes.FINDER.find_many(connection, words, call.scope)
    faults = _absent(words, found)
    for node in found.values():
        faults += _unfit(node, cluster)
    if faults:
        raise BadRequest(f"nodes: {'; '.join(faults)}.")
    return _ids(words, found)


def to_leave(connection: Connection, call: Call, cluster: Row[Any], words: Sequence[str]) -> list[str]:
    """The ids of members. Raises: BadRequest, MultipleChoices; ResourceInUse for hosts in use."""
    found = nodes.FINDER.find_many(connection, words, call.scope)
    faults = _absent(words, found) + [
        _stranger(node, cluster) for node in found.values() if node.cluster_id != cluster.id
    ]
    if faults:
        raise BadRequest(f"nodes: {'; '.join(faults)}.")
    hosts = [node.id for node in found.values() if node.as_host is not None]
    if hosts:
        check_unused(connection, call, f"A host of the cluster '{cluster.name}'", hosts)
    return _ids(words, found)


def to_replace(connection: Connection, call: Call, cluster: Row[Any], pairs: dict[str, str]) -> dict[str, str]:
    """The ids of members, each with that of the orphan which replaces it. Raises as ``to_join`` and ``to_leave``."""
    leaving = to_leave(connection, call, cluster, list(pairs))
    joining = to_join(connection, call, cluster, list(pairs.values()))
    if len(leaving) < len(pairs) or len(joining) < len(pairs):
        raise BadRequest("nodes: the same node is named twice; name each once.")
    return dict(zip(leaving, joining, strict=True))


def _absent(words: Sequence[str], found: dict[str, Row[Any]]) -> list[str]:
    absent = [word[:255] for word in words if word not in found]
    return [f"The specified nodes could not be found: {', '.join(absent)}"] if absent else []


def _stranger(node: Row[Any], cluster: Row[Any]) -> str:
    return f"'{node.name}' ({node.id}) is not a member of the cluster '{cluster.name}'"


def _unfit(node: Row[Any], cluster: Row[Any]) -> list[str]:
    faults = []
    if node.status != NodeStatus.ACTIVE:
        faults.append(f"'{node.name}' ({node.id}) is {node.status} and has to be ACTIVE")
    if node.cluster_id:
        where = "this" if node.cluster_id == cluster.id else "another"
        faults.append(f"'{node.name}' ({node.id}) is a member of {where} cluster already")
    if node.profile_type != cluster.profile_type:
        faults.append(
            f"'{node.name}' ({node.id}) is of type {node.profile_type}, the cluster's nodes are of {cluster.profile_type}"
        )
    return faults


def _ids(words: Sequence[str], found: dict[str, Row[Any]]) -> list[str]:
    return list(dict.fromkeys(found[word].id for word in words))
