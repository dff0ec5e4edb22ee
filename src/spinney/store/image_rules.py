"""Rules about images, and what tags stood for when clusters first used them.

Guaranteed: whatever several engines find a tag to stand for at once, a cluster and profile have one digest: the first that is
stored, and it stays.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from spinney.domain.image_rule import ImageRule, merged
from spinney.store.tables import image_rule as table
from spinney.store.tables import resolved_image as resolved

#: Stands for all projects that say nothing else.
EVERYBODY = "*"


class ImageRules:
    """Those in force, each read when first asked for: for one transaction."""

    def __init__(self, connection: Connection, deployment: ImageRule) -> None:
        self._connection = connection
        self._deployment = deployment
        self._known: dict[str, ImageRule] = {}

    def of(self, project: str) -> ImageRule:
        found = self._known.get(project)
        if found is None:
            found = self._known[project] = of(self._connection, project, self._deployment)
        return found


def of(connection: Connection, project: str, deployment: ImageRule) -> ImageRule:
    """What is in force for a project, or with ``*`` for all that say nothing else."""
    rows = connection.execute(sa.select(table.c.project, table.c.body).where(table.c.project.in_([EVERYBODY, project])))
    said = {row.project: row.body for row in rows}
    return merged(deployment, *(said[key] for key in dict.fromkeys((EVERYBODY, project)) if key in said))


def get(connection: Connection, project: str) -> Mapping[str, Any] | None:
    """What was said for the project itself."""
    return connection.execute(sa.select(table.c.body).where(table.c.project == project)).scalar()


def put(connection: Connection, project: str, body: Mapping[str, Any], now: float) -> None:
    """In the place of what was said before."""
    forget(connection, project)
    connection.execute(table.insert(), {"project": project, "body": body, "updated_at": now})


def forget(connection: Connection, project: str) -> bool:
    """False: nothing was said."""
    return connection.execute(table.delete().where(table.c.project == project)).rowcount > 0


def digest_of(connection: Connection, owner_id: str, profile_id: str) -> str | None:
    """The reference by digest that a cluster, or a node without one, has its containers of the profile made of."""
    where = resolved.c.owner_id == owner_id, resolved.c.profile_id == profile_id
    return connection.execute(sa.select(resolved.c.digest).where(*where)).scalar()


def digests_for(connection: Connection, owner_id: str) -> dict[str, str]:
    """By profile, all that its tags were found to stand for."""
    rows = connection.execute(
        sa.select(resolved.c.profile_id, resolved.c.digest).where(resolved.c.owner_id == owner_id)
    )
    return {row.profile_id: row.digest for row in rows}


def digests(connection: Connection, wanted: Collection[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """The same for pairs of such an owner and a profile; those that have none are left out."""
    if not wanted:
        return {}
    c = resolved.c
    query = sa.select(c.owner_id, c.profile_id, c.digest).where(
        c.owner_id.in_({owner for owner, _ in wanted}), c.profile_id.in_({profile for _, profile in wanted})
    )
    return {(row.owner_id, row.profile_id): row.digest for row in connection.execute(query)}


def resolve(connection: Connection, owner_id: str, profile_id: str, digest: str, now: float) -> str:
    """Store what the tag stands for, unless somebody was first; what is stored."""
    row = {"owner_id": owner_id, "profile_id": profile_id, "digest": digest, "resolved_at": now}
    try:
        with connection.begin_nested():
            connection.execute(resolved.insert(), row)
    except IntegrityError:
        return digest_of(connection, owner_id, profile_id) or digest
    return digest


def digests_of(connection: Connection, profile_ids: Collection[str]) -> set[str]:
    """All references by digest that anybody has containers of these profiles made of."""
    return set(connection.execute(sa.select(resolved.c.digest).where(resolved.c.profile_id.in_(profile_ids))).scalars())
