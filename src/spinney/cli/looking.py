"""Looking at the service for ``waiting``: the action first, then the object, then its members.

In that order what is seen of the objects is never older than what is seen of the action, so a final action is judged by
what it left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spinney.cli.faults import Refused
from spinney.cli.transport import Service
from spinney.cli.waiting import Scene

LIVE_ACTIONS = ["INIT", "READY", "RUNNING", "WAITING", "WAITING_LIFECYCLE_COMPLETION"]


def found(service: Service, *path: str) -> Any | None:
    """The object inside its envelope, or None when there is none."""
    try:
        return unwrapped(service.get(*path))
    except Refused as error:
        if error.status == 404:
            return None
        raise


def unwrapped(value: Any) -> Any:
    """Replies hold their object under one key."""
    return next(iter(value.values())) if isinstance(value, dict) and len(value) == 1 else value


def members_of(service: Service, cluster_id: str) -> list[Any]:
    try:
        return list(service.get("nodes", query={"cluster_id": cluster_id})["nodes"])
    except Refused as error:
        if error.status in (400, 404):  # the cluster went between two looks
            return []
        raise


def at_cluster(service: Service, cluster_id: str, action_id: str | None) -> Callable[[], Scene]:
    def look() -> Scene:
        action = found(service, "actions", action_id) if action_id else None
        cluster = found(service, "clusters", cluster_id)
        return Scene(cluster, members_of(service, cluster_id) if cluster else (), action)

    return look


def at_node(service: Service, node_id: str, action_id: str | None) -> Callable[[], Scene]:
    def look() -> Scene:
        action = found(service, "actions", action_id) if action_id else None
        return Scene(found(service, "nodes", node_id), (), action)

    return look


def at_host(service: Service, host_id: str) -> Callable[[], Scene]:
    return lambda: Scene(found(service, "hosts", host_id))


def at_binding(service: Service, cluster_id: str, policy_id: str, action_id: str) -> Callable[[], Scene]:
    """A policy attached to a cluster, or None while it is not."""

    def look() -> Scene:
        action = found(service, "actions", action_id)
        return Scene(found(service, "clusters", cluster_id, "policies", policy_id), (), action)

    return look


def at_work_on(service: Service, cluster_id: str) -> Callable[[], Scene]:
    """A cluster nobody asked us to change; ``action`` is whichever works on it."""

    def look() -> Scene:
        query = {"cluster_id": cluster_id, "status": LIVE_ACTIONS, "limit": "1"}
        live = service.get("actions", query=query)["actions"]
        cluster = found(service, "clusters", cluster_id)
        return Scene(cluster, members_of(service, cluster_id) if cluster else (), live[0] if live else None)

    return look
