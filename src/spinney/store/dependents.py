"""Who depends on a host or a host cluster: the profiles that name it and the containers placed on it.

Guaranteed: ids and names of another project's objects never leave this module; of those it only counts how many there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, FromClause
from sqlalchemy.sql.elements import ColumnElement

from spinney.store.tables import node, pin, profile

#: How many of a kind a list tells of each of its objects; a host may carry hundreds of containers.
IN_LISTS = 10


@dataclass(slots=True)
class Kind:
    """The caller's own dependents of one kind: names by id, and how many there are besides."""

    named: dict[str, str] = field(default_factory=dict)
    more: int = 0


@dataclass(slots=True)
class Dependents:
    nodes: Kind = field(default_factory=Kind)
    profiles: Kind = field(default_factory=Kind)
    #: How many of other projects.
    others: int = 0

    def view(self) -> dict[str, Any]:
        """As the API shows it: without what is empty, and with the number of them where not all are told."""
        shown: dict[str, Any] = {}
        for key, kind in (("nodes", self.nodes), ("profiles", self.profiles)):
            if kind.named:
                shown[key] = list(kind.named)
            if kind.more:
                shown[f"{key}_total"] = len(kind.named) + kind.more
        return shown


def of(
    connection: Connection, targets: Collection[str], project: str, most: int | None = None
) -> dict[str, Dependents]:
    """By target; targets without dependents are left out. ``most``: of each kind and target, None for all."""
    found: dict[str, Dependents] = defaultdict(Dependents)
    if not targets:
        return found
    pinned = profile.join(pin, pin.c.profile_id == profile.c.id)
    for kind, source, target, table in (
        ("profiles", pinned, pin.c.target_id, profile),
        ("nodes", node, node.c.host_id, node),
    ):
        query = _ranked(source, target, table, targets, project, most)
        for of_target, own, item, name, place, total in connection.execute(query):
            if not own:
                found[of_target].others += total
                continue
            told: Kind = getattr(found[of_target], kind)
            told.named[item] = name
            told.more = total - place
    return found


def _ranked(
    source: FromClause,
    target: ColumnElement[Any],
    table: FromClause,
    targets: Collection[str],
    project: str,
    most: int | None,
) -> sa.Select[Any]:
    """The first of the caller's own by target, each with its place and their number; of all others one row a target."""
    own = sa.case((table.c.project == project, 1), else_=0).label("own")
    part = [target, own]
    rows = (
        sa.select(
            target.label("target"),
            own,
            table.c.id,
            table.c.name,
            sa.func.row_number().over(partition_by=part, order_by=table.c.id).label("place"),
            sa.func.count().over(partition_by=part).label("total"),
        )
        .select_from(source)
        .where(target.in_(targets))
        .subquery()
    )
    mine: ColumnElement[bool] = rows.c.own == 1
    wanted = mine if most is None else sa.and_(mine, rows.c.place <= most)
    return sa.select(rows).where(sa.or_(wanted, rows.c.place == 1)).order_by(rows.c.target, rows.c.id)
