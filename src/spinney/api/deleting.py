"""Deletions of what takes its time to go: clusters and nodes."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from spinney.api.reading import read_force
from spinney.api.wire import Call, Reply, queued


async def delete_later(call: Call, order: Callable[[Connection, Call, bool, str], None]) -> Reply:
    """``order`` checks and queues the action, given ``force`` and its id."""
    force, action_id = read_force(call), call.deps.ids.new()
    await call.deps.store.transact(order, call, force, action_id)
    call.deps.ring()
    return queued(action_id, None)
