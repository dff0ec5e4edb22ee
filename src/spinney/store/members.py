"""Members of clusters with all that decisions about them look at, in one statement."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Row

from spinney.domain.alias import HostIdentity, called
from spinney.domain.host import Duty, HostState
from spinney.domain.member import Member
from spinney.domain.node import NodeStatus
from spinney.store.tables import hold, host, node, pin, profile

_home = host.alias("home")
_home_node = node.alias("home_node")
_AWAY = (HostState.SUSPECT.value, HostState.LOST.value)


def members(connection: Connection, cluster_id: str) -> list[Member]:
    """In the order of their indexes."""
    c = node.c
    coming = sa.select(sa.func.count()).where(hold.c.host_id == c.id).scalar_subquery()
    rows = connection.execute(
        sa.select(
            c.id,
            c.name,
            c.status,
            c.index.label("position"),  # a row has a method of that name
            c.tainted,
            c.ready,
            c.physical_id,
            c.created_at,
            c.host_id,
            (host.c.containers + coming).label("containers"),
            sa.exists().where(pin.c.target_id == c.id).label("pinned"),
            host.c.duty,
            profile.c.created_at.label("profile_created_at"),
            c.project,
            _home_node.c.name.label("host_name"),
            _home_node.c.project.label("host_project"),
            _home_node.c.index.label("host_index"),
            _home.c.zone,
            _home.c.region,
            _home.c.containers.label("crowd"),
            _home.c.state.label("host_state"),
            _home.c.duty.label("host_duty"),
        )
        .join_from(node, host, host.c.node_id == c.id, isouter=True)
        .join(profile, profile.c.id == c.profile_id, isouter=True)
        .join(_home, _home.c.node_id == c.host_id, isouter=True)
        .join(_home_node, _home_node.c.id == c.host_id, isouter=True)
        .where(c.cluster_id == cluster_id)
        .order_by(c.index)
    )
    return [_member(row) for row in rows]


def _member(row: Row[*tuple[Any, ...]]) -> Member:
    return Member(
        row.id,
        row.name,
        NodeStatus(row.status),
        row.position,
        row.tainted,
        row.physical_id is not None,
        row.containers or 0,
        row.pinned,
        Duty(row.duty or "open"),
        created_at=row.created_at,
        profile_created_at=row.profile_created_at or 0.0,
        host_id=row.host_id,
        host_name=_host_name(row),
        zone=row.zone,
        region=row.region,
        crowd=row.crowd or 0,
        ready=row.ready,
        leaving=row.host_state in _AWAY or (row.host_duty or "open") != "open",
    )


def _host_name(row: Row[*tuple[Any, ...]]) -> str:
    """What the cluster's own project calls it."""
    if row.host_id is None or row.host_name is None:
        return ""
    return called(HostIdentity(row.host_id, row.host_name, row.host_project, row.host_index), row.project).name
