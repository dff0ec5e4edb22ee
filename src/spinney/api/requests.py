"""Actions that requests ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from spinney.api.wire import Call
from spinney.domain.action import Action, ActionKind, ActionStatus, Cause, action_name
from spinney.store import actions


def submit(
    connection: Connection,
    call: Call,
    action_id: str,
    kind: ActionKind,
    *,
    target: str,
    cluster_id: str,
    timeout: int | None = None,
    inputs: Mapping[str, Any] | None = None,
    operation: str | None = None,
) -> None:
    """Queue what the caller asks for. Raises: ResourceIsLocked, ActionConflict."""
    owner = call.owner
    action = Action(
        id=action_id,
        name=action_name(kind, target, operation),
        target=target,
        action=kind,
        cause=Cause.REQUEST,
        status=ActionStatus.READY,
        status_reason="Queued",
        cluster_id=cluster_id,
        ready_at=call.now,
        timeout=timeout or call.deps.settings.default_action_timeout,
        inputs=inputs or {},
        created_at=call.now,
        user=owner.user,
        project=owner.project,
        domain=owner.domain,
    )
    actions.submit(connection, action)
