"""Members of a cluster as the decisions about it see them."""

from __future__ import annotations

from dataclasses import dataclass

from spinney.domain.host import Duty
from spinney.domain.node import NodeStatus


@dataclass(frozen=True, slots=True)
class Member:
    """``containers``, ``pinned`` and ``duty`` are for hosts: what is placed there or on its way, whether profiles name it.

    ``host_id`` to ``leaving`` are for containers: where it is. ``zone`` and ``region`` are the groups of the cluster's policies
    that it counts for, else what its host says of itself; None: in none.
    """

    id: str
    name: str
    status: NodeStatus
    index: int
    tainted: bool = False
    made: bool = True  # has a physical object
    containers: int = 0
    pinned: bool = False
    duty: Duty = Duty.OPEN
    created_at: float | None = None
    profile_created_at: float = 0.0
    host_id: str | None = None
    host_name: str = ""
    zone: str | None = None
    region: str | None = None
    #: How many containers its host has.
    crowd: int = 0
    #: Its host does not answer, or is to be emptied.
    leaving: bool = False
    #: It may be given work.
    ready: bool = True

    @property
    def used(self) -> bool:
        return self.containers > 0 or self.pinned

    @property
    def use(self) -> str:
        count = f"{self.containers} container{'s' * (self.containers != 1)}"
        return f"{self.name} ({count if self.containers else 'named by profiles'})"
