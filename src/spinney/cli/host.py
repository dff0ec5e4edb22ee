"""``spinney host``: the machines with a Docker engine.

A host is a node; what is here is its other face: how much it has, how much of that is set aside, and what state it is in.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from spinney.cli import host_certs, host_duty, host_import, host_view, listing, looking, output, waiting
from spinney.cli.batch import for_each
from spinney.cli.command import Limit, Marker, Metadata, Sort, Use, command, list_query
from spinney.cli.faults import Refused
from spinney.cli.host_joining import adoption, join
from spinney.cli.output import Format
from spinney.cli.progress import finish
from spinney.cli.text import one_line

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Machines with a Docker engine.")
command(app, "import", waits=True)(host_import.import_)
command(app, "certs")(host_certs.certs)
host_duty.register(app)


@command(app, "list")
def list_(
    use: Use,
    cluster: Annotated[str | None, typer.Option("--cluster", help="Only members of this host cluster.")] = None,
    state: Annotated[str | None, typer.Option("--state", help="ready, cordoned, draining, suspect, lost…")] = None,
    zone: Annotated[str | None, typer.Option("--zone")] = None,
    region: Annotated[str | None, typer.Option("--region")] = None,
    label: Annotated[
        list[str] | None, typer.Option("--label", metavar="KEY[=VALUE]", help="Only with this label; repeat for more.")
    ] = None,
    limit: Limit = None,
    marker: Marker = None,
    sort: Sort = None,
) -> None:
    """List hosts with what is set aside on them."""
    query = list_query(limit, marker, sort)
    given = {"cluster_id": cluster, "state": state, "zone": zone, "region": region}
    query |= {key: value for key, value in given.items() if value is not None}
    if label:
        query["label"] = label
    listing.show(use, "hosts", query, host_view.COLUMNS, "no hosts: add one with `spinney host add`")


@command(app, "show")
def show(
    use: Use, host: Annotated[str, typer.Argument(metavar="HOST", help="Name, id or beginning of the id.")]
) -> None:
    """Show a host with everything known of it."""
    found = looking.unwrapped(use.service.get("hosts", host))
    if use.form is Format.TABLE:
        host_view.show(found, datetime.now(UTC))
    else:
        output.show_object(found, use.form)


@command(app, "add", waits=True)
def add(
    use: Use,
    endpoint: Annotated[
        str, typer.Argument(metavar="ENDPOINT", help="unix:///path, tcp://address:port or ssh://user@address[:port].")
    ],
    name: Annotated[str | None, typer.Option("--name", help="Name of the host.")] = None,
    label: Annotated[list[str] | None, typer.Option("--label", metavar="KEY=VALUE", help="May be repeated.")] = None,
    zone: Annotated[str | None, typer.Option("--zone", help="What fails together.")] = None,
    region: Annotated[str | None, typer.Option("--region")] = None,
    credential: Annotated[str | None, typer.Option("--credential", help="Name or id, for tcp:// and ssh://.")] = None,
    cluster: Annotated[
        str | None, typer.Option("--cluster", help="Make it a member of this host cluster; made when there is none.")
    ] = None,
    metadata: Metadata = None,
) -> None:
    """Take a machine with a Docker engine as a host."""
    reply, _ = use.service.post(
        "nodes", "adopt", body=adoption(endpoint, name, label, zone, region, credential, metadata)
    )
    node = looking.unwrapped(reply)
    if cluster is not None:
        join(use, [str(node["id"])], cluster)
    if use.wait:
        finish(use, str(node["name"]), looking.at_host(use.service, node["id"]), ready)
    if use.form is Format.TABLE:
        output.emit(output.name_of(node) + ": added" + (f" to {cluster}" if cluster else ""))
    else:
        output.show_object(node, use.form)


def ready(scene: waiting.Scene) -> waiting.Verdict:
    """A new host answers: it is lost only after it was known, so nothing else than ready is final."""
    if scene.subject is None:
        return waiting.Verdict(waiting.State.FAILED, "gone")
    state = waiting.State.REACHED if scene.status == "ready" else waiting.State.PENDING
    reason = scene.subject.get("state_reason")
    return waiting.Verdict(state, f"{scene.status}: {reason}" if reason and scene.status != "ready" else scene.status)


@command(app, "remove", waits=True)
def remove(
    use: Use,
    hosts: Annotated[list[str], typer.Argument(metavar="HOST…", help="Names, ids or beginnings of ids.")],
    force: Annotated[bool, typer.Option("--force", help="Even while something is at work on it.")] = False,
) -> None:
    """Give up hosts. One that carries containers or that profiles name is refused, and says which."""

    def begin(word: str) -> tuple[str, str | None]:
        node = looking.unwrapped(use.service.get("nodes", word))
        try:
            return node["id"], use.service.delete("nodes", node["id"], body={"force": True} if force else None)
        except Refused as error:
            held = looking.found(use.service, "hosts", node["id"]) if error.status == 409 else None
            if held is not None and (why := users(held)):
                raise Refused("\n  ".join((error.message, *why)), error.status, error.kind) from error
            raise

    for_each(use, hosts, "node", "remove", begin, looking.at_node, waiting.gone())


def users(host: Mapping[str, Any]) -> list[str]:
    """What holds a host where it is, and what to do about each kind."""
    said = []
    if host.get("nodes"):
        drain = f"`spinney host drain {output.name_of(host)}` moves them"
        said.append(f"containers on it: {one_line([node['name'] for node in host['nodes']])} ({drain})")
    if host.get("profiles"):
        said.append(f"profiles that name it: {one_line([one['name'] for one in host['profiles']])} (delete them first)")
    return said
