"""Who depends on a host or a host cluster: the profiles that name it and the containers placed on it.

Guaranteed: ids of another project's objects never leave this module; of those it only counts how many there are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.store.tables import node, pin, profile


@dataclass(slots=True)
class Dependents:
    nodes: list[str] = field(default_factory=list)
    profiles: list[str] = field(default_factory=list)
    #: How many of other projects.
    others: int = 0

    def view(self) -> dict[str, list[str]]:
        """As the API shows it: without what is empty."""
        return {key: ids for key, ids in (("nodes", self.nodes), ("profiles", self.profiles)) if ids}


def of(connection: Connection, targets: Collection[str], project: str) -> dict[str, Dependents]:
    """By target; targets without dependents are left out."""
    found: dict[str, Dependents] = defaultdict(Dependents)
    if not targets:
        return found
    pins = sa.select(pin.c.target_id, profile.c.id, profile.c.project).join_from(
        pin, profile, pin.c.profile_id == profile.c.id
    )
    for target, profile_id, owner in connection.execute(
        pins.where(pin.c.target_id.in_(targets)).order_by(profile.c.id)
    ):
        if owner == project:
            found[target].profiles.append(profile_id)
        else:
            found[target].others += 1
    placed = sa.select(node.c.host_id, node.c.id, node.c.project).where(node.c.host_id.in_(targets))
    for target, node_id, owner in connection.execute(placed.order_by(node.c.id)):
        if owner == project:
            found[target].nodes.append(node_id)
        else:
            found[target].others += 1
    return found
