"""``openstack cluster node …``."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from spinney.osc.clusters import OPERATION, NodeList
from spinney.osc.columns import Column, Row
from spinney.osc.families import Answer, DeleteLater, Show, Start, StartEach
from spinney.osc.parsing import WAIT, flag, given, json_map, pairs, pairs_flag, switch, truth
from spinney.osc.waiting import outcome
from spinney.osc.wire import Api


class ListNodes(NodeList):
    """List nodes."""

    columns = (
        Column("id", is_id=True),
        Column("name"),
        Column("index"),
        Column("status"),
        Column("cluster_id", is_id=True),
        Column("physical_id", is_id=True),
        Column("profile_name"),
        Column("created_at"),
        Column("updated_at"),
        Column("tainted"),
    )
    flags = (flag("--cluster", help="Only those of the cluster with this name or ID."),)


class ShowNode(Show):
    """Show a node."""

    path, noun = "nodes", "node"
    flags = (switch("--details", "With what its container, host or server says of itself."),)

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        return api.one(self.path, named, query={"show_details": "true"} if args.details else None)


_METADATA = pairs_flag("--metadata", "Metadata of the node.")
_ROLE = flag("--role", help="What the node is in its cluster, in a word of yours.")


class CreateNode(Show):
    """Create a node."""

    path, noun, about = "nodes", "node-name", "Name of the node to create."
    flags = (
        flag("--profile", required=True, help="Name or ID of the profile to make it from."),
        flag("--cluster", help="Name or ID of the cluster to make it in."),
        _ROLE,
        _METADATA,
        WAIT,
    )

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        body = given(
            name=named,
            profile_id=args.profile,
            cluster_id=args.cluster,
            role=args.role,
            metadata=pairs(args.metadata) or None,
        )
        response = api.send("POST", self.path, body={"node": body})
        return outcome(api, response, self.path, args.wait)


class UpdateNode(Show):
    """Change a node."""

    path, noun = "nodes", "node"
    flags = (
        flag("--name", help="New name."),
        flag("--profile", help="Name or ID of the profile to use from now on."),
        _ROLE,
        pairs_flag("--metadata", "New metadata, instead of all there is; '{}' for none."),
        flag("--tainted", metavar="<boolean>", help="Whether it is the first to go when the cluster shrinks."),
        WAIT,
    )

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        body = given(
            name=args.name,
            profile_id=args.profile,
            role=args.role,
            metadata=None if args.metadata is None else pairs(args.metadata),
            tainted=truth(args.tainted, "--tainted"),
        )
        response = api.send("PATCH", self.path, named, body={"node": body})
        return outcome(api, response, self.path, args.wait)


class DeleteNodes(DeleteLater):
    """Delete nodes."""

    path, noun = "nodes", "node"


class CheckNodes(StartEach):
    """Look how nodes are."""

    path, noun, action = "nodes", "node", "check"


class RecoverNodes(StartEach):
    """Repair nodes that are not well."""

    path, noun, action = "nodes", "node", "recover"
    flags = (flag("--check", metavar="<boolean>", help="Whether to look first how they are; false if not given."),)

    def params(self, args: Namespace) -> dict[str, Any]:
        return given(check=truth(args.check, "--check"))


class OperateNode(Start):
    """Do an operation of the profile type on a node."""

    path, noun, flags = "nodes", "node", OPERATION

    def start(self, api: Api, args: Namespace, named: str) -> str:
        return api.start("POST", self.path, named, "ops", body={args.operation: pairs(args.params)})


class AdoptNode(Answer):
    """Make a node of something that exists, or show what that would make."""

    flags = (
        flag(
            "--identity", required=True, help="What it is called where it is: an id, or the address of a Docker engine."
        ),
        flag("--type", required=True, help="Profile type, as in host.docker-1.0."),
        flag("--name", metavar="<node-name>", help="Name of the node."),
        _ROLE,
        _METADATA,
        flag("--overrides", metavar="<json>", help="Properties that differ from what is found, as a JSON object."),
        switch("--preview", "Only show the profile that it would have."),
        switch("--snapshot", "Make a snapshot of it first, where its type can."),
    )

    def answer(self, api: Api, args: Namespace) -> Row:
        body = {
            "identity": args.identity,
            "type": args.type,
            **given(overrides=json_map(args.overrides, "--overrides") or None, snapshot=args.snapshot or None),
        }
        if args.preview:
            return api.change("POST", "nodes", "adopt-preview", body=body)
        body |= given(name=args.name, role=args.role, metadata=pairs(args.metadata) or None)
        return api.change("POST", "nodes", "adopt", body=body)
