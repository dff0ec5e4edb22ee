"""The revisions of a cluster: what its members were to be made from, in the order in which that was wanted."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from spinney.api import views
from spinney.api.wire import Call, Reply, json_reply
from spinney.domain.revision import Revision
from spinney.store import clusters, image_rules, revisions
from spinney.store.tables import profile


async def index(call: Call) -> Reply:
    return json_reply({"revisions": await call.deps.store.read(_index, call)})


def _index(connection: Connection, call: Call) -> list[dict[str, Any]]:
    cluster = clusters.FINDER.get(connection, call.word, call.scope)
    found = revisions.of_cluster(connection, cluster.id)
    made_of = {one.profile_id for one in found}
    rows = connection.execute(sa.select(profile.c.id, profile.c.name, profile.c.spec).where(profile.c.id.in_(made_of)))
    profiles = {row.id: row for row in rows}
    digests = image_rules.digests_for(connection, cluster.id)
    return [
        _view(one, profiles.get(one.profile_id), digests.get(one.profile_id), cluster.revision == one.number)
        for one in found
    ]


def _view(one: Revision, made_of: Any, resolved: str | None, current: bool) -> dict[str, Any]:
    image = None if made_of is None else (made_of.spec.get("properties") or {}).get("image")
    return {
        "action_id": one.action_id,
        "created_at": views.when(one.created_at),
        "current": current,
        "digest": (resolved or image or "").partition("@")[2] or None,
        "image": image,
        "number": one.number,
        "profile_id": one.profile_id,
        "profile_name": "Unknown" if made_of is None else made_of.name,
        "reached_at": views.when(one.reached_at),
        "reason": one.reason,
    }
