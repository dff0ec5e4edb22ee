"""``openstack cluster action …``, ``event …``, ``service list`` and ``build info``: what the service did, and what it is."""

from __future__ import annotations

from argparse import Namespace

from spinney.osc.columns import Column, Row
from spinney.osc.families import Answer, List, Show
from spinney.osc.parsing import flag, switch
from spinney.osc.wire import RENAMES, Api

_ACTION_RENAMES = {
    **RENAMES,
    "target": "target_id",
    "owner": "owner_id",
    "start_time": "start_at",
    "end_time": "end_at",
}
_ACTION_FILTERS = {"target_id": "target"}
_EVENT_FILTERS = {"obj_type": "otype", "obj_id": "oid", "obj_name": "oname"}
_EVENT_RENAMES = {
    **RENAMES,
    "timestamp": "generated_at",
    "oid": "obj_id",
    "oname": "obj_name",
    "otype": "obj_type",
}


class ListActions(List):
    """List actions."""

    path = "actions"
    columns = (
        Column("id", is_id=True),
        Column("name"),
        Column("action"),
        Column("status"),
        Column("target_id", "target", is_id=True),
        Column("depends_on", is_id=True),
        Column("depended_by", is_id=True),
        Column("created_at"),
        Column("cluster_id", is_id=True),
    )
    filters = ("name", "target", "action", "status", "cluster_id")
    filter_names = _ACTION_FILTERS
    sort_keys = ("name", "target", "action", "created_at", "status")


class ShowAction(Show):
    """Show an action."""

    path, noun, renames = "actions", "action", _ACTION_RENAMES


class UpdateAction(Show):
    """Cancel an action."""

    path, noun, about, renames = "actions", "action", "ID.", _ACTION_RENAMES
    flags = (
        flag("--status", required=True, help="CANCELLED: nothing else can be asked for."),
        switch("--force", "At once, even if that leaves something half done."),
    )

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        query = {"force": "true"} if args.force else None
        api.send("PATCH", self.path, named, body={"action": {"status": args.status}}, query=query)
        return api.one(self.path, named)


class ListEvents(List):
    """List events."""

    path = "events"
    columns = (
        Column("id", is_id=True),
        Column("generated_at", "timestamp"),
        Column("obj_type", "otype"),
        Column("obj_id", "oid", is_id=True),
        Column("obj_name", "oname"),
        Column("action"),
        Column("status"),
        Column("level"),
        Column("cluster_id", is_id=True),
        Column("meta_data"),
    )
    filters = ("level", "otype", "oid", "cluster_id", "oname", "action")
    filter_names = _EVENT_FILTERS
    sort_keys = ("timestamp", "level", "oid", "otype", "oname", "action", "status")


class ShowEvent(Show):
    """Show an event."""

    path, noun, about, renames = "events", "event", "ID.", _EVENT_RENAMES


class ListServices(List):
    """List the engine processes of the service."""

    path = "services"
    columns = (
        Column("binary"),
        Column("host"),
        Column("status"),
        Column("state"),
        Column("updated_at"),
        Column("disabled_reason"),
    )
    pages = projects = ids = False


class ShowBuildInfo(Answer):
    """Show the revisions of the service."""

    def answer(self, api: Api, args: Namespace) -> Row:
        return api.one("build-info")
