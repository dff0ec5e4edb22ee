"""``spinney balancer``: the load balancers of clusters, and the image they are made of."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from spinney.cli import output
from spinney.cli.command import Use, command
from spinney.cli.faults import CliError
from spinney.cli.output import Column, Format, Row, reason_of
from spinney.cli.text import ago, one_line

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Load balancers of clusters.")

Cluster = Annotated[str, typer.Argument(metavar="CLUSTER", help="Name, id or beginning of the id.")]


def _where(row: Row) -> str:
    return ", ".join(f"{one.get('address')}:{one.get('port')}" for one in row.get("addresses") or ())


def _inside(row: Row) -> str:
    members = row.get("members") or ()
    return f"{sum(one.get('state') == 'in' for one in members)}/{len(members)}"


def _rate(row: Row) -> str:
    rate = row.get("request_rate")
    return "" if rate is None else f"{rate:.1f}/s"


def _requests(row: Row) -> str | None:
    """With the age of the count: what was served since is not in it."""
    count = row.get("requests")
    return None if count is None else f"{count} ({ago(row.get('measured_at'), datetime.now(UTC))})"


COLUMNS = (
    Column("POLICY", lambda row: str(row.get("policy_id", ""))[:8]),
    Column("KIND", "kind"),
    Column("STATE", "state", is_status=True),
    Column("ADDRESS", _where),
    Column("IN", _inside, right=True),
    Column("REQUESTS", _rate, right=True),
    reason_of("state", "active"),
)
MEMBERS = (
    Column("NODE", "node_name"),
    Column("ID", lambda row: str(row.get("node_id", ""))[:8]),
    Column("STATE", "state", is_status=True),
    Column("SINCE", "since", is_time=True),
    Column("SESSIONS", "sessions", right=True),
    Column("REQUESTS", _rate, right=True),
    Column("REASON", lambda row: one_line(row.get("state_reason") or ""), cut=True, optional=True),
)


@app.callback()
def balancer() -> None:
    """Load balancers of clusters."""


def _of(use: Use, cluster: str) -> list[Any]:
    return list(use.service.get("clusters", cluster, "balancers")["balancers"])


_NONE = "no load balancer: attach a policy of type senlin.policy.loadbalance"


@command(app, "list")
def list_(use: Use, cluster: Cluster) -> None:
    """List the load balancers of a cluster: one for each policy that asks for one."""
    output.show_list(_of(use, cluster), COLUMNS, use.form, _NONE)


@command(app, "show")
def show(use: Use, cluster: Cluster) -> None:
    """Show the load balancers of a cluster, and who is in their pools."""
    found = _of(use, cluster)
    if use.form is not Format.TABLE:
        output.show_list(found, COLUMNS, use.form, _NONE)
        return
    if not found:
        raise CliError(f"{one_line(cluster)} has {_NONE}")
    for number, one in enumerate(found):
        if number:
            output.emit("")
        output.show_fields(
            [
                ("id", one.get("id")),
                ("policy", one.get("policy_id")),
                ("node", one.get("node_id")),
                ("state", one.get("state")),
                ("reason", one.get("state_reason")),
                ("address", _where(one)),
                ("requests", _requests(one)),
                ("rate", _rate(one)),
                ("sessions", one.get("sessions")),
            ]
        )
        output.emit("")
        output.show_list(one.get("members") or (), MEMBERS, use.form, "nobody is in its pool")


@app.command("build-image")
def build_image(
    output_file: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Where to write it; for [balancer] image_archive.")
    ],
) -> None:
    """Build the image of load balancers from Debian's packages, as a file that hosts are brought.

    Needs a Debian or Ubuntu machine of the hosts' architecture, and where its apt gets packages from; installs nothing.
    """
    from spinney.drivers.balancer.building import CannotBuild, build
    from spinney.drivers.balancer.image import reference_of

    try:
        made = build()
        output_file.write_bytes(made)
    except (CannotBuild, OSError) as error:
        raise CliError(f"the image cannot be built: {error}") from error
    output.emit(f"{output_file}: {reference_of(made)}, {len(made) / 2**20:.0f} MiB")
