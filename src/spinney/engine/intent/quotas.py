"""Quotas where intent is recorded: what would exceed them changes nothing."""

from __future__ import annotations

from sqlalchemy import Connection

from spinney.clock import Clock
from spinney.domain.action import Action, ActionKind
from spinney.domain.cluster import Cluster
from spinney.domain.fanout import Begin, Refusal
from spinney.domain.quota import Amounts
from spinney.store import quotas
from spinney.store.limits import Limits
from spinney.store.quotas import Change

_MINUTE = 60.0


def within(
    connection: Connection,
    action: Action,
    cluster: Cluster,
    outcome: Begin | Refusal,
    limits: Amounts,
    *,
    lock: bool = True,
) -> Begin | Refusal:
    """The outcome, or its refusal. To be stored in the same transaction, unless ``lock`` is False."""
    if isinstance(outcome, Refusal):
        return outcome
    profile_id = action.inputs.get("new_profile_id")
    change = Change(
        desired=outcome.cluster.desired_capacity,
        profile_id=None if profile_id is None else str(profile_id),
        joining=[child.node_id for child in outcome.children if child.action is ActionKind.NODE_JOIN],
        action=action.id,
    )
    reason = quotas.growth_fault(connection, cluster.project, cluster.id, change, limits, lock=lock)
    return outcome if reason is None else Refusal(f"{action.action.value}: {reason}.")


async def keep_copies(limits: Limits, clock: Clock) -> None:
    """Where others keep the limits: so that what grows by itself heeds them as they are. Runs until cancelled."""
    while limits.elsewhere:
        await clock.sleep(_MINUTE)
        await limits.renew_all()


def update_fault(connection: Connection, action: Action, limits: Amounts) -> str | None:
    """Why a node cannot have its new profile; what updates of clusters order is reserved already."""
    profile_id = action.inputs.get("new_profile_id")
    if action.action is not ActionKind.NODE_UPDATE or profile_id is None or action.cause.derived:
        return None
    return quotas.update_fault(connection, action.target, str(profile_id), limits)
