"""Adopting: making a node of something that exists already. Only Docker engines can be adopted so far.

Guaranteed: the Docker engine answered before anything is stored; profile, node and host appear in one transaction.
"""

from __future__ import annotations

import string
from dataclasses import dataclass

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy import Connection, Row

from spinney.api import views
from spinney.api.profiles import check_credentials
from spinney.api.values import Bool, Name, Object, Request, String, Word
from spinney.api.wire import Call, Reply, json_reply
from spinney.domain.container import HostFacts
from spinney.domain.host import Host
from spinney.domain.node import Node, NodeStatus
from spinney.domain.profile import Profile
from spinney.domain.quota import NODES
from spinney.drivers.base import HostAddress
from spinney.errors import BadRequest, HostError, HTTPBadRequest, ProfileOperationFailed, ResourceInUse
from spinney.profiles import registry
from spinney.profiles.docker_host import DOCKER_HOST, DockerHostProperties, Machine, host_of
from spinney.store import hosts, nodes, profiles, quotas, tables


class NodePreview(Request):
    identity: String = Field(description="The endpoint: unix://…, tcp://address:port or ssh://user@address.")
    type: String = Field(description="host.docker-1.0 can be adopted.")
    overrides: Object | None = Field(None, description="Other properties of that profile type.")
    snapshot: Bool | None = Field(None, description="Refused if true.")


class NodeAdopt(NodePreview):
    name: Name | None = Field(None, description="Given none, one is drawn.")
    role: Word | None = None
    metadata: Object | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A machine that answered, and the specification it is known by from now on."""

    spec: dict[str, object]
    machine: Machine
    facts: HostFacts


async def preview(call: Call) -> Reply:
    found = await _find(call, call.data(NodePreview))
    return json_reply({"node_profile": {"node_preview": found.spec}})


async def adopt(call: Call) -> Reply:
    data = call.data(NodeAdopt)
    found = await _find(call, data)
    ids, owner = call.deps.ids, call.owner
    node_id, profile_id = ids.new(), ids.new()
    name = data.name or "node-" + ids.token(8, string.ascii_letters + string.digits)
    profile = Profile(
        id=profile_id,
        name=f"prof-{name}"[:255],
        type=DOCKER_HOST.name_version,
        spec=found.spec,
        metadata={},
        user=owner.user,
        project=owner.project,
        domain=owner.domain,
        created_at=call.now,
    )
    node = Node(
        id=node_id,
        name=name,
        profile_id=profile_id,
        role=data.role or "",
        status=NodeStatus.ACTIVE,
        status_reason="Adopted",
        physical_id=found.facts.engine_id,
        metadata=data.metadata or {},
        user=owner.user,
        project=owner.project,
        domain=owner.domain,
        init_at=call.now,
        created_at=call.now,
        ready=True,
        ready_at=call.now,
    )
    row = await call.deps.store.transact(
        _insert, call, profile, node, host_of(node, found.machine, found.facts, call.now)
    )
    call.deps.ring()
    return json_reply({"node": views.node(row, tainted=call.since(13), operator=call.caller.is_admin)})


async def _find(call: Call, data: NodePreview) -> Found:
    if data.type not in registry.PROFILE_TYPES:
        raise BadRequest(f"type: The specified profile_type '{data.type[:255]}' could not be found.")
    if data.type != DOCKER_HOST.name_version:
        raise BadRequest(f"type: nothing of type {data.type} can be adopted; {DOCKER_HOST.name_version} can.")
    call.require("hosts:register")
    if data.snapshot:
        raise HTTPBadRequest("snapshot: a machine with a Docker engine has no snapshots; leave it out.")
    overrides = dict(data.overrides or {})
    for key in ("endpoint", "inventory"):
        if key in overrides:
            raise HTTPBadRequest(f"overrides.{key}: identity is the endpoint; leave this out.")
    properties = {key: value for key, value in overrides.items() if value is not None} | {"endpoint": data.identity}
    spec = {"type": DOCKER_HOST.name, "version": DOCKER_HOST.version, "properties": properties}
    profile = registry.validate_spec(spec)
    check_credentials(call, profile)
    validated = profile.properties
    assert isinstance(validated, DockerHostProperties)
    machine = validated.machines()[0]
    try:
        facts = await call.deps.access.probe(HostAddress(machine.endpoint, machine.credential))
    except HostError as error:
        raise ProfileOperationFailed(
            f"The Docker engine at {machine.endpoint} cannot be adopted: {error.message}"
        ) from error
    return Found({**spec, "properties": validated.given()}, machine, facts)


def _insert(connection: Connection, call: Call, profile: Profile, node: Node, host: Host) -> Row[object]:
    known = connection.execute(
        sa.select(tables.node.c.name, tables.host.c.endpoint)
        .join_from(tables.host, tables.node, tables.host.c.node_id == tables.node.c.id)
        .where(tables.node.c.physical_id == node.physical_id)
    ).first()
    if known is not None:
        raise ResourceInUse(
            f"identity: the Docker engine at {host.endpoint} is registered already, through {known.endpoint}; one engine is "
            f"one host: use that one, or remove it first."
        )
    twin = connection.execute(
        sa.select(tables.host.c.endpoint)
        .join_from(tables.host, tables.node, tables.host.c.node_id == tables.node.c.id)
        .where(tables.node.c.project == node.project, tables.node.c.name == node.name)
    ).first()
    if twin is not None:
        raise ResourceInUse(
            f"name: the host at {twin.endpoint} is called '{node.name}' already, and commands and policies name hosts; give "
            f"this one another name."
        )
    quotas.reserve(connection, node.project, {NODES: 1}, call.deps.allowed.limits)
    profiles.insert(connection, profile, {})
    nodes.insert(connection, node)
    hosts.register(connection, host)
    return nodes.FINDER.get(connection, node.id, call.scope)
