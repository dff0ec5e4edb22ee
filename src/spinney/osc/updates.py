"""``openstack cluster rollback``, ``revision list``, and what is said to an update under way. None of it is Senlin's."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import Any

from spinney.osc.clusters import CLUSTER_RENAMES, CONDITIONS, conditions
from spinney.osc.columns import Column, Fields
from spinney.osc.families import List, Start
from spinney.osc.parsing import Flag, flag, given, word


class RollBackCluster(Start):
    """Take the members of a cluster back to an earlier revision."""

    action, renames = "rollback", CLUSTER_RENAMES
    flags = (
        flag("--to", type=int, metavar="<number>", help="Number of the revision; the one before if not given."),
        *CONDITIONS,
    )

    def params(self, args: Namespace) -> dict[str, Any]:
        return given(revision=args.to) | conditions(args)


class ListRevisions(List):
    """List what the members of a cluster were to be made from, the latest first."""

    columns = (
        Column("number"),
        Column("profile_name"),
        Column("image"),
        Column("digest"),
        Column("current"),
        Column("reason"),
        Column("created_at"),
        Column("reached_at"),
        Column("action_id", is_id=True),
    )
    flags = (word("cluster", "Name or ID."),)
    pages = projects = False

    def where(self, args: Namespace) -> tuple[str, ...]:
        return ("clusters", args.cluster, "revisions")


class _Say(Start):
    """The update heeds it at its next step, and goes on to its own end: there is nothing to wait for."""

    renames = CLUSTER_RENAMES

    def all_flags(self) -> Iterable[Flag]:
        yield word(self.noun, "Name or ID.")

    def take_action(self, parsed_args: Namespace) -> Fields:
        parsed_args.wait = False
        return super().take_action(parsed_args)


class PauseUpdate(_Say):
    """Let the update of a cluster begin no more members until it is resumed."""

    action = "pause"


class ResumeUpdate(_Say):
    """Let the paused update of a cluster go on; members that failed are tried again."""

    action = "resume"


class PromoteUpdate(_Say):
    """Let the other members of a cluster follow the canary of its update."""

    action = "promote"


class AbortUpdate(_Say):
    """Take the members that the update of a cluster has changed back to the profile that the cluster has."""

    action = "abort"
