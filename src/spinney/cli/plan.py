"""``spinney plan``: what an action would do, without doing it."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from spinney.cli import plan_view
from spinney.cli.cluster_members import resize_request
from spinney.cli.command import Use, command
from spinney.cli.looking import unwrapped

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="What an action on a cluster would do; nothing is changed."
)

Cluster = Annotated[str, typer.Argument(metavar="CLUSTER", help="Name, id or beginning of the id.")]
Host = Annotated[str, typer.Argument(metavar="HOST", help="Name, id or beginning of the id.")]
Number = Annotated[int, typer.Argument(metavar="[N]", min=1, help="How many.")]


def _ask(use: Use, cluster: str, verb: str, asked: dict[str, Any]) -> None:
    reply, _ = use.service.post("clusters", cluster, "plan", body={verb: asked})
    plan_view.show(use, unwrapped(reply))


@command(app, "scale-out")
def scale_out(use: Use, cluster: Cluster, number: Number = 1) -> None:
    """Where further nodes would go, and which would find no room."""
    _ask(use, cluster, "scale_out", {"count": number})


@command(app, "scale-in")
def scale_in(use: Use, cluster: Cluster, number: Number = 1) -> None:
    """Which nodes would be removed."""
    _ask(use, cluster, "scale_in", {"count": number})


@command(app, "resize")
def resize(
    use: Use, cluster: Cluster, capacity: Annotated[int, typer.Argument(metavar="N", min=0, help="So many nodes.")]
) -> None:
    """What another number of nodes would mean."""
    _ask(use, cluster, "resize", resize_request(capacity))


@command(app, "update")
def update(
    use: Use, cluster: Cluster, profile: Annotated[str, typer.Argument(metavar="PROFILE", help="The new profile.")]
) -> None:
    """Where the members would be with another profile."""
    _ask(use, cluster, "update", {"profile_id": profile})


@command(app, "drain")
def drain(use: Use, cluster: Cluster, host: Host) -> None:
    """Where the containers of a host would go, which could not leave it, and why."""
    _ask(use, cluster, "drain", {"host": host})


@command(app, "lose")
def lose(use: Use, cluster: Cluster, host: Host) -> None:
    """What the sudden loss of a host would mean."""
    _ask(use, cluster, "lose", {"host": host})


@command(app, "rebalance")
def rebalance(
    use: Use,
    cluster: Cluster,
    max_moves: Annotated[int | None, typer.Option("--max-moves", min=1, help="At most so many moves.")] = None,
) -> None:
    """Which moves would even out the hosts, and what each gains."""
    _ask(use, cluster, "rebalance", {} if max_moves is None else {"max_moves": max_moves})
