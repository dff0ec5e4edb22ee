"""``spinney profile``: what nodes are made from, and which types there are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from spinney.cli import listing, looking, output, spec, types
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
from spinney.cli.output import Column, Format
from spinney.cli.text import one_line

app = typer.Typer(no_args_is_help=True, add_completion=False, help="What nodes are made from.")

TIMES = ("created_at", "updated_at")
QUICK = "Quick form, for containers"
Profile = Annotated[str, typer.Argument(metavar="PROFILE", help="Name, id or beginning of the id.")]
SpecFile = Annotated[str, typer.Option("--spec-file", metavar="FILE", help="YAML or JSON; - is standard input.")]

COLUMNS = (
    Column("NAME", "name"),
    Column("ID", lambda row: str(row.get("id", ""))[:8]),
    Column("TYPE", "type"),
    Column("IMAGE", lambda row: one_line(_properties(row).get("image"))),
    Column("HOSTS", lambda row: one_line(_properties(row).get("host_cluster") or _properties(row).get("host_node"))),
    Column("CREATED", "created_at", is_time=True),
)


def _properties(row: output.Row) -> Mapping[str, Any]:
    found = (row.get("spec") or {}).get("properties")
    return found if isinstance(found, Mapping) else {}


def _quick(flag: str, help_: str, **more: Any) -> Any:
    return typer.Option(flag, help=help_, rich_help_panel=QUICK, **more)


@command(app, "create")
def create(
    use: Use,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    spec_file: Annotated[
        str | None, typer.Option("--spec-file", metavar="FILE", help="YAML or JSON; - is standard input.")
    ] = None,
    metadata: Metadata = None,
    image: Annotated[str | None, _quick("--image", "Image to run.")] = None,
    host_cluster: Annotated[str | None, _quick("--host-cluster", "Cluster of hosts to place containers on.")] = None,
    host_node: Annotated[str | None, _quick("--host-node", "The one host to place containers on.")] = None,
    command_: Annotated[str | None, _quick("--command", "What to run instead of the image's own.")] = None,
    entrypoint: Annotated[str | None, _quick("--entrypoint", "Instead of the image's own.")] = None,
    port: Annotated[list[str] | None, _quick("--port", "Publish a port.", metavar="[HOST:]PORT[/udp]")] = None,
    env: Annotated[list[str] | None, _quick("--env", "Environment; may be repeated.", metavar="KEY=VALUE")] = None,
    label: Annotated[list[str] | None, _quick("--label", "Label; may be repeated.", metavar="KEY=VALUE")] = None,
    cpu: Annotated[float | None, _quick("--cpu", "Cores.", min=0)] = None,
    memory: Annotated[str | None, _quick("--memory", "As in 512m or 2g.")] = None,
    user: Annotated[str | None, _quick("--user", "User to run as.")] = None,
    restart: Annotated[str | None, _quick("--restart", "When it ends.", metavar="none|on-failure|always")] = None,
    health: Annotated[str | None, _quick("--health-cmd", "Shell command which succeeds while it is well.")] = None,
    pull: Annotated[str | None, _quick("--pull", "When to pull the image.", metavar="always|missing|never")] = None,
    credential: Annotated[str | None, _quick("--registry-credential", "Credential for the registry.")] = None,
) -> None:
    """Create a profile, from a file or from the options of the quick form."""
    quick = spec.QuickContainer(
        image=image, host_cluster=host_cluster, host_node=host_node, command=command_, entrypoint=entrypoint,
        ports=port or (), environment=pairs(env, "--env"), labels=pairs(label, "--label"), cpu=cpu, memory=memory,
        user=user, restart=restart, health=health, pull=pull, credential=credential,
    )  # fmt: skip
    asked = {"name": name, "spec": _chosen(spec_file, quick)}
    if metadata:
        asked["metadata"] = pairs(metadata, "--metadata")
    reply, _ = use.service.post("profiles", body={"profile": asked})
    output.show_object(looking.unwrapped(reply), use.form, TIMES)


def _chosen(spec_file: str | None, quick: spec.QuickContainer) -> dict[str, Any]:
    if spec_file is None:
        return spec.from_options(quick)
    if not quick.is_empty:
        given = ", ".join(sorted(quick.properties()))
        raise CliError(
            f"--spec-file {spec_file!r} and options of the quick form ({given}) are both given: use one of them"
        )
    return spec.read(spec_file)


@command(app, "list")
def list_(
    use: Use,
    limit: Limit = None,
    marker: Marker = None,
    sort: Sort = None,
    filters: Filter = None,
    all_projects: AllProjects = False,
) -> None:
    """List profiles. Filters: name, type."""
    query = list_query(limit, marker, sort, filters, all_projects)
    listing.show(use, "profiles", query, COLUMNS, "no profiles: make one with `spinney profile create`")


@command(app, "show")
def show(use: Use, profile: Profile) -> None:
    """Show a profile with its specification."""
    output.show_object(looking.unwrapped(use.service.get("profiles", profile)), use.form, TIMES)


@command(app, "update")
def update(
    use: Use,
    profile: Profile,
    name: Annotated[str | None, typer.Option("--name", help="New name.")] = None,
    metadata: Metadata = None,
) -> None:
    """Change the name or metadata of a profile; its specification never changes."""
    asked: dict[str, Any] = {} if name is None else {"name": name}
    if metadata is not None:
        asked["metadata"] = pairs(metadata, "--metadata")
    if not asked:
        raise CliError("nothing to change is given: add --name or --metadata")
    reply, _ = use.service.patch("profiles", profile, body={"profile": asked})
    output.show_object(looking.unwrapped(reply), use.form, TIMES)


@command(app, "delete")
def delete(
    use: Use,
    profiles: Annotated[list[str], typer.Argument(metavar="PROFILE…", help="Names, ids or beginnings of ids.")],
) -> None:
    """Delete profiles that nothing uses. Nothing is asked back."""
    for word in profiles:
        use.service.delete("profiles", word)
        if use.form in (Format.TABLE, Format.NAME):
            output.emit(output.name_of({"name": word}) + (": deleted" if use.form is Format.TABLE else ""))
    if use.form in (Format.JSON, Format.YAML):
        output.dump([{"profile": word} for word in profiles], use.form)


@command(app, "validate")
def validate(use: Use, spec_file: SpecFile) -> None:
    """Check a specification without keeping it."""
    reply, _ = use.service.post("profiles", "validate", body={"profile": {"spec": spec.read(spec_file)}})
    if use.form is Format.TABLE:
        output.emit(f"{output.name_of({'name': spec_file})}: a valid {one_line(looking.unwrapped(reply).get('type'))}")
    else:
        output.show_object(looking.unwrapped(reply), use.form, TIMES)


@command(app, "types")
def list_types(use: Use) -> None:
    """List the types of profiles that there are."""
    types.show_list(use, use.service.get("profile-types")["profile_types"], "no profile types")


@command(app, "type-show")
def type_show(
    use: Use,
    type_: types.Type,
    ops: Annotated[bool, typer.Option("--ops", help="Its operations instead of its properties.")] = False,
) -> None:
    """Show the properties a type takes, or the operations it offers."""
    if ops:
        found = use.service.get("profile-types", type_, "ops")["operations"]
        schema = {name: {**one, "type": "", "schema": one.get("parameters")} for name, one in found.items()}
        types.show_schema(use, found, schema, "OPERATION")
    else:
        found = looking.unwrapped(use.service.get("profile-types", type_))
        types.show_schema(use, found, found["schema"], "PROPERTY")
