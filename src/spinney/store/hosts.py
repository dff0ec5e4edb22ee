"""Hosts: rows beside the nodes they belong to, and what is reserved on them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row
from sqlalchemy.exc import IntegrityError

from spinney.domain.container import HostFacts
from spinney.domain.host import Duty, HelperMode, Host, HostState
from spinney.errors import ResourceInUse
from spinney.store.tables import host as table
from spinney.store.tables import node

_OF_NODE = ("name", "cluster_id", "project")
_COLUMNS = [(node if f.name in _OF_NODE else table).c[f.name] for f in fields(Host)]
_ENUMS: Mapping[str, type] = {"state": HostState, "duty": Duty, "helper": HelperMode}


def select_hosts() -> sa.Select[Any]:
    """All columns of ``Host``, for further conditions; ``value`` reads its rows."""
    return sa.select(*_COLUMNS).join_from(table, node, table.c.node_id == node.c.id)


def value(row: Row[Any]) -> Host:
    values = row._asdict()
    return Host(**values | {name: enum(values[name]) for name, enum in _ENUMS.items()})


def find(connection: Connection, *where: sa.ColumnElement[bool]) -> list[Host]:
    """Hosts in the order of their names, then ids."""
    query = select_hosts().where(*where).order_by(node.c.name, table.c.node_id)
    return [value(row) for row in connection.execute(query)]


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


def note_facts(connection: Connection, node_id: str, facts: HostFacts, capacity: tuple[float, int], now: float) -> None:
    connection.execute(
        table.update()
        .where(table.c.node_id == node_id)
        .values(facts=facts.as_dict(), cpu=capacity[0], memory=capacity[1], seen_at=now)
    )


def set_state(connection: Connection, node_id: str, state: HostState, reason: str, now: float) -> bool:
    """True when that changed something."""
    changed = connection.execute(
        table.update()
        .where(table.c.node_id == node_id, table.c.state != state)
        .values(state=state, state_reason=reason, seen_at=now if state is HostState.READY else table.c.seen_at)
    )
    return changed.rowcount > 0


def remove(connection: Connection, node_id: str) -> None:
    connection.execute(table.delete().where(table.c.node_id == node_id))
