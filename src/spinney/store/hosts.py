"""Hosts: rows beside the nodes they belong to, and what is reserved on them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import fields
from functools import lru_cache
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from spinney.domain.action import LIVE_STATUSES, ActionKind
from spinney.domain.alias import HostIdentity
from spinney.domain.host import Duty, HelperMode, Host, HostState
from spinney.errors import ResourceInUse
from spinney.profiles.docker_host import DOCKER_HOST, DockerHostProperties
from spinney.profiles.registry import validate_spec
from spinney.store.rows import PROFILES
from spinney.store.tables import action, image, node
from spinney.store.tables import host as table
from spinney.store.tables import profile as profile_table

_OF_NODE = ("name", "cluster_id", "project", "index")
_DESCRIPTION = ("credential", "zone", "region", "labels", "facts", "cpu", "memory", "given", "metrics_url")
_ENUMS: Mapping[str, type] = {"state": HostState, "duty": Duty, "helper": HelperMode}
_JSON = ("labels", "facts", "given")
_FIELDS = tuple(f.name for f in fields(Host))


def _column(name: str) -> sa.ColumnElement[Any]:
    column = (node if name in _OF_NODE else table).c[name]
    return sa.cast(column, sa.Text).label(name) if name in _JSON else column


_HOSTS = sa.select(*(_column(name) for name in _FIELDS)).join_from(table, node, table.c.node_id == node.c.id)


def find(connection: Connection, *where: sa.ColumnElement[bool]) -> list[Host]:
    """Hosts in the order of their names, then ids."""
    query = _HOSTS.where(*where).order_by(node.c.name, table.c.node_id)
    return [_host(tuple(row)) for row in connection.execute(query)]


@lru_cache(maxsize=16384)
def _host(row: tuple[Any, ...]) -> Host:
    """Read once, however often it is asked for: each placement looks at every host, and few have changed since the last."""
    values = dict(zip(_FIELDS, row, strict=True))
    read = {name: enum(values[name]) for name, enum in _ENUMS.items()}
    read |= {name: None if values[name] is None else orjson.loads(values[name]) for name in _JSON}
    return Host(**values | read)


def register(connection: Connection, host: Host) -> None:
    """Add the host row of a host node. Raises: ResourceInUse when the endpoint is registered already."""
    row = {c.name: getattr(host, c.name) for c in table.c}
    try:
        with connection.begin_nested():
            connection.execute(table.insert(), row)
    except IntegrityError as error:
        taken = connection.execute(sa.select(table.c.node_id).where(table.c.endpoint == host.endpoint)).scalar()
        if taken is None or taken == host.node_id:
            raise
        raise ResourceInUse(
            f"endpoint: {host.endpoint} is already registered as a host; give another endpoint, or remove that host first."
        ) from error


def describe(connection: Connection, host: Host) -> None:
    """Store what is known of the machine itself. Nothing that is counted or measured is touched."""
    values = {name: getattr(host, name) for name in _DESCRIPTION}
    connection.execute(table.update().where(table.c.node_id == host.node_id).values(values))


def namesake(connection: Connection, node_id: str, engine_id: str) -> str | None:
    """The name of another host whose Docker engine is the same; None: there is none."""
    other = sa.select(node.c.name).join_from(table, node, table.c.node_id == node.c.id)
    return connection.execute(other.where(node.c.physical_id == engine_id, node.c.id != node_id).limit(1)).scalar()


def free_machines(connection: Connection, profile_id: str) -> int | None:
    """How many machines of a profile new hosts could take now: those that are no hosts yet, less those that nodes being made
    will take. None: what is made from the profile needs no machine."""
    profile = PROFILES.one(connection, profile_table.c.id == profile_id)
    if profile is None or profile.type != DOCKER_HOST.name_version:
        return None
    properties = validate_spec(profile.spec).properties
    assert isinstance(properties, DockerHostProperties)
    endpoints = {machine.endpoint for machine in properties.machines()}
    taken = set(connection.execute(sa.select(table.c.endpoint)).scalars())
    joined = sa.exists().where(table.c.node_id == node.c.id)
    at_work = sa.exists().where(
        action.c.target == node.c.id,
        action.c.action.in_([ActionKind.NODE_CREATE.value, ActionKind.NODE_RECOVER.value]),
        action.c.status.in_([status.value for status in LIVE_STATUSES]),
    )
    coming = sa.select(sa.func.count()).select_from(node).where(node.c.profile_id == profile_id, ~joined, at_work)
    return max(len(endpoints - taken) - connection.execute(coming).scalar_one(), 0)


def identities(connection: Connection, ids: Collection[str]) -> dict[str, HostIdentity]:
    """By id: what has to be known of hosts to call them by something."""
    if not ids:
        return {}
    rows = connection.execute(sa.select(node.c.id, node.c.name, node.c.project, node.c.index).where(node.c.id.in_(ids)))
    return {row.id: HostIdentity(*row) for row in rows}


def remove(connection: Connection, node_id: str) -> None:
    connection.execute(table.delete().where(table.c.node_id == node_id))
    connection.execute(image.delete().where(image.c.host_id == node_id))
