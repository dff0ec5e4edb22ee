"""How long the history of autoscaling is kept, and how finely.

Metrics are kept as they were for a day, and from then on as averages over five minutes; both they and decisions go after what
is configured, whether or not their cluster is still there.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.store.tables import metric, node, scaling_decision, usage

#: Seconds for which every sample is kept, and what is made one from then on.
DETAIL = 86400.0
COARSE = 300.0
#: How far back the thinning looks for what is still fine: an engine that was away for longer leaves it so.
_REACH = 6 * 3600.0


def prune(connection: Connection, now: float, kept: float, chunk: int) -> int:
    """``kept`` in seconds; 0: for ever. About a chunk of each kind at most; returns how many rows went."""
    removed = 0
    for table in (metric, scaling_decision) if kept > 0 else ():
        old = table.c.at < now - kept
        beyond = sa.select(table.c.at).where(old).order_by(table.c.at).offset(chunk).limit(1)
        until = connection.execute(beyond).scalar()
        which = old if until is None else table.c.at < until
        removed += connection.execute(table.delete().where(which)).rowcount
    ended = ~sa.exists().where(node.c.id == usage.c.node_id)
    removed += connection.execute(usage.delete().where(ended)).rowcount
    return removed + _thin(connection, now, chunk)


def _thin(connection: Connection, now: float, chunk: int) -> int:
    c = metric.c
    until = (now - DETAIL) // COARSE * COARSE
    stretch = sa.cast(c.at / COARSE, sa.BigInteger)
    groups = connection.execute(
        sa.select(
            c.cluster_id,
            c.name,
            sa.func.min(c.at).label("first"),
            sa.func.max(c.at).label("last"),
            sa.func.avg(c.value).label("value"),
            sa.func.avg(c.counted).label("counted"),
            sa.func.avg(c.members).label("members"),
        )
        .where(c.at >= until - _REACH, c.at < until)
        .group_by(c.cluster_id, c.name, stretch)
        .having(sa.func.count() > 1)
        .limit(chunk)
    ).all()
    removed = 0
    for group in groups:
        one = (c.cluster_id == group.cluster_id) & (c.name == group.name)
        rest = metric.delete().where(one, c.at > group.first, c.at <= group.last)
        removed += connection.execute(rest).rowcount
        value = None if group.value is None else float(group.value)
        averages = {"value": value, "counted": round(group.counted), "members": round(group.members)}
        connection.execute(metric.update().where(one, c.at == group.first).values(averages))
    return removed
