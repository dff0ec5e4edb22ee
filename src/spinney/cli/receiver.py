"""``spinney receiver``: what lets something outside start an action on a cluster."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from spinney.cli import listing, looking, output, webhook
from spinney.cli.command import AllProjects, Filter, Limit, Marker, Sort, Use, command, list_query, scalars
from spinney.cli.faults import CliError
from spinney.cli.output import Column, Format
from spinney.cli.text import one_line

app = typer.Typer(no_args_is_help=True, add_completion=False, help="What starts actions from outside.")

TIMES = ("created_at", "updated_at", "expires_at")
Receiver = Annotated[str, typer.Argument(metavar="RECEIVER", help="Name, id or beginning of the id.")]
Action = Annotated[str | None, typer.Option("--action", help="What it starts, such as CLUSTER_SCALE_OUT.")]
Params = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="KEY=VALUE", help="An input of the action, such as count=2. May be repeated."),
]
Expires = Annotated[
    str | None, typer.Option("--expires", metavar="TIME", help="As in 2030-12-31T23:59:59Z, or never (the default).")
]
PerMinute = Annotated[int | None, typer.Option("--rate-limit", min=1, help="How often a minute it may be used.")]
Enabled = Annotated[bool | None, typer.Option("--enable/--disable", help="Whether it can be used.")]
Open = Annotated[
    bool | None,
    typer.Option("--open/--closed", help="Whether its URL alone starts it, where the operator allows that."),
]

COLUMNS = (
    Column("NAME", "name"),
    Column("ID", lambda row: str(row.get("id", ""))[:8]),
    Column("ACTION", "action"),
    Column("CLUSTER", lambda row: str(row.get("cluster_id") or "")[:8]),
    Column("PARAMS", lambda row: one_line(_written(row.get("params") or {}))),
    Column("STATE", lambda row: "" if row.get("enabled", True) else "disabled", optional=True),
    Column("EXPIRES", lambda row: str(row.get("expires_at") or ""), optional=True),
)


def _written(params: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in params.items())


@command(app, "create")
def create(
    use: Use,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    cluster: Annotated[str, typer.Option("--cluster", metavar="CLUSTER", help="The cluster it acts on.")],
    action: Annotated[str, typer.Option("--action", help="What it starts, such as CLUSTER_SCALE_OUT.")],
    params: Params = None,
    expires: Expires = None,
    rate_limit: PerMinute = None,
    enabled: Enabled = None,
    open_: Open = None,
) -> None:
    """Make a receiver. Its secret is shown now and never again."""
    given: dict[str, Any] = {"name": name, "type": "webhook", "cluster_id": cluster, "action": action}
    given |= _given(params, expires, rate_limit, enabled, open_)
    reply, _ = use.service.post("receivers", body={"receiver": given})
    _show_with_secret(use, looking.unwrapped(reply))


def _given(
    params: list[str] | None, expires: str | None, rate_limit: int | None, enabled: bool | None, open_: bool | None
) -> dict[str, Any]:
    found = {
        "params": None if params is None else scalars(params, "--param"),
        "expires_at": expires,
        "rate_limit": rate_limit,
        "enabled": enabled,
        "open": open_,
    }
    return {key: value for key, value in found.items() if value is not None}


def _show_with_secret(use: Use, found: dict[str, Any]) -> None:
    output.show_object(found, use.form, TIMES)
    if use.form is Format.TABLE and "secret" in (found.get("channel") or {}):
        output.note("the secret is shown this once: keep the alarm_url or the secret where only its user can read it")


@command(app, "list")
def list_(
    use: Use,
    limit: Limit = None,
    marker: Marker = None,
    sort: Sort = None,
    filters: Filter = None,
    all_projects: AllProjects = False,
) -> None:
    """List receivers. Filters: name, type, action, cluster_id, user."""
    query = list_query(limit, marker, sort, filters, all_projects)
    listing.show(use, "receivers", query, COLUMNS, "no receivers: make one with `spinney receiver create`")


@command(app, "show")
def show(use: Use, receiver: Receiver) -> None:
    """Show a receiver, without its secret."""
    output.show_object(looking.unwrapped(use.service.get("receivers", receiver)), use.form, TIMES)


@command(app, "update")
def update(
    use: Use,
    receiver: Receiver,
    name: Annotated[str | None, typer.Option("--name", help="New name.")] = None,
    action: Action = None,
    params: Params = None,
    expires: Expires = None,
    rate_limit: PerMinute = None,
    enabled: Enabled = None,
    open_: Open = None,
) -> None:
    """Change a receiver; --param replaces all of its inputs."""
    given = _given(params, expires, rate_limit, enabled, open_)
    given |= {key: value for key, value in (("name", name), ("action", action)) if value is not None}
    if not given:
        raise CliError(
            "nothing to change is given: add --name, --action, --param, --expires, --rate-limit or --disable"
        )
    reply, _ = use.service.patch("receivers", receiver, body={"receiver": given})
    output.show_object(looking.unwrapped(reply), use.form, TIMES)


@command(app, "rotate")
def rotate(use: Use, receiver: Receiver) -> None:
    """Give a receiver another secret; the one before is worth nothing from then on."""
    reply, _ = use.service.post("receivers", receiver, "rotate", body={})
    _show_with_secret(use, looking.unwrapped(reply))


@command(app, "delete")
def delete(
    use: Use,
    receivers: Annotated[list[str], typer.Argument(metavar="RECEIVER…", help="Names, ids or beginnings of ids.")],
) -> None:
    """Delete receivers. Nothing is asked back."""
    for word in receivers:
        use.service.delete("receivers", word)
        if use.form in (Format.TABLE, Format.NAME):
            output.emit(output.name_of({"name": word}) + (": deleted" if use.form is Format.TABLE else ""))
    if use.form in (Format.JSON, Format.YAML):
        output.dump([{"receiver": word} for word in receivers], use.form)


@command(app, "trigger")
def trigger(
    use: Use,
    url: Annotated[str, typer.Argument(metavar="URL", help="The alarm_url, with the secret in it or without.")],
    secret_file: Annotated[
        str | None,
        typer.Option("--secret-file", metavar="FILE", help="Sign the request with this secret; - is standard input."),
    ] = None,
    params: Params = None,
) -> None:
    """Do what an alarm would: start the receiver's action. Needs no cloud, only the URL."""
    secret = None if secret_file is None else _read(secret_file)
    body = b"" if params is None else json.dumps(scalars(params, "--param")).encode()
    action = webhook.post(url, secret, body)
    if use.form is Format.TABLE:
        output.emit(f"started action {action}: follow it with `spinney action show {action[:8]}`")
    else:
        output.show_object({"action": action}, use.form)


def _read(file: str) -> bytes:
    try:
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        raise CliError(f"--secret-file {file}: {error.strerror}") from error
    if not content.strip():
        raise CliError(f"--secret-file {file}: it is empty; put the receiver's secret in it")
    return content.strip()
