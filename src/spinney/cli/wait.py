"""``spinney wait``: until a cluster has a status, whoever is working on it."""

from __future__ import annotations

from typing import Annotated

import typer

from spinney.cli import looking, output, waiting
from spinney.cli.command import DEFAULT_WAIT, Use, standing_alone
from spinney.cli.output import Format
from spinney.cli.progress import finish


@standing_alone
def wait(
    use: Use,
    cluster: Annotated[str, typer.Argument(metavar="CLUSTER", help="Name, id or beginning of the id.")],
    status: Annotated[
        str, typer.Option("--status", help="ACTIVE (with all wanted members), any other status, or DELETED.")
    ] = "ACTIVE",
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="How long, in seconds.")] = DEFAULT_WAIT,
) -> None:
    """Wait until a cluster has a status; exit 0 reached, 2 failed and nobody at work on it, 3 timed out."""
    wanted = status.upper()
    use.timeout = timeout
    known = looking.found(use.service, "clusters", cluster)
    if known is None and wanted == "DELETED":
        output.note(f"{cluster}: there is no such cluster")
        return
    found = known or looking.unwrapped(use.service.get("clusters", cluster))
    show = None if use.form is Format.TABLE else lambda seen: output.show_object(seen, use.form)
    finish(use, cluster, looking.at_work_on(use.service, found["id"]), waiting.status_is(wanted), show)
