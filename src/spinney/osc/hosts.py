"""``openstack cluster host …`` and ``openstack cluster share …``: the machines that containers run on."""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from spinney.osc.columns import Column, Fields, Row, fields
from spinney.osc.families import Base, List, Show, Start, each
from spinney.osc.parsing import flag, given, switch, word
from spinney.osc.wire import Api


class ListHosts(List):
    """List hosts."""

    path = "hosts"
    columns = (
        Column("id", is_id=True),
        Column("name"),
        Column("state"),
        Column("cluster_id", is_id=True),
        Column("zone"),
        Column("containers"),
        Column("cpu_reserved", "reserved.cpu"),
        Column("cpu_capacity", "capacity.cpu"),
        Column("memory_reserved", "reserved.memory"),
        Column("memory_capacity", "capacity.memory"),
    )
    flags = (flag("--cluster", help="Only those of the host cluster with this name or ID."),)
    filters = ("state", "zone", "region", "label")
    sort_keys = ("name", "created_at")
    projects = False

    def query(self, args: Namespace) -> dict[str, Any]:
        return super().query(args) | {"cluster_id": args.cluster}


class ShowHost(Show):
    """Show a host."""

    path, noun = "hosts", "host"


class _HostAction(Start):
    path, noun = "hosts", "host"


class CordonHost(_HostAction):
    """Place nothing new on a host; what is there stays."""

    action = "cordon"


class UncordonHost(_HostAction):
    """Open a host again."""

    action = "uncordon"


class DrainHost(_HostAction):
    """Move every container of a host to others, within the disruption budgets of the clusters."""

    action = "drain"
    flags = (
        flag("--deadline", type=int, metavar="<seconds>", help="Begin no move after this time."),
        flag("--max-in-flight", type=int, metavar="<count>", help="Moves at a time."),
        switch("--dry-run", "Only show what would go where."),
    )

    def params(self, args: Namespace) -> dict[str, Any]:
        return given(deadline=args.deadline, max_in_flight=args.max_in_flight)

    def take_action(self, parsed_args: Namespace) -> Fields:
        if not parsed_args.dry_run:
            return super().take_action(parsed_args)
        parsed_args.wait = True  # there is something to show at once
        body = {"drain": {**self.params(parsed_args), "dry_run": True}}
        return fields(self.api.change("POST", "hosts", parsed_args.host, "actions", body=body))


class RemoveHost(Base):
    """Give up hosts; one that carries containers, or that profiles name, is refused."""

    flags = (
        word("host", "Names or IDs of each host.", nargs="+"),
        switch("--force", "Even while something is at work."),
    )

    def take_action(self, parsed_args: Namespace) -> None:
        api = self.api
        body = {"remove": {"force": True} if parsed_args.force else {}}

        def remove(named: str) -> None:
            action = api.start("POST", "hosts", named, "actions", body=body)
            self.say(f"{named}: accepted by action {action}")

        each(parsed_args.host, remove, "remove {} of the {} host(s)")


_PROJECT = flag("--project", required=True, metavar="<project-id>", help="ID of the project; * for all.")


class ListShares(List):
    """List the projects that may place containers on the hosts of a cluster."""

    columns = (Column("project_id"), Column("created_at"))
    flags = (word("cluster", "Name or ID."),)
    pages = projects = ids = False

    def where(self, args: Namespace) -> tuple[str, ...]:
        return ("clusters", args.cluster, "shares")


class AddShare(Show):
    """Let another project, or all, place containers on the hosts of a cluster."""

    path, noun, flags = "clusters", "cluster", (_PROJECT,)

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        return api.change("POST", self.path, named, "shares", body={"share": {"project_id": args.project}})


class RemoveShare(Base):
    """Let a project place nothing more on the hosts of a cluster; what it has there is moved away."""

    flags = (word("cluster", "Name or ID."), _PROJECT)

    def take_action(self, parsed_args: Namespace) -> None:
        self.api.send("DELETE", "clusters", parsed_args.cluster, "shares", parsed_args.project)
        self.say(f"Share removed: {parsed_args.project}")


class ListSharedClusters(List):
    """List the host clusters of others that one's own project may use."""

    path = "shared-clusters"
    columns = (Column("id", is_id=True), Column("name"), Column("status"), Column("zones"))
    pages = projects = False
