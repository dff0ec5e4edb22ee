"""``spinney grant``: extra rights that the operator has defined."""

from __future__ import annotations

import typer

from spinney.cli import listing
from spinney.cli.command import Use, command
from spinney.cli.output import Column, Row
from spinney.cli.text import one_line

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Extra rights that the operator gives.")


def gives(row: Row) -> str:
    """In a few words."""
    given = row.get("gives") or {}
    if "capability" in given:
        return f"capability {one_line(given['capability'])}"
    kind, what = ("device", given["device"]) if "device" in given else ("path", given.get("host_path") or {})
    inside, outside = one_line(what.get("container_path")), what.get("path")
    mode = one_line(what.get("permissions", "read-only"))
    return f"{kind} {inside}, {mode}" + (
        f", of {one_line(outside)}" if outside not in (None, what.get("container_path")) else ""
    )


COLUMNS = (Column("NAME", "name"), Column("GIVES", gives), Column("DESCRIPTION", "description", cut=True))


@app.callback()
def grant() -> None:
    """Extra rights that the operator gives."""


@command(app, "list")
def list_(use: Use) -> None:
    """List the grants that you may name in profiles, under ``grants``."""
    listing.show(use, "grants", {}, COLUMNS, "no grants: an operator defines them")
