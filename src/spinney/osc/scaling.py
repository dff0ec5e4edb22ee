"""``openstack cluster autoscale …``: why clusters have the size they have, and what has been decided about it.

None of it is Senlin's. What is shown was written down at the evaluation; nothing is decided again for it.
"""

from __future__ import annotations

from argparse import Namespace
from typing import Any

from osc_lib.command import command
from osc_lib.exceptions import CommandError

from spinney.osc.columns import Column, Row, Table, table
from spinney.osc.families import Base, List
from spinney.osc.parsing import flag, truth, word
from spinney.osc.wire import Api

_CLUSTER = word("cluster", "Name or ID.")
#: Newest first: the service begins with the oldest.
_NEWEST = "at:desc"


def _decisions(api: Api, cluster: str, query: dict[str, Any]) -> list[Row]:
    found: list[Row] = api.get("clusters", cluster, "scaling-decisions", query=query)["scaling_decisions"]
    return found


class ExplainSize(Base, command.Lister):
    """Tell why a cluster has the size it has: each metric beside its target, what holds a change back, what would bring one."""

    flags = (_CLUSTER,)
    columns = (
        Column("about", "kind"),
        Column("metric", "data.metric"),
        Column("figure", "data.figure"),
        Column("target", "data.target"),
        Column("asks_for", "data.wanted"),
        Column("reason", "text"),
    )

    def take_action(self, parsed_args: Namespace) -> Table:
        found = _decisions(self.api, parsed_args.cluster, {"limit": 1, "sort": _NEWEST})
        if not found:
            raise CommandError(
                f"Nothing has been decided about {parsed_args.cluster} yet: attach a policy of type "
                f"spinney.policy.autoscaling to it, enabled, and wait for its first evaluation."
            )
        (decision,) = found
        if parsed_args.formatter == "table":
            self.say(f"{decision['sentence']}\nLooked at {decision['at']}, with {decision['size']} members.")
        return table(self.columns, decision["reasons"])


class ListDecisions(List):
    """List what was decided about the size of a cluster, the latest first."""

    columns = (
        Column("id", is_id=True),
        Column("at"),
        Column("times"),
        Column("size"),
        Column("wanted"),
        Column("acted"),
        Column("action_id", is_id=True),
        Column("sentence"),
    )
    flags = (
        _CLUSTER,
        flag("--acted", metavar="<boolean>", help="Only those that changed something, or with false only the others."),
    )
    projects = False

    def where(self, args: Namespace) -> tuple[str, ...]:
        return ("clusters", args.cluster, "scaling-decisions")

    def query(self, args: Namespace) -> dict[str, Any]:
        acted = truth(args.acted, "--acted")
        return super().query(args) | {"sort": _NEWEST, "acted": None if acted is None else str(acted).lower()}
