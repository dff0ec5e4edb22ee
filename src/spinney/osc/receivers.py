"""``openstack cluster receiver …``."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from spinney.osc.columns import Column, Row
from spinney.osc.families import Delete, List, Show
from spinney.osc.parsing import flag, given, pairs, pairs_flag, truth
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


_LIMITS = (
    flag("--enabled", metavar="<boolean>", help="Whether it may be used; true if not given."),
    flag("--open", metavar="<boolean>", help="Whether its URL needs no secret, where the operator allows that."),
    flag("--expires-at", metavar="<time>", help="Until when it may be used, as in 2030-12-31T23:59:59Z, or never."),
    flag("--rate-limit", type=int, metavar="<number>", help="How often a minute it may be used."),
)


def _limits(args: Namespace) -> dict[str, Any]:
    """What receivers of Spinney have beside Senlin's."""
    return given(
        enabled=truth(args.enabled, "--enabled"),
        open=truth(args.open, "--open"),
        expires_at=args.expires_at,
        rate_limit=args.rate_limit,
    )


class CreateReceiver(Show):
    """Create a receiver; its URL is shown with the secret in it now, and never again."""

    path, noun, about = "receivers", "name", "Name of the receiver to create."
    flags = (
        flag("--type", default="webhook", help="webhook or message; webhook if not given."),
        flag("--cluster", help="Name or ID of the cluster that it acts on."),
        flag("--action", metavar="<action>", help="What it does to the cluster, as in CLUSTER_SCALE_OUT."),
        _PARAMS,
        *_LIMITS,
    )

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        body = given(
            name=named,
            type=args.type,
            cluster_id=args.cluster,
            action=args.action,
            params=pairs(args.params) or None,
            **_limits(args),
        )
        return api.change("POST", self.path, body={"receiver": body})


class UpdateReceiver(Show):
    """Change a receiver."""

    path, noun = "receivers", "receiver"
    flags = (
        flag("--name", help="New name."),
        flag("--action", metavar="<action>", help="What it does from now on."),
        _PARAMS,
        *_LIMITS,
    )

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        params = None if args.params is None else pairs(args.params)
        body = given(name=args.name, action=args.action, params=params, **_limits(args))
        return api.change("PATCH", self.path, named, body={"receiver": body})


class DeleteReceivers(Delete):
    """Delete receivers."""

    path, noun = "receivers", "receiver"


class RotateReceiver(Show):
    """Give a receiver another secret; the one before is worth nothing from then on."""

    path, noun = "receivers", "receiver"

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        return api.change("POST", self.path, named, "rotate", body={})
