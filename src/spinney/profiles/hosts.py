"""Which hosts a container profile may name.

The properties themselves see to it that at least one of ``host_node`` and ``host_cluster`` is given, and that only container
profiles have them. What needs looked-up objects is decided here, from facts: that the named are hosts and a host cluster,
that the caller may use them, and that the host is a member of the cluster when both are named. The same check serves when a
profile is made and at each placement, since membership and shares change.

Guaranteed: an absent object and one the caller may not use give the same answer; a refusal to delete something pinned names
nobody else's objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spinney.errors import InvalidSpec, ResourceInUse
from spinney.profiles.registry import PROFILE_TYPES, ValidatedProfile

EVERYBODY = "*"
_NAMED_AT_MOST = 5


@dataclass(frozen=True, slots=True)
class Pins:
    """What a container profile names, as it names it."""

    host_node: str | None = None
    host_cluster: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterFacts:
    """A cluster found under the name given. ``shared_with`` holds project ids, or EVERYBODY."""

    id: str
    profile_type: str
    project: str
    shared_with: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """A node found under the name given, with the cluster it is a member of."""

    id: str
    profile_type: str
    project: str
    cluster: ClusterFacts | None = None


def pins(profile: ValidatedProfile) -> Pins:
    """Nothing, for profiles that are not of containers."""
    if not PROFILE_TYPES[profile.name_version].contained:
        return Pins()
    return Pins(getattr(profile.properties, "host_node", None), getattr(profile.properties, "host_cluster", None))


def can_host(profile_type: str) -> bool:
    kind = PROFILE_TYPES.get(profile_type)
    return kind is not None and kind.hosts


def may_use_cluster(project: str, cluster: ClusterFacts) -> bool:
    return cluster.project == project or not cluster.shared_with.isdisjoint({project, EVERYBODY})


def may_use_node(project: str, node: NodeFacts) -> bool:
    """A share of a host cluster covers its members."""
    return node.project == project or (node.cluster is not None and may_use_cluster(project, node.cluster))


def check_hosts(named: Pins, *, project: str, node: NodeFacts | None, cluster: ClusterFacts | None) -> None:
    """``node`` and ``cluster`` are what was found under the names; None: nothing was. Raises InvalidSpec."""
    if named.host_node is not None:
        if node is None or not may_use_node(project, node):
            raise InvalidSpec(
                f"properties.host_node: '{named.host_node}' could not be found: name a host of yours or of a host cluster "
                "shared with your project"
            )
        if not can_host(node.profile_type):
            raise InvalidSpec(
                f"properties.host_node: '{named.host_node}' is not a host: its profile type {node.profile_type} cannot run "
                "containers"
            )
    if named.host_cluster is not None:
        if cluster is None or not may_use_cluster(project, cluster):
            raise InvalidSpec(
                f"properties.host_cluster: '{named.host_cluster}' could not be found: name a host cluster of yours or one "
                "shared with your project"
            )
        if not can_host(cluster.profile_type):
            raise InvalidSpec(
                f"properties.host_cluster: '{named.host_cluster}' is not a host cluster: its profile type "
                f"{cluster.profile_type} cannot run containers"
            )
    if node is not None and cluster is not None and (node.cluster is None or node.cluster.id != cluster.id):
        raise InvalidSpec(
            f"properties.host_node: '{named.host_node}' is not a member of the host cluster '{named.host_cluster}': name one "
            "of its members, or only one of the two"
        )


def check_not_pinned(what: str, own: Sequence[str], others: int) -> None:
    """Refuses to delete a host or host cluster that profiles or containers depend on.

    ``what`` names it, ``own`` are the caller's own dependents, ``others`` counts everybody else's. Raises ResourceInUse.
    """
    if not own and not others:
        return
    users = [", ".join(own[:_NAMED_AT_MOST])] if own else []
    if len(own) > _NAMED_AT_MOST:
        users.append(f"{len(own) - _NAMED_AT_MOST} more of yours")
    reason = f"used by {' and '.join(users)}" if own else "in use by others"
    also = ", and in use by others" if own and others else ""
    remedy = (
        "delete or move these first" if own and not others else "drain it, and ask those who use it to name another"
    )
    raise ResourceInUse(f"{what} cannot be deleted: it is {reason}{also}; {remedy}.")
