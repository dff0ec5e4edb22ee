"""The arithmetic of cluster sizes, as the Clustering API defines it (§13 of the contract).

Faults are returned as sentences, because the API turns them into a 400 and the engine into an action's failure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from spinney.domain.cluster import Cluster


class Adjustment(StrEnum):
    EXACT_CAPACITY = "EXACT_CAPACITY"
    CHANGE_IN_CAPACITY = "CHANGE_IN_CAPACITY"
    CHANGE_IN_PERCENTAGE = "CHANGE_IN_PERCENTAGE"


@dataclass(frozen=True, slots=True)
class Sizes:
    desired_capacity: int
    min_size: int
    max_size: int


def calculate(current: int, adjustment: Adjustment, number: float, min_step: int | None = None) -> int:
    """The size wanted. Percentages round towards zero, but a change of less than one node counts as one."""
    if adjustment is Adjustment.EXACT_CAPACITY:
        return int(number)
    if adjustment is Adjustment.CHANGE_IN_CAPACITY:
        return current + int(number)
    delta = number * current / 100.0
    if abs(delta) < 1.0:
        step = math.ceil(delta) if delta > 0 else math.floor(delta)
    else:
        step = math.trunc(delta)
    if min_step is not None and abs(step) < min_step:
        # A step of zero has no sign of its own and counts as negative.
        step = min_step if step > 0 else -min_step
    return current + step


def check(
    cluster: Cluster,
    desired: int | None = None,
    new_min: int | None = None,
    new_max: int | None = None,
    *,
    max_nodes: int,
    strict: bool = True,
) -> str | None:
    """The first fault, or None. ``max_nodes`` is what one cluster may have at most in this deployment."""
    upper = new_max if new_max is not None and new_max >= 0 else None
    cluster_upper = cluster.max_size if new_max is None and cluster.max_size >= 0 else None
    if desired is not None:
        if desired > max_nodes:
            return f"desired_capacity: {desired} is more than the {max_nodes} nodes a cluster may have here."
        if new_min is not None and desired < new_min:
            return f"desired_capacity: {desired} is less than the new min_size {new_min}."
        if new_min is None and strict and desired < cluster.min_size:
            return f"desired_capacity: {desired} is less than the cluster's min_size {cluster.min_size}."
        if upper is not None and desired > upper:
            return f"desired_capacity: {desired} is more than the new max_size {upper}."
        if cluster_upper is not None and strict and desired > cluster_upper:
            return f"desired_capacity: {desired} is more than the cluster's max_size {cluster_upper}."
    return _check_bounds(cluster, desired, new_min, new_max, upper, cluster_upper, max_nodes, strict)


def _check_bounds(
    cluster: Cluster,
    desired: int | None,
    new_min: int | None,
    new_max: int | None,
    upper: int | None,
    cluster_upper: int | None,
    max_nodes: int,
    strict: bool,
) -> str | None:
    if new_min is not None:
        if upper is not None and new_min > upper:
            return f"min_size: {new_min} is more than the new max_size {upper}."
        if cluster_upper is not None and new_min > cluster_upper:
            return f"min_size: {new_min} is more than the cluster's max_size {cluster_upper}."
        if desired is None and strict and new_min > cluster.desired_capacity:
            return f"min_size: {new_min} is more than the cluster's desired_capacity {cluster.desired_capacity}."
    if new_max is not None:
        if new_max > max_nodes:
            return f"max_size: {new_max} is more than the {max_nodes} nodes a cluster may have here."
        if new_min is None and upper is not None and upper < cluster.min_size:
            return f"max_size: {upper} is less than the cluster's min_size {cluster.min_size}."
        if desired is None and strict and upper is not None and upper < cluster.desired_capacity:
            return f"max_size: {upper} is less than the cluster's desired_capacity {cluster.desired_capacity}."
    return None


def resize(cluster: Cluster, inputs: Mapping[str, Any], *, current: int, max_nodes: int) -> Sizes | str:
    """What a resize leads to, or its fault. ``inputs`` are the API's six keys, absent or null when not given."""
    adjustment, number = inputs.get("adjustment_type"), inputs.get("number")
    new_min, new_max = inputs.get("min_size"), inputs.get("max_size")
    strict = inputs.get("strict", True)
    desired = current
    if adjustment is not None and number is not None:
        desired = calculate(current, Adjustment(adjustment), float(number), inputs.get("min_step"))
    if not strict:
        desired = _clamp(desired, cluster, new_min, new_max)
    fault = check(cluster, desired, new_min, new_max, max_nodes=max_nodes, strict=bool(strict))
    if fault is not None:
        return fault
    return Sizes(
        desired,
        cluster.min_size if new_min is None else int(new_min),
        cluster.max_size if new_max is None else int(new_max),
    )


def _clamp(desired: int, cluster: Cluster, new_min: int | None, new_max: int | None) -> int:
    lower = cluster.min_size if new_min is None else new_min
    desired = max(desired, lower)
    if new_max is not None and new_max > 0:
        return min(desired, new_max)
    if new_max is None and cluster.max_size > 0:
        return min(desired, cluster.max_size)
    return desired
