"""Actions that requests ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from spinney.api.wire import Call
from spinney.domain.action import ActionKind, Cause, queued
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
    action = queued(
        kind,
        target,
        call.owner,
        action_id=action_id,
        cause=Cause.REQUEST,
        now=call.now,
        operation=operation,
        cluster_id=cluster_id,
        timeout=timeout or call.deps.settings.default_action_timeout,
        inputs=inputs or {},
    )
    actions.submit(connection, action)
