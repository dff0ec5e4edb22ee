"""The keys of a cluster's ``config`` that mean something. Other keys are the user's own, but none below ``spinney.``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from spinney.domain.naming import format_fault
from spinney.domain.schema import NotAllowed, to_bool, to_int

_PERCENT = re.compile(r"(?:100|[0-9]{1,2})%")


class RebalanceMode(StrEnum):
    """What a host cluster does by itself when a host joins, returns or is opened again."""

    OFF = "off"
    #: Say which moves would gain what.
    ADVISE = "advise"
    AUTO = "auto"


@dataclass(frozen=True, slots=True)
class Rebalancing:
    """``threshold``: the imbalance (0 to 1) up to which hosts are left alone; ``settling``: seconds."""

    mode: RebalanceMode = RebalanceMode.OFF
    threshold: float = 0.1
    moves_per_minute: int = 10
    settling: float = 60.0


def _boolean(value: Any) -> str | None:
    try:
        to_bool(value)
    except NotAllowed as error:
        return error.allowed
    return None


def _whole(low: int, high: int) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        says = f"a whole number from {low} to {high}"
        try:
            return None if low <= to_int(value) <= high else says
        except NotAllowed:
            return says

    return check


def _budget(value: Any) -> str | None:
    if isinstance(value, str) and _PERCENT.fullmatch(value):
        return None
    return "a number of nodes, or a share such as '25%'" if _whole(0, 2**31 - 1)(value) else None


def _share(value: Any) -> str | None:
    return None if isinstance(value, str) and _PERCENT.fullmatch(value) else "a share such as '10%'"


def _mode(value: Any) -> str | None:
    return None if value in list(RebalanceMode) else ", ".join(RebalanceMode)


def _overlap(value: Any) -> str | None:
    return None if value in ("at-least-one", "at-most-one") else "at-least-one or at-most-one"


def _helper(value: Any) -> str | None:
    return None if value in ("none", "plain", "full") else "none, plain or full"


_KNOWN: Mapping[str, Callable[[Any], str | None]] = {
    "node.name.format": format_fault,
    "cluster.stop_node_before_delete": _boolean,
    "cluster.stop_timeout_before_update": _whole(0, 3600),
    "spinney.self_healing": _boolean,
    "spinney.disruption_budget": _budget,
    "spinney.overlap": _overlap,
    "spinney.priority": _whole(-1000, 1000),
    "spinney.helper": _helper,
    "spinney.rebalance": _mode,
    "spinney.rebalance_threshold": _share,
    "spinney.rebalance_moves_per_minute": _whole(1, 1000),
    "spinney.rebalance_settling": _whole(0, 86400),
}


def config_fault(config: Mapping[str, Any]) -> str | None:
    """The first key that cannot be as it is, with what is allowed; None when all is well."""
    for key, value in config.items():
        check = _KNOWN.get(key)
        if check is not None:
            allowed = check(value)
            if allowed is not None:
                return f"{key}: {str(value)[:80]!r} is not allowed: {allowed}"
        elif key.startswith("spinney."):
            known = ", ".join(name for name in _KNOWN if name.startswith("spinney."))
            return f"{key[:80]} is not known; there are {known}"
    return None


def rebalancing(config: Mapping[str, Any]) -> Rebalancing:
    """What a host cluster's configuration, which was checked when it was given, says of rebalancing."""
    usual = Rebalancing()
    threshold = config.get("spinney.rebalance_threshold")
    return Rebalancing(
        RebalanceMode(config.get("spinney.rebalance", usual.mode)),
        usual.threshold if threshold is None else int(threshold.rstrip("%")) / 100,
        int(config.get("spinney.rebalance_moves_per_minute", usual.moves_per_minute)),
        float(config.get("spinney.rebalance_settling", usual.settling)),
    )


def stop_before_delete(config: Mapping[str, Any]) -> bool:
    return to_bool(config.get("cluster.stop_node_before_delete", False))


def stop_timeout_before_update(config: Mapping[str, Any]) -> int | None:
    """Seconds that a container gets to stop before it is replaced; None: what its profile says."""
    seconds = config.get("cluster.stop_timeout_before_update")
    return None if seconds is None else to_int(seconds)
