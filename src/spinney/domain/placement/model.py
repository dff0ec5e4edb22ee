"""What placement is asked, and what it may find, as values."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from spinney.domain.placement.rules import NO_RULES, PlacementRules

Port = tuple[str, int]  # protocol, host port


@dataclass(frozen=True, slots=True)
class PlacementRequest:
    """At least one of ``host_node`` and ``host_cluster`` is set; both are ids. CPU in cores, memory in bytes."""

    node_id: str
    cpu: float
    memory: int
    host_node: str | None = None
    host_cluster: str | None = None
    ports: tuple[Port, ...] = ()
    #: The cluster's id; the node's own id when it is in none.
    workload: str = ""
    profile_id: str = ""
    project: str = ""
    #: How many members the workload is to have in all, for quotas; 0: those there are and those of this batch.
    members: int = 0
    rules: PlacementRules = NO_RULES
    #: Volume plug-ins that the host must have.
    volumes: tuple[str, ...] = ()
    #: What the Docker engine must report of itself, by the names of the host's facts; see ``filters.offers``.
    needs: Mapping[str, str] = field(default_factory=dict)
    #: Whether it wants the project's bridge.
    networked: bool = False
    #: Ids of hosts that it must not go to, because it is being moved away from them.
    exclude: frozenset[str] = frozenset()
    #: The id of a host chosen already: no other is considered.
    only: str | None = None
    #: The host that the node leaves once it is elsewhere: there it is not counted as a member by quotas and affinities.
    counted_on: str | None = None

    def leaving(self, host_id: str) -> PlacementRequest:
        """The same for a node that is on that host and is to go elsewhere."""
        return replace(self, exclude=self.exclude | {host_id}, counted_on=host_id)

    def staying(self, host_id: str) -> PlacementRequest:
        """The same for a further container of a node that is on that host, to take its place there or elsewhere."""
        return replace(self, counted_on=host_id)


@dataclass(slots=True)
class Occupant:
    """What a node holds of a host, to be taken away or brought back in trying out."""

    host_id: str
    cpu: float
    memory: int
    workload: str
    ports: tuple[Port, ...] = ()
    project: str = ""


@dataclass(slots=True)
class Surroundings:
    """What is known beside the hosts, by host id. What is left out is empty there."""

    ports: Mapping[str, Collection[Port]] = field(default_factory=dict)
    #: host -> workload -> members there
    residents: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    #: host -> profile id -> recent failures there
    setbacks: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    #: host -> projects that have a bridge there
    networks: Mapping[str, Collection[str]] = field(default_factory=dict)
    #: Subnets that a host has for projects; 0: not looked at.
    network_limit: int = 0
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class Reason:
    """One rule that one host fails, with numbers fit for people. The text does not name the host."""

    rule: str
    needed: str
    available: str
    text: str


@dataclass(frozen=True, slots=True)
class NearestMiss:
    """Were everything in ``change`` so, the request would fit on that host; see ``misses`` for the keys."""

    host_id: str
    host_name: str
    change: Mapping[str, Any]
    text: str
