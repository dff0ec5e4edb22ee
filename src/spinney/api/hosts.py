"""Hosts: what runs containers, as Spinney knows it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.api import views
from spinney.api.reading import one_of, read_list
from spinney.api.wire import Call, Filter, ListSpec, Reply, json_reply
from spinney.domain.host import Host, HostState
from spinney.domain.host_facts import overfull
from spinney.domain.utilization import known_use
from spinney.errors import ResourceNotFound
from spinney.store import clusters, dependents, hosts, nodes, tables
from spinney.store.listing import ListQuery, SortKey

#: What is shown of the Docker engine's facts. Its id and its machine's name are nobody's business.
_ENGINE = (
    "version",
    "api_version",
    "os",
    "arch",
    "kernel",
    "rootless",
    "live_restore",
    "storage_driver",
    "cgroup",
    "cgroup_driver",
    "runtimes",
    "network_plugins",
    "volume_plugins",
    "gpus",
    "labels",
)


def _label(text: str) -> tuple[str, str | None]:
    """``key=value``, or ``key`` for any value."""
    key, equals, value = text.partition("=")
    if not key:
        raise ValueError("a label as key or key=value")
    return key, value if equals else None


LIST = ListSpec(
    {
        "cluster_id": Filter("cluster_id"),
        "state": Filter("state", one_of(HostState)),
        "zone": Filter("zone"),
        "region": Filter("region"),
        "label": Filter("label", _label),
        "name": Filter("name"),
    },
    ("name", "state", "zone", "region"),
    "name",
)


async def index(call: Call) -> Reply:
    return json_reply({"hosts": await call.deps.store.read(_index, call, read_list(call))})


def _index(connection: Connection, call: Call, query: ListQuery) -> list[dict[str, Any]]:
    where = [] if query.project is None else [tables.node.c.project == query.project]
    for name, values in query.filters.items():
        if name == "cluster_id":
            values = [clusters.FINDER.refer(connection, word, call.scope, "cluster_id").id for word in values]
        if name != "label":
            table = tables.node if name in ("cluster_id", "name") else tables.host
            where.append(table.c[name].in_(values))
    found = [host for host in hosts.find(connection, *where) if _labelled(host, query.filters.get("label", ()))]
    page = _page(found, query)
    return [view(host, operator=call.caller.is_admin, now=call.deps.clock.now()) for host in page]


def _labelled(host: Host, wanted: Any) -> bool:
    return all(key in host.labels and value in (None, host.labels[key]) for key, value in wanted)


def _page(found: list[Host], query: ListQuery) -> list[Host]:
    for key in reversed([*query.sort, SortKey("node_id")]):
        found = _sorted(found, key)
    ids = [host.node_id for host in found]
    if query.marker in ids:
        found = found[ids.index(query.marker) + 1 :]
    return found if query.limit is None else found[: query.limit]


def _sorted(found: list[Host], key: SortKey) -> list[Host]:
    """Nothing comes before anything."""

    def value(host: Host) -> tuple[bool, str]:
        field = getattr(host, key.name)
        return (field is not None, str(field))

    return sorted(found, key=value, reverse=key.descending)


async def get(call: Call) -> Reply:
    return json_reply({"host": await call.deps.store.read(_get, call)})


def _get(connection: Connection, call: Call) -> dict[str, Any]:
    row = nodes.FINDER.find(connection, call.word, call.scope)
    found = [] if row is None else hosts.find(connection, tables.host.c.node_id == row.id)
    if not found:
        raise ResourceNotFound(f"The host '{call.word[:255]}' could not be found.")
    shown = view(found[0], operator=call.caller.is_admin, now=call.deps.clock.now())
    return shown | _users(connection, found[0].node_id, call.owner.project)


def _users(connection: Connection, host_id: str, project: str) -> dict[str, Any]:
    """What of the caller's own is on the host, and which profiles name it."""
    node = tables.node
    on_it = sa.select(node.c.id, node.c.name, node.c.status).where(node.c.host_id == host_id, node.c.project == project)
    placed = connection.execute(on_it.order_by(node.c.name, node.c.id))
    naming = dependents.of(connection, [host_id], project).get(host_id, dependents.Dependents()).profiles
    return {
        "nodes": [{"id": key, "name": name, "status": status} for key, name, status in placed],
        "profiles": [{"id": key, "name": name} for key, name in naming.named.items()],
    }


def view(host: Host, *, operator: bool, now: float) -> dict[str, Any]:
    """What was measured too long ago is shown as unknown, with its age."""
    use = known_use(host, now)
    shown: dict[str, Any] = {
        "capacity": {"cpu": host.cpu, "memory": host.memory, "disk": host.disk},
        "cluster_id": host.cluster_id,
        "containers": host.containers,
        "engine": {key: host.facts.get(key) for key in _ENGINE},
        "helper": host.helper.value,
        "id": host.node_id,
        "labels": host.labels,
        "name": host.name,
        "region": host.region,
        "reserved": {"cpu": host.reserved_cpu, "memory": host.reserved_memory, "disk": None},
        "seen_at": views.when(host.seen_at),
        "state": host.state.value,
        "state_reason": host.state_reason or overfull(host),
        "used": {
            "cpu": None if use is None else use.cpu,
            "memory": None if use is None else use.memory,
            "disk": None if use is None else use.disk,
            "sampled_at": views.when(host.sampled_at),
        },
        "zone": host.zone,
    }
    if operator:
        shown["endpoint"] = host.endpoint
    return shown
