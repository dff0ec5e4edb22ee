"""Looking into containers: what they write and use, where they are and why, and what an action would do.

None of it is Senlin's; a server that is not Spinney answers that there is no such path.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from osc_lib.command import command
from osc_lib.exceptions import CommandError

from spinney.osc.columns import Column, Lines, Row, Table, table
from spinney.osc.families import Base, List, Plain, Show
from spinney.osc.parsing import flag, given, switch, word
from spinney.osc.wire import Api

_LOG_FLAGS = (
    flag("--tail", type=int, help="Only so many lines from the end."),
    flag(
        "--since",
        metavar="<time>",
        help="Only what is newer: a time as in 2026-05-01T12:00:00Z, or seconds since 1970.",
    ),
    flag("--until", metavar="<time>", help="Only what is older."),
    switch("--timestamps", "With the time of each line."),
    switch("--follow", "Go on with what is written from now on."),
)


def _log_query(args: Namespace) -> dict[str, Any]:
    asked = given(tail=args.tail, since=args.since, until=args.until)
    return asked | {key: "true" for key in ("timestamps", "follow") if getattr(args, key)}


class NodeLogs(Plain):
    """Print what a container wrote."""

    flags = (word("node", "Name or ID."), *_LOG_FLAGS)

    def take_action(self, parsed_args: Namespace) -> None:
        for piece in self.api.stream("nodes", parsed_args.node, "logs", query=_log_query(parsed_args)):
            self.app.stdout.write(piece.decode(errors="replace"))
            self.app.stdout.flush()


class ClusterLogs(Plain):
    """Print what the containers of a cluster wrote, each line after the name of its node."""

    flags = (word("cluster", "Name or ID."), *_LOG_FLAGS)

    def take_action(self, parsed_args: Namespace) -> None:
        arriving = self.api.stream("clusters", parsed_args.cluster, "logs", query=_log_query(parsed_args))
        for entry in map(json.loads, _lines(arriving)):
            if "error" in entry:
                print(f"{entry['node_name']}: cannot be read: {entry['error']}", file=sys.stderr)
                continue
            time = f"{entry['time']} " if parsed_args.timestamps else ""
            self.say(f"{entry['node_name']} | {time}{entry['line'].rstrip()}")
            self.app.stdout.flush()


def _lines(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines, however the pieces are cut, and none of the empty ones that only keep the connection alive."""
    rest = b""
    for piece in pieces:
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line for line in lines if line.strip())
    if rest.strip():
        yield rest


class NodeStats(Show):
    """Show what a container uses."""

    path, noun = "nodes", "node"

    def found(self, api: Api, args: Namespace, named: str) -> Row:
        return api.one(self.path, named, "stats")


class ClusterStats(List):
    """Show what the containers of a cluster use."""

    columns = (
        Column("node_id", is_id=True),
        *(Column(name) for name in ("cpu", "memory", "memory_limit", "pids")),
        *(Column(name) for name in ("rx_bytes", "tx_bytes", "read_bytes", "write_bytes", "sampled_at")),
    )
    flags = (word("cluster", "Name or ID."),)
    pages = projects = False

    def where(self, args: Namespace) -> tuple[str, ...]:
        return ("clusters", args.cluster, "stats")


class WhyNode(Base, command.Lister):
    """Tell why a node is where it is, or why it waits: each host that was looked at, and what speaks against it."""

    flags = (word("node", "Name or ID."),)
    columns = (
        Column("host"),
        Column("fits"),
        Column("score"),
        Column("reasons"),
    )

    def take_action(self, parsed_args: Namespace) -> Table:
        placement = self.api.one("nodes", parsed_args.node, "placement")
        if parsed_args.formatter == "table":
            where = f"is on {placement['host']}" if placement["state"] == "placed" else "waits for a host"
            self.say(f"{parsed_args.node} {where}: {placement['summary']}")
            if placement.get("nearest_miss"):
                self.say(f"Nearest miss: {placement['nearest_miss']['text']}")
        rows = [
            {**host, "reasons": Lines([reason["text"] for reason in host.get("reasons") or ()])}
            for host in placement["hosts"]
        ]
        return table(self.columns, rows)


class PlanCluster(Base, command.Lister):
    """Show what an action would do to a cluster, without doing it."""

    flags = (
        word("cluster", "Name or ID."),
        flag("--scale-out", metavar="<count>", type=int, help="So many more nodes."),
        flag("--scale-in", metavar="<count>", type=int, help="So many fewer nodes."),
        flag("--capacity", type=int, help="Exactly so many nodes."),
        flag("--profile", help="Nodes made from another profile."),
        flag("--drain", metavar="<host>", help="A host emptied."),
        flag("--lose", metavar="<host>", help="A host lost."),
        switch("--rebalance", "Containers spread evenly over the hosts."),
    )
    columns = (
        Column("step"),
        Column("node"),
        Column("from"),
        Column("to"),
        Column("batch"),
        Column("manner"),
        Column("reason"),
    )

    def take_action(self, parsed_args: Namespace) -> Table:
        plan = self.api.change("POST", "clusters", parsed_args.cluster, "plan", body=question(parsed_args))
        waiting = [{"step": "wait", "node": one["node"], "reason": one["summary"]} for one in plan["unplaceable"]]
        if parsed_args.formatter == "table":
            self.say(plan["summary"])
        return table(self.columns, [*plan["steps"], *waiting])


def question(args: Namespace) -> Mapping[str, Any]:
    """The one thing that is asked. Raises: CommandError, when it is none or several."""
    asked = given(
        scale_out=None if args.scale_out is None else {"count": args.scale_out},
        scale_in=None if args.scale_in is None else {"count": args.scale_in},
        resize=None if args.capacity is None else {"adjustment_type": "EXACT_CAPACITY", "number": args.capacity},
        update=None if args.profile is None else {"profile_id": args.profile},
        drain=None if args.drain is None else {"host": args.drain},
        lose=None if args.lose is None else {"host": args.lose},
        rebalance={} if args.rebalance else None,
    )
    if len(asked) != 1:
        raise CommandError(
            "Give exactly one of --scale-out, --scale-in, --capacity, --profile, --drain, --lose and --rebalance."
        )
    return asked
