"""Images that Spinney had pulled to hosts, and when each was last of use there."""

from __future__ import annotations

from collections.abc import Collection

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from spinney.store.tables import hold, node, pin
from spinney.store.tables import image as table


def pulled(connection: Connection, host_id: str, reference: str, now: float) -> None:
    row = {"host_id": host_id, "reference": reference, "pulled_at": now, "used_at": now}
    try:
        with connection.begin_nested():
            connection.execute(table.insert(), row)
    except IntegrityError:
        used(connection, host_id, [reference], now)  # pulled before, and removed by others since


def used(connection: Connection, host_id: str, references: Collection[str], now: float) -> None:
    """Those of the references that are Spinney's were of use just now."""
    ours = table.c.host_id == host_id, table.c.reference.in_(references)
    connection.execute(table.update().where(*ours).values(used_at=now))


def of_host(connection: Connection, host_id: str) -> dict[str, float]:
    """The last use of each."""
    rows = connection.execute(sa.select(table.c.reference, table.c.used_at).where(table.c.host_id == host_id))
    return {row.reference: row.used_at for row in rows}


def forget(connection: Connection, host_id: str, references: Collection[str]) -> None:
    connection.execute(table.delete().where(table.c.host_id == host_id, table.c.reference.in_(references)))


def profiles_there(connection: Connection, host_id: str) -> set[str]:
    """The profiles of nodes that are on a host, or on their way there."""
    here = sa.select(node.c.profile_id).where(node.c.host_id == host_id)
    coming = sa.select(node.c.profile_id).join_from(hold, node, hold.c.node_id == node.c.id)
    return set(connection.execute(here.union(coming.where(hold.c.host_id == host_id))).scalars())


def profiles_meant(connection: Connection, host_id: str, cluster_id: str) -> set[str]:
    """The profiles that name a host or its host cluster: their next member may be placed there."""
    named = sa.select(pin.c.profile_id).where(pin.c.target_id.in_([host_id, cluster_id] if cluster_id else [host_id]))
    return set(connection.execute(named).scalars())
