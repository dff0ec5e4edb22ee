"""What the rules of an update are: of its policies, of its cluster, and of both together.

The batch policy says how many at a time and how many stay; the update policy in which order, how long a batch is watched and
what follows from failures. Each has its say without the other; what neither says is as in Senlin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from spinney.domain.budget import disruption_budget, starts_first
from spinney.domain.rollout.model import OnFailure, Order, Rules

_BUDGET = "spinney.disruption_budget"


def batch_size(members: int, min_in_service: int, max_batch_size: int) -> int:
    """``max_batch_size`` -1: no limit of its own. With no more members than are to stay in service, half of them."""
    free = members - min_in_service if members > min_in_service else -(-members // 2)
    return min(free, max_batch_size) if max_batch_size >= 0 else free


def rules_of(
    update: Mapping[str, Any],
    config: Mapping[str, Any],
    members: int,
    idle: int = 0,
    *,
    timeout: float,
    restoring: bool = False,
) -> Rules:
    """``update``: what the policies have written into the action's data. ``idle``: so many of the members are not to serve,
    because their users have stopped them or no host has room for them. ``restoring``: members are brought back to what they
    were: that is paced just as much, but has no canary, and goes on when one cannot be restored."""
    rules = _judged(update, _paced(update, config, members, members - idle), members, timeout)
    return replace(rules, canary=0, on_failure=OnFailure.CONTINUE) if restoring else rules


def _paced(update: Mapping[str, Any], config: Mapping[str, Any], members: int, serving: int) -> Rules:
    budget = disruption_budget(config, serving)
    rules = Rules(
        size=max(members, 1),
        floor=max(serving - budget, 0),
        floor_because=f"{_BUDGET} {config.get(_BUDGET, budget)}",
        overlap=starts_first(config),
    )
    if "max_batch_size" in update:
        stay = int(update["min_in_service"])
        size = max(batch_size(serving, stay, int(update["max_batch_size"])), 1)
        rules = replace(rules, size=size, pause=float(update["pause_time"]))
        floor = serving - batch_size(serving, stay, -1)
        # Who says how many stay during updates means more than what holds where nobody has said anything.
        if _BUDGET not in config or floor >= rules.floor:
            rules = replace(rules, floor=floor, floor_because=f"min_in_service {stay} of the batch policy")
    elif "order" in update:
        # To watch a batch makes sense only if not everything is in it.
        rules = replace(rules, size=max(budget, 1))
    return rules


def _judged(update: Mapping[str, Any], rules: Rules, members: int, timeout: float) -> Rules:
    if "order" not in update:
        return replace(rules, ready_timeout=timeout, patience=timeout)
    canary: Mapping[str, Any] = update.get("canary") or {}
    promote_after = canary.get("promote_after")
    return replace(
        rules,
        order=Order(update["order"]),
        monitor=float(update["monitor"]),
        ready_timeout=float(update["ready_timeout"]),
        tolerated=int(members * float(update["failure_ratio"]) + 1e-9),
        on_failure=OnFailure(update["on_failure"]),
        canary=_canary(canary, members),
        promote_after=None if promote_after is None else float(promote_after),
        patience=timeout,
    )


def _canary(canary: Mapping[str, Any], members: int) -> int:
    """A share is rounded up: a canary of nobody would say nothing."""
    if not canary:
        return 0
    if canary.get("count") is not None:
        return int(canary["count"])
    return -(-members * int(canary["percent"]) // 100)
