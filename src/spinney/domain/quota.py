"""What a project may have at most, and what counts against it: pure.

What counts is what is meant to be or still there, whichever is more: a cluster counts for all members it is to have from
the moment that is recorded, and for those that have not left yet. A member counts with the dearer of its own profile and its
cluster's, so that an update is paid for before it begins. Hosts count as nodes, and with no cores and no memory of their own:
those are what containers on them are given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

CLUSTERS, NODES, CPU, MEMORY = "clusters", "nodes", "cpu", "memory"
RECEIVERS, SECRETS, VOLUMES = "receivers", "secrets", "volumes"
RESOURCES = (CLUSTERS, NODES, CPU, MEMORY, RECEIVERS, SECRETS, VOLUMES)
UNLIMITED = -1.0
#: Shares of cores that sums of floating-point numbers may be wrong by.
_EPSILON = 1e-6
_MIB = 2**20

#: Amounts by resource; what is left out is none. CPU in cores, memory in bytes.
Amounts = Mapping[str, float]


def unlimited() -> Amounts:
    return dict.fromkeys(RESOURCES, UNLIMITED)


@dataclass(frozen=True, slots=True)
class Share:
    """What one container of a profile sets aside."""

    cpu: float = 0.0
    memory: int = 0

    def dearest(self, other: Share) -> Share:
        return Share(max(self.cpu, other.cpu), max(self.memory, other.memory))


@dataclass(frozen=True, slots=True)
class ClusterUse:
    """``members``: how many there are of each share."""

    desired: int
    share: Share
    members: Sequence[tuple[Share, int]] = ()

    @property
    def amounts(self) -> dict[str, float]:
        there = [(share.dearest(self.share), count) for share, count in self.members]
        missing = max(self.desired - sum(count for _, count in there), 0)
        each = [*there, (self.share, missing)]
        return {
            NODES: sum(count for _, count in each),
            CPU: sum(share.cpu * count for share, count in each),
            MEMORY: sum(share.memory * count for share, count in each),
        }


def of_nodes(share: Share, count: int = 1) -> dict[str, float]:
    return {NODES: count, CPU: share.cpu * count, MEMORY: share.memory * count}


def less(more: Amounts, *taken: Amounts) -> dict[str, float]:
    """What is left of the amounts when others are taken away."""
    return {name: amount - sum(other.get(name, 0) for other in taken) for name, amount in more.items()}


def grows(asked: Amounts, limits: Amounts) -> list[str]:
    """The limited resources of which more is asked for."""
    return [name for name in RESOURCES if asked.get(name, 0) > _EPSILON and limits[name] >= 0]


def fault(limits: Amounts, used: Amounts, asked: Amounts) -> str | None:
    """Why the project cannot have that too; None: it can. Of what is not asked for, too much may be in use already."""
    for name in grows(asked, limits):
        if used.get(name, 0) + asked[name] > limits[name] + _EPSILON:
            return (
                f"the quota of {name} is used up: {written(name, limits[name])} allowed, "
                f"{written(name, used.get(name, 0))} in use or promised, {written(name, asked[name])} more asked for. "
                f"Ask for less, give up {name} that the project no longer needs, or have an operator raise the quota"
            )
    return None


def written(name: str, amount: float) -> str:
    """For people."""
    if name == MEMORY:
        return f"{amount / _MIB:g} MiB"
    return f"{round(amount, 6):g}{' cores' if name == CPU else ''}"


def shown(amounts: Amounts) -> dict[str, Any]:
    """Of all resources, as JSON numbers: cores may have a fraction, nothing else has."""
    return {name: round(amounts.get(name, 0), 6) if name == CPU else int(amounts.get(name, 0)) for name in RESOURCES}
