"""Who depends on a host or a host cluster: the profiles that name it and the containers placed on it.

Guaranteed: ids of another project's objects never leave this module; of those it says only that there are some.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.errors import ResourceInUse
from spinney.store.tables import node, pin, profile

_NAMED = 5


@dataclass(slots=True)
class Dependents:
    nodes: list[str] = field(default_factory=list)
    profiles: list[str] = field(default_factory=list)
    others: bool = False

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
            found[target].others = True
    placed = sa.select(node.c.host_id, node.c.id, node.c.project).where(node.c.host_id.in_(targets))
    for target, node_id, owner in connection.execute(placed.order_by(node.c.id)):
        if owner == project:
            found[target].nodes.append(node_id)
        else:
            found[target].others = True
    return found


def refuse(found: Collection[Dependents], what: str, remedy: str) -> None:
    """Raise ResourceInUse naming the dependents, if there are any; ``what``: "The node 'x' cannot be deleted"."""
    nodes = [node_id for one in found for node_id in one.nodes]
    profiles = [profile_id for one in found for profile_id in one.profiles]
    reasons = []
    if nodes:
        reasons.append(f"container nodes are placed on it ({_some(nodes)})")
    if profiles:
        reasons.append(f"profiles name it as host ({_some(profiles)})")
    if any(one.others for one in found):
        reasons.append("it is in use by others")
    if reasons:
        raise ResourceInUse(f"{what}: {' and '.join(reasons)}; {remedy}.")


def _some(ids: Collection[str]) -> str:
    listed = list(dict.fromkeys(ids))
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(listed[:_NAMED]) + more
