"""Nodes as the API shows and changes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from spinney.domain.node import Node
from spinney.store.identity import Finder
from spinney.store.rows import NODES
from spinney.store.tables import host, profile
from spinney.store.tables import node as table

_home = table.alias("home")
_home_host = host.alias("home_host")

#: What only engines need is left out: a list is as dear as its rows are wide.
_SHOWN = [
    column
    for column in NODES.columns
    if column.name
    not in (
        "reserved_cpu",
        "reserved_memory",
        "repairs",
        "repaired_at",
        "waiting_since",
        "decision_id",
        "decision_step",
    )
]

#: Each row is a node with its profile's name and type, what names the host it is placed on, that host's state, and
#: whether it is a host.
VIEW: sa.Select[Any] = sa.select(
    *_SHOWN,
    profile.c.name.label("profile_name"),
    profile.c.type.label("profile_type"),
    _home.c.name.label("host_name"),
    _home.c.project.label("host_project"),
    _home.c.index.label("host_index"),
    _home_host.c.state.label("host_state"),
    host.c.node_id.label("as_host"),
).select_from(
    table.outerjoin(profile, table.c.profile_id == profile.c.id)
    .outerjoin(_home, table.c.host_id == _home.c.id)
    .outerjoin(_home_host, table.c.host_id == _home_host.c.node_id)
    .outerjoin(host, table.c.id == host.c.node_id)
)

COLUMNS = tuple(str(column.key) for column in VIEW.selected_columns)
FINDER = Finder("node", table, VIEW)


def insert(connection: Connection, node: Node) -> None:
    NODES.insert(connection, [node])


def members(connection: Connection, cluster_id: str) -> Sequence[Row[Any]]:
    """Rows of ``VIEW`` in the order of their indices."""
    in_order = VIEW.where(table.c.cluster_id == cluster_id).order_by(table.c.index, table.c.id)
    return connection.execute(in_order).all()
