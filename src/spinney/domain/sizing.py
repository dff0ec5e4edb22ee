"""How big a cluster may and shall be: the arithmetic of the Clustering API.

Pure. ``check`` names the first fault in the API's fixed order or returns None; ``resize`` is what an engine does with the
six inputs of a resize, ``asked`` what the API looks at before it queues one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from spinney.domain.cluster import Cluster


class Adjustment(StrEnum):
    EXACT = "EXACT_CAPACITY"
    CHANGE = "CHANGE_IN_CAPACITY"
    PERCENTAGE = "CHANGE_IN_PERCENTAGE"


@dataclass(frozen=True, slots=True)
class Sizes:
    """``max_size`` -1 means no limit."""

    min_size: int
    max_size: int
    desired_capacity: int


def calculate(adjustment: Adjustment, number: float, current: int, min_step: int | None = None) -> int:
    """The size meant by an adjustment of ``current``; may be negative, ``check`` says so.

    A percentage that comes to less than one node counts as one; otherwise fractions of a node are dropped. ``min_step``
    is the least number of nodes by which a percentage changes the size.
    """
    if adjustment is Adjustment.EXACT:
        return int(number)
    if adjustment is Adjustment.CHANGE:
        return current + int(number)
    delta = number * current / 100.0
    away_from_zero = math.ceil(delta) if delta > 0 else math.floor(delta)
    step = away_from_zero if abs(delta) < 1.0 else math.trunc(delta)
    if min_step is not None and min_step > abs(step):
        step = min_step if step > 0 else -min_step
    return current + step


def check(
    cluster: Cluster | None,
    desired: int | None,
    *,
    max_nodes: int,
    strict: bool,
    min_size: int | None = None,
    max_size: int | None = None,
) -> str | None:
    """The first thing wrong with new sizes, or None. ``cluster`` None: it is about to be made.

    ``max_nodes`` is what any cluster may have; not ``strict`` leaves out comparisons that the engine resolves by clamping.
    """
    return (
        _check_desired(cluster, desired, max_nodes, strict, min_size, max_size)
        or _check_min(cluster, desired, strict, min_size, max_size)
        or _check_max(cluster, desired, max_nodes, strict, min_size, max_size)
    )


def _check_desired(
    cluster: Cluster | None,
    desired: int | None,
    max_nodes: int,
    strict: bool,
    min_size: int | None,
    max_size: int | None,
) -> str | None:
    if desired is None:
        return None
    wanted = f"The target capacity ({desired}) is "
    if desired > max_nodes:
        return f"{wanted}greater than the number of nodes that any cluster may have ({max_nodes})"
    if min_size is not None and desired < min_size:
        return f"{wanted}less than the specified min_size ({min_size}); give one of them anew"
    if cluster is not None and min_size is None and strict and desired < cluster.min_size:
        return f"{wanted}less than the cluster's min_size ({cluster.min_size}); lower min_size too"
    if max_size is not None and 0 <= max_size < desired:
        return f"{wanted}greater than the specified max_size ({max_size}); give one of them anew"
    if cluster is not None and max_size is None and strict and 0 <= cluster.max_size < desired:
        return f"{wanted}greater than the cluster's max_size ({cluster.max_size}); raise max_size too"
    return None


def _check_min(
    cluster: Cluster | None, desired: int | None, strict: bool, min_size: int | None, max_size: int | None
) -> str | None:
    if min_size is None:
        return None
    wanted = f"The specified min_size ({min_size}) is greater than "
    if max_size is not None and 0 <= max_size < min_size:
        return f"{wanted}the specified max_size ({max_size}); give one of them anew"
    if cluster is None:
        return None
    if max_size is None and 0 <= cluster.max_size < min_size:
        return f"{wanted}the cluster's max_size ({cluster.max_size}); raise max_size too"
    if desired is None and strict and min_size > cluster.desired_capacity:
        return f"{wanted}the cluster's desired_capacity ({cluster.desired_capacity}); give a capacity or strict=false"
    return None


def _check_max(
    cluster: Cluster | None,
    desired: int | None,
    max_nodes: int,
    strict: bool,
    min_size: int | None,
    max_size: int | None,
) -> str | None:
    if max_size is None:
        return None
    if max_size > max_nodes:
        return (
            f"The specified max_size ({max_size}) is greater than the number of nodes that any cluster may have "
            f"({max_nodes})"
        )
    if cluster is None or max_size < 0:
        return None
    wanted = f"The specified max_size ({max_size}) is less than "
    if min_size is None and max_size < cluster.min_size:
        return f"{wanted}the cluster's min_size ({cluster.min_size}); lower min_size too"
    if desired is None and strict and max_size < cluster.desired_capacity:
        return f"{wanted}the cluster's desired_capacity ({cluster.desired_capacity}); give a capacity or strict=false"
    return None


def asked(inputs: Mapping[str, Any], current: int) -> int | None:
    """The size that the inputs of a resize ask for, before any bound; None when they only change bounds."""
    kind = inputs.get("adjustment_type")
    if kind is None:
        return None
    return calculate(Adjustment(kind), inputs["number"], current, inputs.get("min_step"))


def resize(cluster: Cluster, inputs: Mapping[str, Any], *, current: int, max_nodes: int) -> Sizes | str:
    """The sizes after a resize of a cluster that has ``current`` members, or what is wrong with them.

    Guaranteed: sizes returned pass ``check`` strictly among themselves: min_size <= desired_capacity <= max_size.
    """
    min_size, max_size = inputs.get("min_size"), inputs.get("max_size")
    strict = bool(inputs.get("strict", True))
    desired = asked(inputs, current)
    desired = current if desired is None else desired
    low = cluster.min_size if min_size is None else min_size
    high = cluster.max_size if max_size is None else max_size
    if not strict:
        desired = max(desired, low)
        desired = min(desired, high) if high >= 0 else desired
    fault = check(cluster, desired, max_nodes=max_nodes, strict=strict, min_size=min_size, max_size=max_size)
    return fault or Sizes(low, high, desired)
