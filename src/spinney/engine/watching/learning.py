"""What hosts say about themselves, and what their profiles say about them: kept in the host's row, changes told as events.

Guaranteed: a capacity that the profile gives is never replaced by what the machine has; a Docker engine that is a host already
is never taken for a second one.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain import event as events
from spinney.domain import host_facts
from spinney.domain.container import HostFacts
from spinney.domain.event import Event, Level
from spinney.domain.host import Host
from spinney.domain.identity import Owner
from spinney.domain.node import Node
from spinney.drivers.base import ContainerObserver
from spinney.engine.catalog import Catalog, HostProfile
from spinney.errors import HostRefused
from spinney.profiles.docker_host import described, measured
from spinney.store import hosts
from spinney.store.rows import EVENTS, NODES
from spinney.store.tables import host as host_table
from spinney.store.tables import node as table

_REPLACED = (
    "another Docker engine answers at this host's endpoint than before: the machine was replaced, or its Docker engine lost "
    "its state; its containers are gone from here"
)


async def ask(docker: ContainerObserver, host: Host) -> HostFacts:
    """The facts of a host that is known already. Podman's Docker API gives itself another id each time it is asked: an id that
    does not last is no sign of another machine, so the host keeps the one it has."""
    facts = await docker.facts()
    known = host.facts.get("engine_id")
    if known and facts.engine_id != known and (await docker.facts()).engine_id != facts.engine_id:
        return replace(facts, engine_id=known)
    return facts


def refuse_namesake(connection: Connection, node_id: str, engine_id: str) -> None:
    """One Docker engine under two hosts would have each remove the other's containers. Raises: HostRefused."""
    other = hosts.namesake(connection, node_id, engine_id)
    if other is not None:
        raise HostRefused(
            f"its endpoint leads to the Docker engine of host {other}, which is registered already; one Docker engine is one "
            f"host: correct the endpoint, or remove one of the two"
        )


def learn(connection: Connection, catalog: Catalog, host_id: str, facts: HostFacts, ids: Ids, now: float) -> str:
    """Store a host's facts; returns a sentence about what changed, or "". Raises: HostRefused."""
    found = hosts.find(connection, host_table.c.node_id == host_id)
    node = NODES.one(connection, table.c.id == host_id)
    if not found or node is None:
        return ""
    refuse_namesake(connection, host_id, facts.engine_id)
    before = found[0]
    after = _known(connection, catalog, node, before, facts)
    if before.facts == after.facts and before == after:
        return ""
    hosts.describe(connection, after)
    if host_facts.replaced(before.facts, after.facts):
        told = _REPLACED
        connection.execute(host_table.update().where(host_table.c.node_id == host_id).values(state_reason=told))
        changed = table.update().where(table.c.id == host_id)
        connection.execute(changed.values(physical_id=facts.engine_id, status_reason=told))
        EVENTS.insert(connection, [_event(node, "HOST_REPLACED", Level.WARN, told, {}, ids, now)])
        return told
    changes = host_facts.changes(before.facts, after.facts)
    if not changes:
        return ""
    told = "; ".join([*(str(change) for change in changes), *filter(None, [host_facts.overfull(after)])])
    data = {change.what: [change.was, change.now] for change in changes}
    EVENTS.insert(connection, [_event(node, "HOST_CHANGED", Level.INFO, told, {"changes": data}, ids, now)])
    return told


def _known(connection: Connection, catalog: Catalog, node: Node, host: Host, facts: HostFacts) -> Host:
    """By its profile, where that still lists the machine; else by what the row holds."""
    profile = catalog.load(connection, [node.profile_id]).get(node.profile_id)
    machine = profile.properties.machine(host.endpoint) if isinstance(profile, HostProfile) else None
    return measured(host, facts) if machine is None else described(host, machine, facts)


def _event(node: Node, kind: str, level: Level, reason: str, data: dict[str, object], ids: Ids, now: float) -> Event:
    return events.of_node(
        Owner(node.user, node.project, node.domain),
        node_id=node.id,
        node_name=node.name,
        cluster_id=node.cluster_id,
        kind=kind,
        level=level,
        reason=reason,
        event_id=ids.new(),
        now=now,
        data=data,
    )
