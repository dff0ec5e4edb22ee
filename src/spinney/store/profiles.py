"""Profiles, what they pin, and who uses them.

Guaranteed: a profile and its pins appear and disappear in one transaction; a profile in use is not removed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.profile import Profile
from spinney.errors import ResourceInUse
from spinney.profiles import registry
from spinney.store import secrets
from spinney.store.identity import Finder
from spinney.store.rows import PROFILES
from spinney.store.tables import cluster, node, pin
from spinney.store.tables import profile as table

FINDER = Finder("profile", table, PROFILES.select())


def insert(connection: Connection, profile: Profile, pins: Mapping[str, str]) -> None:
    """``pins``: the ids of what the profile names, under ``host_node`` and ``host_cluster``."""
    PROFILES.insert(connection, [profile])
    rows = [{"profile_id": profile.id, "kind": kind, "target_id": target} for kind, target in pins.items()]
    if rows:
        connection.execute(pin.insert(), rows)


def restarts(connection: Connection, profile_id: str) -> str | None:
    """The restart_policy of a profile's containers; None: it has none, or is gone."""
    spec = connection.execute(sa.select(table.c.spec).where(table.c.id == profile_id)).scalar()
    return None if spec is None else registry.restarts(spec)


def update(connection: Connection, profile_id: str, changes: Mapping[str, Any]) -> None:
    connection.execute(table.update().where(table.c.id == profile_id).values(**changes))


def remove(connection: Connection, profile_id: str) -> None:
    """Raises: ResourceInUse."""
    for kind, user in (("cluster", cluster), ("node", node)):
        found = connection.execute(sa.select(user.c.name, user.c.id).where(user.c.profile_id == profile_id).limit(1))
        first = found.first()
        if first is not None:
            name = connection.execute(sa.select(table.c.name).where(table.c.id == profile_id)).scalar_one()
            raise ResourceInUse(
                f"The profile '{name}' cannot be deleted: it is in use by {kind} '{first.name}' ({first.id}); "
                f"delete or update that first."
            )
    secrets.disuse(connection, profile_id)
    connection.execute(pin.delete().where(pin.c.profile_id == profile_id))
    connection.execute(table.delete().where(table.c.id == profile_id))
