"""Reading health policies, and closing the breakers of clusters whose members are all well.

Guaranteed: a policy that is attached, changed or detached counts within a second; one engine closes a breaker, chosen by
rendezvous hashing over the live sessions.
"""

from __future__ import annotations

from sqlalchemy import Connection

from spinney.domain import ownership
from spinney.engine.worker import Session
from spinney.store import engines, health_rules
from spinney.store.health_rules import Ruled

#: Seconds between looks.
_TICK = 1.0


async def look_after(session: Session) -> None:
    """Runs until cancelled. Raises: LeaseLost."""
    context = session.context
    while True:
        found, alive = await context.store.read(_read)
        context.checks.ruled = found
        for one in found.values():
            if one.breaker.open and ownership.owner(one.cluster_id, alive) == session.id:
                await context.store.transact(health_rules.close_where_well, one, context.ids.new(), context.clock.now())
        await context.clock.sleep(_TICK)


def _read(connection: Connection) -> tuple[dict[str, Ruled], list[str]]:
    found = health_rules.ruled(connection)
    return found, [row.id for row in engines.alive(connection)] if found else []
