"""``openstack cluster receiver …``."""

from __future__ import annotations

from argparse import Namespace

from spinney.osc.columns import Column, Row
from spinney.osc.families import Delete, List, Show
from spinney.osc.parsing import flag, given, pairs, pairs_flag
from spinney.osc.wire import Api

#: What openstacksdk calls it.
_FILTER_NAMES = {"user_id": "user"}


class ListReceivers(List):
    """List receivers."""

    path = "receivers"
    columns = (
        Column("id", is_id=True),
        Column("name"),
        Column("type"),
        Column("cluster_id", is_id=True),
        Column("action"),
        Column("created_at"),
    )
    filters = ("name", "type", "action", "cluster_id", "user")
    filter_names = _FILTER_NAMES
    sort_keys = ("name", "type", "action", "cluster_id", "created_at")


class ShowReceiver(Show):
    """Show a receiver."""

    path, noun = "receivers", "receiver"


_PARAMS = pairs_flag("--params", "Inputs of the action that it starts.")


class CreateReceiver(Show):
    """Create a receiver."""

    path, noun, about = "receivers", "name", "Name of the receiver to create."
    flags = (
        flag("--type", default="webhook", help="webhook or message; webhook if not given."),
        flag("--cluster", help="Name or ID of the cluster that it acts on."),
        flag("--action", metavar="<action>", help="What it does to the cluster, as in CLUSTER_SCALE_OUT."),
        _PARAMS,
    )

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        body = given(
            name=named,
            type=args.type,
            cluster_id=args.cluster,
            action=args.action,
            params=pairs(args.params) or None,
        )
        return api.change("POST", self.path, body={"receiver": body})


class UpdateReceiver(Show):
    """Change a receiver."""

    path, noun = "receivers", "receiver"
    flags = (
        flag("--name", help="New name."),
        flag("--action", metavar="<action>", help="What it does from now on."),
        _PARAMS,
    )

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        body = given(name=args.name, action=args.action, params=None if args.params is None else pairs(args.params))
        return api.change("PATCH", self.path, named, body={"receiver": body})


class DeleteReceivers(Delete):
    """Delete receivers."""

    path, noun = "receivers", "receiver"
