"""``spinney cluster rebalance``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from spinney.cli import looking, plan_view, waiting
from spinney.cli.batch import for_each
from spinney.cli.command import Use, command
from spinney.cli.faults import CliError
from spinney.cli.waiting import Scene, State, Verdict


def register(app: typer.Typer) -> None:
    command(app, "rebalance", waits=True, panel="Size and members")(rebalance)


def rebalance(
    use: Use,
    cluster: Annotated[str, typer.Argument(metavar="CLUSTER", help="Name, id or beginning of the id.")],
    max_moves: Annotated[int | None, typer.Option("--max-moves", min=1, help="At most so many moves.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which moves would gain what.")] = False,
) -> None:
    """Even out hosts by moving containers, new ones first: all on a host cluster, or the members of a container cluster."""
    asked: dict[str, Any] = {} if max_moves is None else {"max_moves": max_moves}
    if dry_run:
        if use.wait:
            raise CliError("--dry-run and --wait are both given: a dry run has nothing to wait for; leave one out")
        reply, _ = use.service.post("clusters", cluster, "plan", body={"rebalance": asked})
        plan_view.show(use, looking.unwrapped(reply))
        return

    def begin(word: str) -> tuple[str, str | None]:
        found = looking.unwrapped(use.service.get("clusters", word))
        reply, _ = use.service.post("clusters", found["id"], "actions", body={"rebalance": asked})
        return found["id"], reply["action"]

    for_each(use, [cluster], "cluster", "rebalance", begin, looking.at_cluster, balanced)


def balanced(scene: Scene) -> Verdict:
    """Only the action knows: hosts may be uneven for good reasons."""
    if scene.subject is None or scene.action is None:
        return Verdict(State.FAILED, waiting.describe(scene))
    says = str(scene.action.get("status_reason") or "").rstrip(".")
    if scene.working:
        return Verdict(State.PENDING, says)
    return Verdict(State.FAILED if scene.gave_up else State.REACHED, says)
