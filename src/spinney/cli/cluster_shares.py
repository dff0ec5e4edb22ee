"""``spinney cluster share`` and its kin: letting other projects use a host cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from spinney.cli import looking, output
from spinney.cli.command import Use, command
from spinney.cli.output import Column, Format
from spinney.cli.text import one_line

PANEL = "Sharing"
Cluster = Annotated[str, typer.Argument(metavar="CLUSTER", help="Name, id or beginning of the id.")]
With = Annotated[str, typer.Option("--with", metavar="PROJECT", help="Id of the project, or * for all.")]

COLUMNS = (
    Column("PROJECT", "project_id"),
    Column("SINCE", "created_at", is_time=True),
)
SHARED = (
    Column("NAME", "name"),
    Column("ID", "id"),
    Column("STATUS", "status", is_status=True),
    Column("ZONES", lambda row: one_line(row.get("zones"))),
    Column("HOSTS", lambda row: one_line([host.get("name") for host in row.get("hosts") or ()])),
)


def share(use: Use, cluster: Cluster, with_: With) -> None:
    """Let another project place containers on a host cluster."""
    reply, _ = use.service.post("clusters", cluster, "shares", body={"share": {"project_id": with_}})
    _report(use, cluster, looking.unwrapped(reply), f"shared with {_named(with_)}")


def unshare(use: Use, cluster: Cluster, with_: With) -> None:
    """Let a project place nothing more on a host cluster; what it has there is moved away or ended."""
    use.service.delete("clusters", cluster, "shares", with_)
    _report(use, cluster, {"cluster": cluster, "project_id": with_}, f"no longer shared with {_named(with_)}")


def _named(project: str) -> str:
    return "all projects" if project == "*" else f"project {one_line(project)}"


def _report(use: Use, cluster: str, found: output.Row, says: str) -> None:
    if use.form is Format.TABLE:
        output.emit(f"{output.name_of({'name': cluster})}: {says}")
    else:
        output.show_object(found, use.form, ("created_at",))


def shares(use: Use, cluster: Cluster) -> None:
    """List the projects that may use a host cluster."""
    rows = use.service.get("clusters", cluster, "shares")["shares"]
    output.show_list(rows, COLUMNS, use.form, "shared with nobody: share it with `spinney cluster share`")


def shared(use: Use) -> None:
    """List the host clusters of others that your project may use, by `host_cluster` in a profile."""
    rows = use.service.get("shared-clusters")["clusters"]
    output.show_list(rows, SHARED, use.form, "nobody shares a host cluster with this project")


def register(app: typer.Typer) -> None:
    command(app, "share", panel=PANEL)(share)
    command(app, "unshare", panel=PANEL)(unshare)
    command(app, "shares", panel=PANEL)(shares)
    command(app, "shared", panel=PANEL)(shared)
