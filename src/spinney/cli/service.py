"""``spinney service`` and ``spinney build-info``: what the service is made of."""

from __future__ import annotations

import typer

from spinney.cli import listing, looking, output
from spinney.cli.command import Use, command, standing_alone
from spinney.cli.output import Column, Format

app = typer.Typer(no_args_is_help=True, add_completion=False, help="The processes that make up the service.")

COLUMNS = (
    Column("BINARY", "binary"),
    Column("HOST", "host"),
    Column("STATUS", "status", is_status=True),
    Column("STATE", "state", is_status=True),
    Column("SEEN", "updated_at", is_time=True),
    Column("DISABLED BECAUSE", "disabled_reason"),
    Column("ID", lambda row: str(row.get("id", ""))[:8]),
)


@app.callback()
def service() -> None:
    """The processes that make up the service."""


@command(app, "list")
def list_(use: Use) -> None:
    """List the processes and when each was last seen (administrators)."""
    listing.show(use, "services", {}, COLUMNS, "no services")


@standing_alone
def build_info(use: Use) -> None:
    """Show which build of the service answers."""
    found = looking.unwrapped(use.service.get("build-info"))
    if use.form is Format.TABLE:
        output.show_fields([(part, (about or {}).get("revision")) for part, about in found.items()])
    else:
        output.show_object(found, use.form)
