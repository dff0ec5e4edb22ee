"""The disruption budget: how many members of a cluster may be out of service because of us.

One account for everything that takes members out of service on purpose: draining, rebalancing, updating. What moves with its
new container first costs nothing while the old one serves; neither does what is out of service already. Guaranteed: whoever
spends through one ``Purse`` never takes more members out than each cluster has left. Not guaranteed: that members stay up;
what fails by itself uses the budget up as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_DEFAULT = 1


@dataclass(frozen=True, slots=True)
class Standing:
    """A cluster as its budget sees it. ``out``: members out of service, missing, or about to be taken out."""

    cluster_id: str
    name: str
    members: int
    out: int
    budget: int
    starts_first: bool = True

    @property
    def left(self) -> int:
        return max(self.budget - self.out, 0)


def disruption_budget(config: Mapping[str, Any], members: int) -> int:
    """``spinney.disruption_budget`` as a number of members. A share is rounded down, but any share above 0 % allows one."""
    value = config.get("spinney.disruption_budget", _DEFAULT)
    if isinstance(value, str) and value.endswith("%"):
        percent = int(value[:-1])
        return max(members * percent // 100, 1) if percent else 0
    return int(value)


def starts_first(config: Mapping[str, Any]) -> bool:
    """Whether a member's new container may run beside the old one (``spinney.overlap``)."""
    return bool(config.get("spinney.overlap", "at-least-one") != "at-most-one")


class Purse:
    """What is left of the budgets while one decision is made. Nodes of no cluster (``cluster_id`` empty) have no budget."""

    def __init__(self, standings: Iterable[Standing]) -> None:
        self._standings = {standing.cluster_id: standing for standing in standings}
        self._left = {standing.cluster_id: standing.left for standing in self._standings.values()}

    def spend(self, cluster_id: str, *, serving: bool, in_reach: bool = True) -> str | None:
        """Take a member out of service, or say why that must not be. One that does not serve costs nothing.

        ``in_reach``: its host answers, so that its container can be stopped before another one starts.
        """
        standing = self._standings.get(cluster_id)
        if standing is not None and not standing.starts_first and not in_reach:
            return (
                f"its host does not answer, so its container may still run, and members of cluster {standing.name} must not "
                f"run twice (spinney.overlap); if it is certain that the host is dead, recover the node"
            )
        if standing is None or standing.starts_first or not serving:
            return None
        if self._left[cluster_id] > 0:
            self._left[cluster_id] -= 1
            return None
        if standing.budget == 0:
            return (
                f"the disruption budget of cluster {standing.name} is 0 and its members may not overlap "
                f"(spinney.disruption_budget, spinney.overlap)"
            )
        return (
            f"the disruption budget of cluster {standing.name} allows {standing.budget} of its {standing.members} members out "
            f"of service at a time, and it is used up"
        )
