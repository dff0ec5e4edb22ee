"""``openstack cluster policy attach`` and ``detach``, and ``openstack cluster policy binding …``."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from spinney.osc.clusters import CLUSTER_RENAMES
from spinney.osc.columns import Column, Row
from spinney.osc.families import List, Show, Start
from spinney.osc.parsing import flag, given, truth, word
from spinney.osc.wire import Api

_POLICY = flag("--policy", required=True, help="Name or ID of the policy.")
#: What openstacksdk calls it.
_RENAMES = {"enabled": "is_enabled"}
_FILTER_NAMES = {"is_enabled": "enabled"}
_ENABLED = "Whether it is to have an effect"


class AttachPolicy(Start):
    """Attach a policy to a cluster."""

    action, renames = "policy_attach", CLUSTER_RENAMES
    flags = (_POLICY, flag("--enabled", metavar="<boolean>", help=_ENABLED + "; true if not given."))

    def params(self, args: Namespace) -> dict[str, Any]:
        return {"policy_id": args.policy, **given(enabled=truth(args.enabled, "--enabled"))}


class DetachPolicy(Start):
    """Detach a policy from a cluster."""

    action, renames, flags = "policy_detach", CLUSTER_RENAMES, (_POLICY,)

    def params(self, args: Namespace) -> dict[str, Any]:
        return {"policy_id": args.policy}


class UpdateBinding(Start):
    """Switch a policy of a cluster on or off."""

    action, renames = "policy_update", CLUSTER_RENAMES
    flags = (_POLICY, flag("--enabled", metavar="<boolean>", required=True, help=_ENABLED + "."))
    params = AttachPolicy.params


class ListBindings(List):
    """List the policies of a cluster."""

    columns = (
        Column("policy_id", is_id=True),
        Column("policy_name"),
        Column("policy_type"),
        Column("is_enabled", "enabled"),
    )
    flags = (word("cluster", "Name or ID."),)
    filters = ("enabled", "policy_name", "policy_type")
    filter_names = _FILTER_NAMES
    sort_keys = ("enabled",)
    pages = projects = False

    def where(self, args: Namespace) -> tuple[str, ...]:
        return ("clusters", args.cluster, "policies")


class ShowBinding(Show):
    """Show a policy of a cluster."""

    path, noun = "clusters", "cluster"
    renames = _RENAMES
    flags = (_POLICY,)

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        return api.one(self.path, named, "policies", args.policy)
