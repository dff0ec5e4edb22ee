"""Leave to run one command in a container, kept from the request for it until somebody connects, or nobody did in time.

Guaranteed: one who connects gets it, once and in time; of the word that opens it only a hash is kept, and of the command
nothing once it was used.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain.identity import Owner
from spinney.store.tables import exec_session as table
from spinney.store.tables import node


@dataclass(frozen=True, slots=True)
class Granted:
    """``request`` is sealed. Without a host and a container there is nothing any more to run the command in."""

    id: str
    request: bytes
    project: str
    node_id: str
    host_id: str | None
    container_id: str | None


def insert(
    connection: Connection,
    session_id: str,
    token_hash: str,
    node_id: str,
    request: bytes,
    owner: Owner,
    expires_at: float,
) -> None:
    connection.execute(
        table.insert().values(
            id=session_id,
            token_hash=token_hash,
            node_id=node_id,
            request=request,
            user=owner.user,
            project=owner.project,
            domain=owner.domain,
            expires_at=expires_at,
        )
    )


def find(connection: Connection, token_hash: str, now: float) -> Granted | None:
    """What the word opens, if it still does."""
    statement = (
        sa.select(table.c.id, table.c.request, table.c.project, table.c.node_id, node.c.host_id, node.c.physical_id)
        .select_from(table.outerjoin(node, table.c.node_id == node.c.id))
        .where(table.c.token_hash == token_hash, table.c.used_at.is_(None), table.c.expires_at > now)
    )
    found = connection.execute(statement).first()
    return None if found is None else Granted(*found)


def use(connection: Connection, session_id: str, now: float) -> bool:
    """Whether it was there to be used; from now on it is not."""
    unused = (table.c.id == session_id, table.c.used_at.is_(None), table.c.expires_at > now)
    return connection.execute(table.update().where(*unused).values(used_at=now, request=b"")).rowcount == 1


def prune(connection: Connection, now: float) -> int:
    """Forget those whose time is over."""
    return connection.execute(table.delete().where(table.c.expires_at < now)).rowcount
