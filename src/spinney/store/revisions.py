"""The revisions of clusters.

Guaranteed: a number is given once, also when two ask at the same time, because whoever asks for one holds the cluster's row;
``cluster.revision`` is the number of a revision that was reached, in the transaction that says so. Of old ones some are
forgotten whenever a number is given.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.domain import revision as domain
from spinney.domain.action import Action, ActionStatus
from spinney.domain.revision import Revision
from spinney.store.rows import REVISIONS
from spinney.store.tables import cluster as cluster_table
from spinney.store.tables import revision as table

_ALL = 2**31


def current(connection: Connection, cluster_id: str) -> int:
    """The number of the cluster's present revision, which does not change before this transaction has ended; 0: none yet."""
    query = sa.select(cluster_table.c.revision).where(cluster_table.c.id == cluster_id)
    number: int = connection.execute(query.with_for_update()).scalar_one()
    return number


def of_cluster(connection: Connection, cluster_id: str) -> list[Revision]:
    """The latest first."""
    found = REVISIONS.all(connection, table.c.cluster_id == cluster_id)
    return sorted(found, key=lambda one: one.number, reverse=True)


def found(connection: Connection, cluster_id: str, number: int) -> Revision | None:
    return REVISIONS.one(connection, table.c.cluster_id == cluster_id, table.c.number == number)


def first(connection: Connection, cluster_id: str, profile_id: str, now: float) -> None:
    """Of a cluster that has just been inserted."""
    made = Revision(cluster_id=cluster_id, number=1, profile_id=profile_id, created_at=now, reached_at=now)
    REVISIONS.insert(connection, [made])
    connection.execute(cluster_table.update().where(cluster_table.c.id == cluster_id).values(revision=1))


def begin(
    connection: Connection, cluster_id: str, profile_id: str, action_id: str, reason: str, now: float, keep: int
) -> int:
    """Give a number to what an action is to make of the cluster, and return it."""
    present = current(connection, cluster_id)
    known = of_cluster(connection, cluster_id)
    number = max((one.number for one in known), default=present) + 1
    wanted = Revision(
        cluster_id=cluster_id,
        number=number,
        profile_id=profile_id,
        action_id=action_id,
        reason=reason,
        created_at=now,
    )
    REVISIONS.insert(connection, [wanted])
    old = domain.expendable(known, present, keep)
    if old:
        connection.execute(table.delete().where(table.c.cluster_id == cluster_id, table.c.number.in_(old)))
    return number


def end(connection: Connection, action: Action, status: ActionStatus, why: str, now: float) -> None:
    """An action has ended with that status: what an update to another profile was to make is what the cluster is at, or the
    cluster is where it was and the revision says why. Does nothing for other actions."""
    if action.inputs.get("new_profile_id") is None:
        return
    if status is ActionStatus.SUCCEEDED:
        _reached(connection, action, now)
        return
    one = found(connection, action.target, int(action.inputs.get("revision") or 0))
    if one is not None and one.reached_at is None:
        ours = (table.c.cluster_id == one.cluster_id, table.c.number == one.number)
        said = why.removeprefix(f"{action.action.value}: ").rstrip(".")
        connection.execute(table.update().where(*ours).values(reason=domain.not_reached(one.reason, said)))


def _reached(connection: Connection, action: Action, now: float) -> None:
    number = action.inputs.get("revision")
    if number is None:  # it was not asked for through the API
        reason, profile_id = domain.UPDATE, str(action.inputs["new_profile_id"])
        number = begin(connection, action.target, profile_id, action.id, reason, now, keep=_ALL)
    ours = (table.c.cluster_id == action.target, table.c.number == number)
    connection.execute(table.update().where(*ours).values(reached_at=now))
    connection.execute(cluster_table.update().where(cluster_table.c.id == action.target).values(revision=number))


def forget(connection: Connection, cluster_id: str) -> None:
    """Of a cluster that is gone."""
    connection.execute(table.delete().where(table.c.cluster_id == cluster_id))
