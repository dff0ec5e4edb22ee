"""One set of placement rules of what all enabled policies of a cluster ask for.

Contributions come in ascending priority. How they meet:

* restrictions add up: label terms, quotas and affinities are concatenated, the smallest ``max_per_host`` and the largest
  headroom count, and a host must be in the hosts, zones and regions of every policy that names some;
* of preferences that exclude each other (strategy with its thresholds, weights and seed; what to spread over) the first counts.

Guaranteed: total and deterministic. ``conflict`` tells beforehand of restrictions that have nothing in common; if they are
merged nevertheless, the first counts, because an empty list would mean "any".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from spinney.domain.placement.rules import Affinity, PlacementRules, Strategy, Thresholds
from spinney.policies.base import Contribution, Toward

T = TypeVar("T")

_RESTRICTIONS: Mapping[str, Callable[[Contribution], tuple[str, ...]]] = {
    "hosts": lambda one: one.hosts,
    "zones": lambda one: one.zones,
    "regions": lambda one: one.regions,
}


@dataclass(frozen=True, slots=True)
class Names:
    """What the names in affinities stand for: ids of clusters, always in the same order."""

    clusters: Mapping[str, Sequence[str]] = field(default_factory=dict)
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)


NO_NAMES = Names()


def merge(
    contributions: Sequence[Contribution], cluster_id: str, names: Names = NO_NAMES, viewer: str = ""
) -> PlacementRules:
    """The rules of the cluster; ``names`` has at least what the contributions name, ``viewer`` is the cluster's project."""
    leading = next((one for one in contributions if one.strategy is not None), Contribution())
    return PlacementRules(
        strategy=leading.strategy or Strategy.SPREAD,
        thresholds=leading.thresholds or Thresholds(),
        weights=leading.weights or {},
        seed=leading.seed or 0,
        hosts=_common(contributions, "hosts"),
        zones=_common(contributions, "zones"),
        regions=_common(contributions, "regions"),
        require=_once(term for one in contributions for term in one.require),
        prefer=_once(preference for one in contributions for preference in one.prefer),
        quotas=_once(replace(quota, viewer=viewer) for one in contributions for quota in one.quotas),
        spread_over=next((one.spread_over for one in contributions if one.spread_over is not None), None),
        affinities=_once(_affinity(toward, cluster_id, names) for one in contributions for toward in one.toward),
        max_per_host=min((one.max_per_host for one in contributions if one.max_per_host is not None), default=None),
        headroom_cpu=max((one.headroom_cpu for one in contributions), default=0.0),
        headroom_memory=max((one.headroom_memory for one in contributions), default=0.0),
        viewer=viewer,
    )


def conflict(contributions: Iterable[Contribution]) -> str | None:
    """Why no host could satisfy all of them, whatever hosts there are; None: some could."""
    found = list(contributions)
    for what, of in _RESTRICTIONS.items():
        named = [set(of(one)) for one in found if of(one)]
        if named and not set.intersection(*named):
            lists = " and ".join(", ".join(sorted(one)) for one in named)
            return f"no host could be in the {what} of all enabled policies ({lists})"
    return None


def _common(contributions: Sequence[Contribution], what: str) -> tuple[str, ...]:
    named = [words for one in contributions if (words := _RESTRICTIONS[what](one))]
    if not named:
        return ()
    first, *others = named
    return tuple(word for word in first if all(word in other for other in others)) or first


def _affinity(toward: Toward, cluster_id: str, names: Names) -> Affinity:
    """A name that nothing bears stands for itself: no member is ever found under it."""
    if toward.group is not None:
        found: Sequence[str] = [cluster_id, *(one for one in names.groups.get(toward.group, ()) if one != cluster_id)]
    elif toward.cluster is not None:
        found = names.clusters.get(toward.cluster, ()) or [toward.cluster]
    else:
        found = [cluster_id]
    first, *others = found
    return Affinity(first, toward.key, toward.apart, toward.hard, tuple(others))


def _once(values: Iterable[T]) -> tuple[T, ...]:
    """Without repetitions, in order."""
    found: list[T] = []
    for value in values:
        if value not in found:
            found.append(value)
    return tuple(found)
