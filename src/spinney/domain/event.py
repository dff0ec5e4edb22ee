"""Events: immutable records of what happened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

from spinney.domain.action import Action, ActionKind
from spinney.domain.identity import Owner


class Level(IntEnum):
    """Stored as numbers, so that sorting by level sorts by severity."""

    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40
    CRITICAL = 50

    @property
    def label(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    id: str
    timestamp: float
    oid: str
    oname: str
    otype: str  # CLUSTER | NODE
    cluster_id: str
    level: Level
    user: str
    project: str
    action: str
    status: str  # the phase: start, end, error
    status_reason: str
    meta_data: Mapping[str, Any] = field(default_factory=dict)


def of_action(action: Action, oname: str, phase: str, level: Level, reason: str, *, event_id: str, now: float) -> Event:
    """The record of an action's phase: ``start``, ``end`` or ``error``."""
    operation = action.inputs.get("operation") if action.action.value.endswith("_OPERATION") else None
    return Event(
        id=event_id,
        timestamp=now,
        oid=action.target,
        oname=oname,
        otype="CLUSTER" if action.action.on_cluster else "NODE",
        cluster_id=action.cluster_id,
        level=level,
        user=action.user,
        project=action.project,
        action=str(operation or action.action),
        status=phase,
        status_reason=action.id[:8] if phase == "start" else reason,
        meta_data={"action_id": action.id},
    )


def of_node(
    owner: Owner,
    *,
    node_id: str,
    node_name: str,
    cluster_id: str,
    kind: ActionKind | str,
    level: Level,
    reason: str,
    event_id: str,
    now: float,
    data: Mapping[str, Any] | None = None,
) -> Event:
    """Something seen on a node that no action caused, such as the death of its container."""
    return Event(
        id=event_id,
        timestamp=now,
        oid=node_id,
        oname=node_name,
        otype="NODE",
        cluster_id=cluster_id,
        level=level,
        user=owner.user,
        project=owner.project,
        action=str(kind),
        status="error" if level >= Level.WARN else "end",
        status_reason=reason,
        meta_data=data or {},
    )


def of_cluster(
    owner: Owner,
    *,
    cluster_id: str,
    cluster_name: str,
    kind: str,
    level: Level,
    reason: str,
    event_id: str,
    now: float,
    data: Mapping[str, Any] | None = None,
) -> Event:
    """Something about a cluster that no action of its own caused, such as the end of a run."""
    told = of_node(
        owner,
        node_id=cluster_id,
        node_name=cluster_name,
        cluster_id=cluster_id,
        kind=kind,
        level=level,
        reason=reason,
        event_id=event_id,
        now=now,
        data=data,
    )
    return replace(told, otype="CLUSTER")
