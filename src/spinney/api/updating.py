"""Going back to an earlier revision of a cluster, and what can be said to an update while it is under way.

Guaranteed: a rollback is an update to the profile of that revision, refused by the same rules, and a revision of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from pydantic import Field
from sqlalchemy import Connection, Row

from spinney.api.clusters import check_base, check_usable, submit_on, take_revision
from spinney.api.policed import check_update
from spinney.api.values import Bool, Count, Nothing, Positive, Request
from spinney.api.wire import Call
from spinney.domain.action import ActionKind
from spinney.domain.revision import Revision, earlier, rollback_to
from spinney.domain.rollout.wishing import Wish, objection
from spinney.errors import FeatureNotSupported, ResourceNotFound, RevisionConflict
from spinney.store import clusters, profiles, revisions, updates
from spinney.store.tables import node as node_table

_TOLD = 10
_PAST = {Wish.PAUSE: "paused", Wish.RESUME: "resumed", Wish.PROMOTE: "promoted", Wish.ABORT: "aborted"}

#: What each does.
WISHES: Mapping[Wish, str] = {
    Wish.PAUSE: "Let an update begin no more members until it is resumed.",
    Wish.RESUME: "Let a paused update go on; members that failed are tried again.",
    Wish.PROMOTE: "Let the other members follow the canary of an update.",
    Wish.ABORT: "Let an update take its members back to the profile that the cluster has.",
}


class Rollback(Request):
    revision: Positive | None = Field(None, description="Its number; given none, the one before.")
    base_revision: Count | None = Field(None, description="Refused when the cluster is at another revision.")
    supersede: Bool | None = Field(
        None,
        description="An update under way stops where it is, and this goes on from there; given none, this is refused.",
    )


def roll_back(connection: Connection, call: Call, data: Rollback, action_id: str) -> str:
    row = clusters.FINDER.get(connection, call.word, call.scope)
    check_base(connection, row, data.base_revision)
    target = _target(connection, row, data.revision)
    profile = _profile(connection, row, target)
    check_usable(connection, call, row, profile)
    inputs = {"new_profile_id": profile.id, "rollback": True, "restores": target.number}
    check_update(connection, call, row, action_id, inputs)
    inputs["revision"] = take_revision(connection, call, row, profile.id, action_id, rollback_to(target.number))
    inputs |= {"supersede": True} if data.supersede else {}
    submit_on(connection, call, action_id, ActionKind.CLUSTER_UPDATE, row, inputs, "rollback")
    return action_id


def _target(connection: Connection, row: Row[Any], wanted: int | None) -> Revision:
    """Raises: ResourceNotFound, RevisionConflict."""
    current = revisions.current(connection, row.id)
    known = revisions.of_cluster(connection, row.id)
    if wanted is None:
        found = earlier(known, current, strays=_strays(connection, row, known, current))
        if found is None:
            raise RevisionConflict(
                f"The cluster '{row.name}' has no earlier revision than {current} that was reached: there is nothing to roll "
                f"back to."
            )
    else:
        found = next((one for one in known if one.number == wanted), None)
        if found is None:
            raise ResourceNotFound(
                f"The cluster '{row.name}' has no revision {wanted}{' any more' * (wanted < current)}; there are "
                f"{_numbers(known)}."
            )
    if found.profile_id == row.profile_id and not _others(connection, row):
        raise RevisionConflict(
            f"The cluster '{row.name}' is at revision {current}, and all its members are made from the profile of revision "
            f"{found.number} already; name another revision."
        )
    return found


def _numbers(known: Sequence[Revision]) -> str:
    told = ", ".join(str(one.number) for one in known[:_TOLD])
    return told + (f" and {len(known) - _TOLD} earlier" if known[_TOLD:] else "")


def _strays(connection: Connection, row: Row[Any], known: Sequence[Revision], current: int) -> bool:
    """Whether an update that has not come to its end has left members behind, or is under way."""
    if updates.under_way(connection, row.id):
        return True
    wanted = {one.profile_id for one in known if one.number > current} - {row.profile_id}
    return bool(wanted) and _any_member(connection, row, node_table.c.profile_id.in_(wanted))


def _others(connection: Connection, row: Row[Any]) -> bool:
    """Whether some members are not made from the cluster's profile, or will not be for much longer."""
    return bool(updates.under_way(connection, row.id)) or _any_member(
        connection, row, node_table.c.profile_id != row.profile_id
    )


def _any_member(connection: Connection, row: Row[Any], which: sa.ColumnElement[bool]) -> bool:
    query = sa.select(node_table.c.id).where(node_table.c.cluster_id == row.id, which).limit(1)
    return connection.execute(query).first() is not None


def _profile(connection: Connection, row: Row[Any], target: Revision) -> Row[Any]:
    found = profiles.FINDER.by_id(connection, target.profile_id)
    if found is None:
        raise RevisionConflict(
            f"The profile of revision {target.number} of the cluster '{row.name}' was deleted: roll back to another revision, "
            f"or create a profile as it should be and update the cluster to that."
        )
    return found


def saying(wish: Wish) -> Callable[[Connection, Call, Nothing, str], str]:
    def say(connection: Connection, call: Call, data: Nothing, _: str) -> str:
        row = clusters.FINDER.get(connection, call.word, call.scope)
        under_way = updates.under_way(connection, row.id)
        if not under_way:
            raise FeatureNotSupported(
                f"The cluster '{row.name}' has no update under way that could be {_PAST[wish]}; see its revisions."
            )
        action = under_way[-1]
        canary = bool((action.data.get("update") or {}).get("canary"))
        no = objection(wish, action.outputs, action.inputs, stopping=action.cancel_requested, canary=canary)
        if no is not None:
            raise FeatureNotSupported(
                f"The update {action.id} of the cluster '{row.name}' cannot be {_PAST[wish]}: {no}."
            )
        updates.say(connection, action, wish, call.now)
        return action.id

    return say
