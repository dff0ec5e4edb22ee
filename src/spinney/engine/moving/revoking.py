"""The net under revoked shares: their containers are ordered away with the revocation; this finds those that came later.

A placement decided just before a share was taken back may be recorded just after. One engine looks, once a minute.
"""

from __future__ import annotations

from sqlalchemy import Connection

from spinney.clock import Ids
from spinney.domain import ownership
from spinney.engine.worker import Session
from spinney.store import engines, revoking

INTERVAL = 60.0
_OWNERSHIP = "revoking"


async def look_after(session: Session) -> None:
    """Runs until cancelled."""
    context = session.context
    while True:
        await context.clock.sleep(INTERVAL)
        if await context.store.transact(_look, session.id, context.ids, context.clock.now()):
            session.wake_at(context.clock.now())


def _look(connection: Connection, engine_id: str, ids: Ids, now: float) -> int:
    if ownership.owner(_OWNERSHIP, [row.id for row in engines.alive(connection)]) != engine_id:
        return 0
    return revoking.order_evictions(connection, ids, now)
