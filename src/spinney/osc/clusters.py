"""``openstack cluster …``: clusters themselves, their size and their health."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from osc_lib.exceptions import CommandError

from spinney.osc.columns import Column, Row
from spinney.osc.families import DeleteLater, List, Show, Start, StartEach
from spinney.osc.parsing import WAIT, Flag, flag, given, listed, pairs, pairs_flag, switch, truth, word
from spinney.osc.waiting import outcome
from spinney.osc.wire import RENAMES, Api

CLUSTER_RENAMES = {**RENAMES, "nodes": "node_ids"}
_READINESS = (Column("ready", "data.readiness.ready"), Column("ready_reason", "data.readiness.reason"))
#: What an update is given beside what it changes.
CONDITIONS: tuple[Flag, ...] = (
    switch("--supersede", "Stop an update under way where it is, and go on from there."),
    flag("--base-revision", type=int, metavar="<number>", help="Only if that is the cluster's present revision."),
)


def conditions(args: Namespace) -> dict[str, Any]:
    return given(supersede=args.supersede or None, base_revision=args.base_revision)


class ListClusters(List):
    """List clusters."""

    path = "clusters"
    columns = (
        Column("id", is_id=True),
        Column("name"),
        Column("status"),
        Column("created_at"),
        Column("updated_at"),
    )
    filters = ("name", "status")
    sort_keys = ("name", "status", "init_at", "created_at", "updated_at")


class ShowCluster(Show):
    """Show a cluster."""

    path, noun, renames = "clusters", "cluster", CLUSTER_RENAMES


class CreateCluster(Show):
    """Create a cluster."""

    path, noun, renames = "clusters", "cluster-name", CLUSTER_RENAMES
    about = "Name of the cluster to create."
    flags = (
        flag("--profile", required=True, help="Name or ID of the profile that nodes are made from."),
        flag("--min-size", help="Fewest nodes; 0 if not given."),
        flag("--max-size", help="Most nodes; -1, no limit, if not given."),
        flag("--desired-capacity", help="Nodes wanted; the fewest if not given."),
        flag("--timeout", type=int, help="Seconds that an action of the cluster may last."),
        pairs_flag("--metadata", "Metadata of the cluster."),
        pairs_flag("--config", "Configuration of the cluster."),
        WAIT,
    )

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        body = given(
            name=named,
            profile_id=args.profile,
            min_size=args.min_size,
            max_size=args.max_size,
            desired_capacity=args.desired_capacity,
            timeout=args.timeout,
            metadata=pairs(args.metadata) or None,
            config=pairs(args.config) or None,
        )
        response = api.send("POST", self.path, body={"cluster": body})
        return outcome(api, response, self.path, args.wait)


class UpdateCluster(Show):
    """Change a cluster."""

    path, noun, renames = "clusters", "cluster", CLUSTER_RENAMES
    flags = (
        flag("--name", help="New name."),
        flag("--profile", help="Name or ID of the profile to use from now on."),
        flag(
            "--profile-only",
            metavar="<boolean>",
            help="Whether the nodes there are stay as they are; false if not given.",
        ),
        flag("--timeout", help="New time limit of actions, in seconds."),
        pairs_flag("--metadata", "New metadata, instead of all there is; '{}' for none."),
        pairs_flag("--config", "New configuration, instead of all there is; '{}' for none."),
        *CONDITIONS,
        WAIT,
    )

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        body = conditions(args) | given(
            name=args.name,
            profile_id=args.profile,
            profile_only=truth(args.profile_only, "--profile-only"),
            timeout=args.timeout,
            metadata=None if args.metadata is None else pairs(args.metadata),
            config=None if args.config is None else pairs(args.config),
        )
        response = api.send("PATCH", self.path, named, body={"cluster": body})
        return outcome(api, response, self.path, args.wait)


class DeleteClusters(DeleteLater):
    """Delete clusters and their nodes."""

    path, noun = "clusters", "cluster"


class ResizeCluster(Start):
    """Resize a cluster."""

    action, renames = "resize", CLUSTER_RENAMES
    flags = (
        flag("--capacity", type=int, help="Nodes wanted."),
        flag("--adjustment", type=int, help="How many more, or with a minus fewer."),
        flag("--percentage", type=float, help="How many more in percent, or with a minus fewer."),
        flag("--min-step", type=int, help="Fewest nodes that --percentage changes."),
        switch("--strict", "Refuse rather than go as far as the limits of the size allow."),
        flag("--min-size", type=int, metavar="min", help="New fewest nodes."),
        flag("--max-size", type=int, metavar="max", help="New most nodes; -1 for no limit."),
    )
    _KINDS: Mapping[str, str] = {
        "capacity": "EXACT_CAPACITY",
        "adjustment": "CHANGE_IN_CAPACITY",
        "percentage": "CHANGE_IN_PERCENTAGE",
    }

    def params(self, args: Namespace) -> dict[str, Any]:
        sizes = {key: getattr(args, key) for key in self._KINDS if getattr(args, key) is not None}
        if len(sizes) > 1:
            raise CommandError("--capacity, --adjustment and --percentage exclude each other: give one of them.")
        if not sizes and args.min_size is None and args.max_size is None:
            raise CommandError("Give one of --capacity, --adjustment and --percentage, or --min-size or --max-size.")
        if args.min_step is not None and "percentage" not in sizes:
            raise CommandError("--min-step goes with --percentage alone.")
        asked = given(min_size=args.min_size, max_size=args.max_size, min_step=args.min_step, strict=args.strict)
        for key, number in sizes.items():
            asked |= {"adjustment_type": self._KINDS[key], "number": number}
        return asked


class ExpandCluster(Start):
    """Add nodes to a cluster."""

    action, renames = "scale_out", CLUSTER_RENAMES
    flags = (flag("--count", help="How many; 1, or what a policy says, if not given."),)

    def params(self, args: Namespace) -> dict[str, Any]:
        return given(count=args.count)


class ShrinkCluster(Start):
    """Remove nodes from a cluster."""

    action, renames = "scale_in", CLUSTER_RENAMES
    flags = ExpandCluster.flags

    def params(self, args: Namespace) -> dict[str, Any]:
        return given(count=args.count)


class CheckClusters(StartEach):
    """Look how the nodes of clusters are."""

    path, noun, action = "clusters", "cluster", "check"


class RecoverClusters(StartEach):
    """Repair the nodes of clusters that are not well."""

    path, noun, action = "clusters", "cluster", "recover"
    flags = (flag("--check", metavar="<boolean>", help="Whether to look first how they are; false if not given."),)

    def params(self, args: Namespace) -> dict[str, Any]:
        return given(check=truth(args.check, "--check"))


OPERATION: tuple[Flag, ...] = (
    flag("--operation", required=True, help="What to do: see 'openstack cluster profile type ops'."),
    pairs_flag("--params", "Parameters of the operation."),
)


class OperateCluster(Start):
    """Do an operation of the profile type on all nodes of a cluster."""

    renames, flags = CLUSTER_RENAMES, OPERATION

    def start(self, api: Api, args: Namespace, named: str) -> str:
        body = {args.operation: {"params": pairs(args.params)}}
        return api.start("POST", self.path, named, "ops", body=body)


class CollectAttributes(List):
    """Collect one value of each node of a cluster."""

    columns = (Column("node_id", "id", is_id=True), Column("attr_value", "value"))
    flags = (
        word("cluster", "Name or ID."),
        flag("--path", required=True, help="JSONPath of the value, as in details.status."),
    )
    pages = projects = False

    def where(self, args: Namespace) -> tuple[str, ...]:
        return ("clusters", args.cluster, "attrs", args.path)


class NodeList(List):
    """Nodes, all or those of a cluster."""

    path = "nodes"
    filters = ("name", "status")
    sort_keys = ("index", "name", "status", "init_at", "created_at", "updated_at")

    def all_flags(self) -> Iterable[Flag]:
        yield from super().all_flags()
        yield switch("--long", "With whether each may be given work, and if not, why.")

    def chosen_columns(self, args: Namespace) -> Sequence[Column]:
        """Programs count on the columns that Senlin's lists had."""
        return (*super().chosen_columns(args), *(_READINESS if args.long else ()))

    def query(self, args: Namespace) -> dict[str, Any]:
        return super().query(args) | {"cluster_id": args.cluster}


class ListMembers(NodeList):
    """List the nodes of a cluster."""

    columns = (
        Column("id", is_id=True),
        Column("name"),
        Column("index"),
        Column("status"),
        Column("physical_id", is_id=True),
        Column("created_at"),
    )
    flags = (word("cluster", "Name or ID."),)
    projects = False


class AddMembers(Start):
    """Make nodes members of a cluster."""

    action, renames = "add_nodes", CLUSTER_RENAMES
    flags = (flag("--nodes", required=True, help="Names or IDs of the nodes, separated by commas."),)

    def params(self, args: Namespace) -> dict[str, Any]:
        return {"nodes": listed(args.nodes)}


class RemoveMembers(Start):
    """Take nodes out of a cluster."""

    action, renames = "del_nodes", CLUSTER_RENAMES
    flags = (
        *AddMembers.flags,
        flag(
            "-d",
            "--destroy-after-deletion",
            metavar="<boolean>",
            help="Whether to delete them as well; false if not given.",
        ),
    )

    def params(self, args: Namespace) -> dict[str, Any]:
        destroy = truth(args.destroy_after_deletion, "--destroy-after-deletion")
        return {"nodes": listed(args.nodes), "destroy_after_deletion": bool(destroy)}


class ReplaceMembers(Start):
    """Put nodes in the places of members of a cluster."""

    action, renames = "replace_nodes", CLUSTER_RENAMES
    flags = (
        flag(
            "--nodes",
            metavar="<OLD_NODE=NEW_NODE>",
            required=True,
            action="append",
            help="Which member by which node; several are separated by commas, or given one by one.",
        ),
    )

    def params(self, args: Namespace) -> dict[str, Any]:
        return {"nodes": pairs(listed(",".join(args.nodes)))}
