"""``spinney event``: what happened."""

from __future__ import annotations

from typing import Annotated

import typer

from spinney.cli import listing, looking, output
from spinney.cli.command import AllProjects, Filter, Limit, Marker, Sort, Use, command, list_query
from spinney.cli.output import Column
from spinney.cli.text import one_line

app = typer.Typer(no_args_is_help=True, add_completion=False, help="What happened.")


def reason(row: output.Row) -> str:
    """Of a beginning the API has only the id of the action that began."""
    said = one_line(row.get("status_reason"))
    return f"action {said}" if row.get("status") == "start" else said


COLUMNS = (
    Column("WHEN", "timestamp", is_time=True),
    Column("LEVEL", "level", is_status=True),
    Column(
        "OBJECT", lambda row: one_line(f"{str(row.get('otype') or '').lower()} {row.get('oname') or row.get('oid')}")
    ),
    Column("ACTION", "action"),
    Column("STATUS", "status"),
    Column("REASON", reason, style=lambda cell: "dim" if cell.startswith("action ") else "", cut=True),
    Column("ID", lambda row: str(row.get("id", ""))[:8]),
)


@command(app, "list")
def list_(
    use: Use,
    cluster: Annotated[str | None, typer.Option("--cluster", help="Of this cluster and its nodes.")] = None,
    node: Annotated[str | None, typer.Option("--node", help="Of this node.")] = None,
    level: Annotated[
        list[str] | None, typer.Option("--level", metavar="LEVEL", help="CRITICAL, ERROR, WARN, INFO or DEBUG; repeat.")
    ] = None,
    limit: Limit = None,
    marker: Marker = None,
    sort: Sort = None,
    filters: Filter = None,
    all_projects: AllProjects = False,
) -> None:
    """List events, newest first; without --limit the newest 100. Filters: oid, oname, otype, action."""
    query = list_query(limit, marker, sort, filters, all_projects)
    if cluster is not None:
        query["cluster_id"] = cluster
    if node is not None:
        known = looking.found(use.service, "nodes", node)
        # The events of a node outlive it; then only its name, or its whole id, finds them.
        query["oid" if known or _is_id(node) else "oname"] = str(known["id"]) if known else node
    if level:
        query["level"] = [word.upper() for word in level]
    listing.show(use, "events", listing.newest_first(query, "timestamp"), COLUMNS, "no events")


def _is_id(word: str) -> bool:
    digits = word.replace("-", "")
    return len(digits) == 32 and all(letter in "0123456789abcdefABCDEF" for letter in digits)


@command(app, "show")
def show(use: Use, event: Annotated[str, typer.Argument(metavar="EVENT", help="Id or beginning of the id.")]) -> None:
    """Show an event with everything noted with it."""
    output.show_object(looking.unwrapped(use.service.get("events", event)), use.form, ("timestamp",))
