"""Looking into containers through their hosts: details and samples.

Guaranteed: a host that does not answer makes what is asked about it unknown, never wrong, and nothing else fail.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row

from spinney.api import views
from spinney.api.wire import Call, Reply, json_reply
from spinney.clock import iso
from spinney.domain import jsonpath
from spinney.domain.container import Container, ContainerState, ContainerStats
from spinney.domain.node import NodeStatus, PowerState
from spinney.errors import Conflict, HostError, HTTPBadRequest
from spinney.store import clusters, hosts, nodes, tables

#: Hosts asked at a time for one request.
CONCURRENCY = 32


async def node_details(call: Call, row: Row[Any]) -> dict[str, Any]:
    """The ``details`` of a node that has a physical object."""
    if row.as_host is not None:
        return await call.deps.store.read(_host_details, row.id)
    if row.host_id is None:
        return {"status": row.status}
    try:
        container = await call.deps.access.inspect(row.host_id, row.physical_id)
    except HostError as error:
        return {**_unknown(call, row), "error": error.message}
    if container is None:
        return {**_unknown(call, row), "status": "ERROR", "error": "The host has no such container."}
    return {**_container_details(row, container), "host": _host(call, row)}


def _host(call: Call, row: Row[Any]) -> str | None:
    host = views.host_of(row, operator=call.caller.is_admin)
    return None if host is None else host.name


def _unknown(call: Call, row: Row[Any]) -> dict[str, Any]:
    container = {"id": row.physical_id, "state": None, "health": None, "exit_code": None}
    return {"status": row.status, "host": _host(call, row), "container": container, "addresses": {}, "ports": []}


def _container_details(row: Row[Any], found: Container) -> dict[str, Any]:
    addresses: dict[str, list[dict[str, Any]]] = {}
    for address in found.addresses:
        entry = {"addr": address.addr, "version": address.version, "OS-EXT-IPS:type": "fixed"}
        addresses.setdefault(address.network, []).append(entry)
    return {
        "addresses": addresses,
        "container": {
            "error": found.error,
            "exit_code": found.exit_code,
            "finished_at": iso(found.finished_at),
            "health": found.health,
            "id": found.id,
            "image": found.image,
            "name": found.name,
            "oom_killed": found.oom_killed,
            "restart_count": found.restart_count,
            "started_at": iso(found.started_at),
            "state": found.state.value,
        },
        "host": row.host_name,
        "name": found.name,
        "ports": [
            {
                "container_port": port.container_port,
                "host_ip": port.host_ip,
                "host_port": port.host_port,
                "protocol": port.protocol,
            }
            for port in found.ports
        ],
        "status": _status(row.status, row.power, found),
    }


def _status(recorded: str, power: str, found: Container) -> str:
    """The container's state in the words of nodes: as recorded while work goes on, else whether it is as wanted."""
    if recorded not in (NodeStatus.ACTIVE, NodeStatus.ERROR, NodeStatus.WARNING):
        return recorded
    if power == PowerState.RUNNING and found.health == "unhealthy":  # Docker calls every container it stops unhealthy
        return NodeStatus.ERROR.value
    as_wanted = {
        PowerState.RUNNING: found.state is ContainerState.RUNNING,
        PowerState.PAUSED: found.state is ContainerState.PAUSED,
        PowerState.STOPPED: found.state in (ContainerState.EXITED, ContainerState.CREATED),
    }
    return (NodeStatus.ACTIVE if as_wanted[PowerState(power)] else NodeStatus.ERROR).value


def _host_details(connection: Connection, node_id: str) -> dict[str, Any]:
    found = hosts.find(connection, tables.host.c.node_id == node_id)
    if not found:
        return {}
    host = found[0]
    status = "ACTIVE" if host.state.value in ("ready", "cordoned", "draining") else "ERROR"
    keys = ("version", "api_version", "os", "arch", "kernel", "hostname", "cpu", "memory", "storage_driver")
    return {"status": status, "state": host.state.value, "engine": {key: host.facts.get(key) for key in keys}}


def require_container(row: Row[Any]) -> tuple[str, str]:
    """Host id and container id of a node. Raises: Conflict when there is no container to look into."""
    if row.as_host is not None or row.host_id is None or row.physical_id is None:
        raise Conflict(
            f"The node '{row.name}' has no container to look into; it is {row.status}: {row.status_reason.rstrip('.')}."
        )
    return row.host_id, row.physical_id


async def node_stats(call: Call) -> Reply:
    row = await call.deps.store.read(nodes.FINDER.get, call.word, call.scope)
    host_id, container_id = require_container(row)
    return json_reply({"stats": _stats(row, await call.deps.access.stats(host_id, container_id))})


async def cluster_stats(call: Call) -> Reply:
    rows = await call.deps.store.read(members, call)
    gate = asyncio.Semaphore(CONCURRENCY)

    async def sample(row: Row[Any]) -> dict[str, Any]:
        async with gate:
            try:
                host_id, container_id = require_container(row)
                return _stats(row, await call.deps.access.stats(host_id, container_id))
            except (HostError, Conflict) as error:
                return {**_stats(row, ContainerStats()), "error": error.message}

    return json_reply({"stats": await asyncio.gather(*(sample(row) for row in rows))})


def members(connection: Connection, call: Call) -> list[Row[Any]]:
    """The member rows of the cluster that the path names."""
    cluster = clusters.FINDER.get(connection, call.word, call.scope)
    return list(nodes.members(connection, cluster.id))


async def attributes(call: Call) -> Reply:
    """One value of each member, found by a path."""
    path = call.words[1]
    if path == "None":
        raise HTTPBadRequest("path: None is no path; give one such as details.status.")
    try:
        steps = jsonpath.parse(path)
    except ValueError as error:
        raise HTTPBadRequest(f"path: '{path[:80]}' is not allowed: {error}.") from error
    rows = await call.deps.store.read(members, call)
    gate = asyncio.Semaphore(CONCURRENCY)

    async def look(row: Row[Any]) -> list[dict[str, Any]]:
        view = views.node(row, tainted=call.since(13), operator=call.caller.is_admin)
        if "details" in path and row.physical_id is not None:
            async with gate:
                view["details"] = await node_details(call, row)
        return [{"id": row.id, "value": value} for value in jsonpath.matches(view, steps)][:1]

    found = await asyncio.gather(*(look(row) for row in rows))
    return json_reply({"cluster_attributes": [item for items in found for item in items]})


def _stats(row: Row[Any], sample: ContainerStats) -> dict[str, Any]:
    return {**asdict(sample), "sampled_at": views.when(sample.sampled_at), "node_id": row.id, "node_name": row.name}
