"""``spinney node``: single members of clusters, and nodes that belong to none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import typer

from spinney.cli import batch, exec, listing, looking, output, waiting
from spinney.cli.command import (
    AllProjects,
    Filter,
    Limit,
    Marker,
    Metadata,
    Sort,
    Use,
    command,
    list_query,
    pairs,
)
from spinney.cli.faults import CliError
from spinney.cli.output import Column
from spinney.cli.progress import finish
from spinney.cli.text import one_line

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Single members: one container or one host each.")

TIMES = ("init_at", "created_at", "updated_at")
Node = Annotated[str, typer.Argument(metavar="NODE", help="Name, id or beginning of the id.")]
Nodes = Annotated[list[str], typer.Argument(metavar="NODE…", help="Names, ids or beginnings of ids.")]
Role = Annotated[str | None, typer.Option("--role", help="What it is for, in your words.")]


def host_of(row: output.Row) -> str:
    placement = (row.get("data") or {}).get("placement") or {}
    return one_line(placement.get("host_name") or placement.get("host_id"))


def status(row: output.Row) -> str:
    """With the sign that its user has stopped or paused it: the node is as wanted, and yet does nothing."""
    word = one_line(row.get("status"))
    power = (row.get("data") or {}).get("power")
    return f"{word} ({one_line(power)})" if power and word == "ACTIVE" else word


def ready(row: output.Row) -> str:
    """Of containers: whether they may be given work."""
    readiness = (row.get("data") or {}).get("readiness") or {}
    found = readiness.get("ready")
    return "-" if found is None else "yes" if found else "no"


def reason(row: output.Row) -> str:
    """Why it has its status, or is not ready though its status is well."""
    if row.get("status") != "ACTIVE":
        return one_line(row.get("status_reason"))
    data = row.get("data") or {}
    readiness = data.get("readiness") or {}
    # Who is stopped or paused says so in its status.
    return one_line(readiness["reason"]) if readiness.get("reason") and not data.get("power") else ""


def ports(row: output.Row) -> str:
    """As ``docker ps`` writes them, without what goes without saying: any address, and TCP."""
    found = (row.get("data") or {}).get("ports") or ()
    return ", ".join(dict.fromkeys(_port(port) for port in found))


def _port(port: Mapping[str, Any]) -> str:
    address = port.get("host_ip") or ""
    if address in ("", "0.0.0.0", "::"):
        address = ""
    else:
        address = f"[{address}]:" if ":" in address else f"{address}:"
    protocol = "" if port.get("protocol") in (None, "tcp") else f"/{port['protocol']}"
    return one_line(f"{address}{port.get('host')}->{port.get('container')}{protocol}")


COLUMNS = (
    Column("NAME", "name"),
    Column("ID", lambda row: str(row.get("id", ""))[:8]),
    Column("STATUS", status, is_status=True),
    Column("READY", ready, style=lambda cell: {"yes": "green", "no": "yellow"}.get(cell, "")),
    Column("CLUSTER", lambda row: str(row.get("cluster_id") or "-")[:8]),
    Column("INDEX", lambda row: "-" if row.get("index") in (None, -1) else str(row["index"]), right=True),
    Column("HOST", host_of),
    Column("PORTS", ports, optional=True),
    Column("PROFILE", "profile_name"),
    Column("CREATED", "created_at", is_time=True),
    Column("REASON", reason, cut=True),
)


def _shown(use: Use) -> Any:
    return lambda node: output.show_object(node, use.form, TIMES)


@command(app, "create", waits=True)
def create(
    use: Use,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    profile: Annotated[str, typer.Option("--profile", help="What it is made from.")],
    cluster: Annotated[str | None, typer.Option("--cluster", help="Make it a member; the cluster names it.")] = None,
    role: Role = None,
    metadata: Metadata = None,
) -> None:
    """Create one node."""
    asked: dict[str, Any] = {"name": name, "profile_id": profile}
    asked |= {key: value for key, value in (("cluster_id", cluster), ("role", role)) if value is not None}
    if metadata:
        asked["metadata"] = pairs(metadata, "--metadata")
    reply, action = use.service.post("nodes", body={"node": asked})
    made = looking.unwrapped(reply)
    if use.wait:
        look = looking.at_node(use.service, made["id"], action)
        finish(use, str(made.get("name") or name), look, waiting.active(), _shown(use))
    else:
        output.show_object(made, use.form, TIMES)


@command(app, "list")
def list_(
    use: Use,
    cluster: Annotated[str | None, typer.Option("--cluster", help="Only members of this cluster.")] = None,
    limit: Limit = None,
    marker: Marker = None,
    sort: Sort = None,
    filters: Filter = None,
    all_projects: AllProjects = False,
) -> None:
    """List nodes, those of one cluster by their index in it. Filters: name, status."""
    query = list_query(limit, marker, sort, filters, all_projects)
    if cluster is not None:
        query = {"sort": "index", **query, "cluster_id": cluster}
    listing.show(use, "nodes", query, COLUMNS, "no nodes")


@command(app, "show")
def show(
    use: Use,
    node: Node,
    details: Annotated[bool, typer.Option("--details", help="Ask its host about it, too.")] = False,
) -> None:
    """Show a node with everything known of it."""
    reply = use.service.get("nodes", node, query={"show_details": "true"} if details else None)
    output.show_object(looking.unwrapped(reply), use.form, TIMES)


@command(app, "update", waits=True)
def update(
    use: Use,
    node: Node,
    name: Annotated[str | None, typer.Option("--name", help="New name.")] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="New profile, of the same type.")] = None,
    role: Role = None,
    metadata: Metadata = None,
    tainted: Annotated[
        bool | None, typer.Option("--tainted/--untainted", help="Whether it goes first when the cluster shrinks.")
    ] = None,
) -> None:
    """Change a node."""
    given = {"name": name, "profile_id": profile, "role": role, "tainted": tainted}
    asked: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    if metadata is not None:
        asked["metadata"] = pairs(metadata, "--metadata")
    if not asked:
        raise CliError("nothing to change is given: add --name, --profile, --role, --metadata or --tainted")
    wanted: dict[str, Any] = {key: value for key, value in asked.items() if key in ("name", "role", "tainted")}
    if use.wait and profile is not None:
        wanted |= {"status": "ACTIVE", "profile_id": looking.unwrapped(use.service.get("profiles", profile))["id"]}
    reply, action = use.service.patch("nodes", node, body={"node": asked})
    current = looking.unwrapped(reply)
    if use.wait:
        look = looking.at_node(use.service, current["id"], action)
        finish(use, node, look, waiting.matches(wanted, {}), _shown(use))
    else:
        batch.requested(use, node, "update", action, current, TIMES)


@command(app, "delete", waits=True)
def delete(
    use: Use,
    nodes: Nodes,
    force: Annotated[bool, typer.Option("--force", help="Even while something is at work on it.")] = False,
) -> None:
    """Delete nodes. Nothing is asked back."""

    def begin(word: str) -> tuple[str, str | None]:
        found = looking.unwrapped(use.service.get("nodes", word))
        return found["id"], use.service.delete("nodes", found["id"], body={"force": True} if force else None)

    batch.for_each(use, nodes, "node", "delete", begin, looking.at_node, waiting.gone())


def _on_each(use: Use, words: list[str], verb: str, path: str, body: dict[str, Any], goal: waiting.Goal) -> None:
    def begin(word: str) -> tuple[str, str | None]:
        found = looking.unwrapped(use.service.get("nodes", word))
        reply, _ = use.service.post("nodes", found["id"], path, body={verb: body})
        return found["id"], reply["action"]

    batch.for_each(use, words, "node", verb, begin, looking.at_node, goal)


@command(app, "check", waits=True)
def check(use: Use, nodes: Nodes) -> None:
    """Look at nodes and note which are not well."""
    _on_each(use, nodes, "check", "actions", {}, waiting.healthy(whatever_the_action=False))


@command(app, "recover", waits=True)
def recover(
    use: Use,
    nodes: Nodes,
    operation: Annotated[
        str | None, typer.Option("--operation", metavar="REBOOT|REBUILD|RECREATE", help="How to mend it.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Look first, and leave alone what is well.")] = False,
) -> None:
    """Mend nodes."""
    asked: dict[str, Any] = {"operation": operation.upper()} if operation else {}
    if check:
        asked["check"] = True
    _on_each(use, nodes, "recover", "actions", asked, waiting.active())


@command(app, "op", waits=True)
def op(
    use: Use,
    node: Node,
    operation: Annotated[str, typer.Argument(metavar="OPERATION", help="One of `spinney profile type-show --ops`.")],
    parameters: Annotated[list[str] | None, typer.Argument(metavar="KEY=VALUE…")] = None,
) -> None:
    """Carry out an operation, such as restart, on a node."""
    _on_each(use, [node], operation, "ops", dict(pairs(parameters, "parameter")), waiting.operated())


@command(app, "adopt")
def adopt(
    use: Use,
    identity: Annotated[str, typer.Argument(metavar="IDENTITY", help="How the thing is known where it already is.")],
    type_: Annotated[str, typer.Option("--type", metavar="TYPE-VERSION", help="Profile type to make of it.")],
    name: Annotated[str | None, typer.Option("--name", help="Name of the node.")] = None,
    role: Role = None,
    metadata: Metadata = None,
    overrides: Annotated[str | None, typer.Option("--overrides", metavar="JSON", help="Properties to set.")] = None,
    snapshot: Annotated[bool, typer.Option("--snapshot", help="Keep a copy of it as it is.")] = False,
    preview: Annotated[bool, typer.Option("--preview", help="Only show the profile it would get.")] = False,
) -> None:
    """Make a node of something that already exists."""
    asked: dict[str, Any] = {"identity": identity, "type": type_, "snapshot": snapshot}
    if overrides is not None:
        asked["overrides"] = _json_map(overrides)
    if preview:
        reply, _ = use.service.post("nodes", "adopt-preview", body=asked)
        output.show_object(looking.unwrapped(looking.unwrapped(reply)), use.form)
        return
    asked |= {key: value for key, value in (("name", name), ("role", role)) if value is not None}
    if metadata:
        asked["metadata"] = pairs(metadata, "--metadata")
    reply, _ = use.service.post("nodes", "adopt", body=asked)
    output.show_object(looking.unwrapped(reply), use.form, TIMES)


command(app, "exec")(exec.run)


def _json_map(words: str) -> dict[str, Any]:
    try:
        found = json.loads(words)
    except ValueError as error:
        raise CliError(f"--overrides {words!r} is not valid JSON: {error}") from error
    if not isinstance(found, dict):
        raise CliError(f'--overrides {words!r} is no JSON object: write for example \'{{"zone": "a"}}\'')
    return found
