"""``spinney action``: work under way and work done."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from spinney.cli import listing, looking, output, waiting
from spinney.cli.command import AllProjects, Filter, Limit, Marker, Sort, Use, command, list_query
from spinney.cli.output import Column, Format
from spinney.cli.progress import finish
from spinney.cli.text import duration

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Work under way and work done.")

TIMES = ("created_at", "updated_at", "start_time", "end_time")
Action = Annotated[str, typer.Argument(metavar="ACTION", help="Id, beginning of the id, or name.")]


def took(row: output.Row) -> str:
    started = row.get("start_time")
    if not isinstance(started, int | float) or not started:
        return "-"
    ended = row.get("end_time")
    return duration((ended if isinstance(ended, int | float) and ended else time.time()) - started)


COLUMNS = (
    Column("ID", lambda row: str(row.get("id", ""))[:8]),
    Column("ACTION", "action"),
    Column("TARGET", lambda row: str(row.get("target") or "-")[:8]),
    Column("STATUS", "status", is_status=True),
    Column("STARTED", "start_time", is_time=True),
    Column("TOOK", took, right=True),
    Column("CAUSE", "cause"),
    output.reason_of("status", "SUCCEEDED"),
)


@command(app, "list")
def list_(
    use: Use,
    cluster: Annotated[str | None, typer.Option("--cluster", help="Only on this cluster and its nodes.")] = None,
    limit: Limit = None,
    marker: Marker = None,
    sort: Sort = None,
    filters: Filter = None,
    all_projects: AllProjects = False,
) -> None:
    """List actions, newest first; without --limit the newest 100. Filters: name, target, action, status."""
    query = list_query(limit, marker, sort, filters, all_projects)
    if cluster is not None:
        query["cluster_id"] = cluster
    listing.show(use, "actions", listing.newest_first(query, "created_at"), COLUMNS, "no actions")


@command(app, "show")
def show(use: Use, action: Action) -> None:
    """Show an action with what it was told and what it did."""
    output.show_object(looking.unwrapped(use.service.get("actions", action)), use.form, TIMES)


@command(app, "cancel", waits=True)
def cancel(
    use: Use,
    action: Action,
    force: Annotated[
        bool, typer.Option("--force", help="At once, without letting what is running come to a good place.")
    ] = False,
) -> None:
    """Stop an action and what it started."""
    found = looking.unwrapped(use.service.get("actions", action))
    use.service.patch(
        "actions", found["id"], body={"action": {"status": "CANCELLED"}}, query={"force": "true"} if force else None
    )
    if use.wait:

        def look() -> waiting.Scene:
            return waiting.Scene(looking.found(use.service, "actions", found["id"]))

        finish(use, action, look, cancelled, _shown(use))
    elif use.form is Format.TABLE:
        output.emit(f"{output.name_of({'name': action})}: cancel requested")
    else:
        output.dump({"action": found["id"]}, use.form) if use.form is not Format.NAME else output.emit(found["id"])


@command(app, "complete")
def complete(use: Use, action: Action) -> None:
    """Let an action go on that waits for a lifecycle hook (status WAITING_LIFECYCLE_COMPLETION)."""
    found = looking.unwrapped(use.service.get("actions", action))
    if found["status"] != "WAITING_LIFECYCLE_COMPLETION":
        output.note(
            f"{output.name_of({'name': action})}: waits for no hook (it is {found['status']}); nothing was done"
        )
        return
    body = {"complete_lifecycle": {"lifecycle_action_token": found["id"]}}
    use.service.post("clusters", found["cluster_id"] or found["target"], "actions", body=body)
    if use.form is Format.TABLE:
        output.emit(f"{output.name_of({'name': action})}: may go on")
    else:
        output.dump({"action": found["id"]}, use.form) if use.form is not Format.NAME else output.emit(found["id"])


def _shown(use: Use) -> Any:
    return None if use.form is Format.TABLE else lambda seen: output.show_object(seen, use.form)


def cancelled(scene: waiting.Scene) -> waiting.Verdict:
    if scene.status == "CANCELLED":
        return waiting.Verdict(waiting.State.REACHED, scene.status)
    final = scene.subject is None or scene.status in waiting.FINAL_ACTIONS
    return waiting.Verdict(waiting.State.FAILED if final else waiting.State.PENDING, scene.status)
