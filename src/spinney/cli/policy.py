"""``spinney policy``: rules for clusters, and which types of them there are. Attaching them is in ``cluster_policies``.

``sample`` is of the other kind that bears the name in OpenStack: rules of who may do what.
"""

from __future__ import annotations

from typing import Annotated

import typer

from spinney.cli import listing, looking, output, spec, types
from spinney.cli.command import AllProjects, Filter, Limit, Marker, Sort, Use, command, list_query
from spinney.cli.output import Column, Format
from spinney.cli.text import one_line

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Rules to attach to clusters.")

TIMES = ("created_at", "updated_at")
Policy = Annotated[str, typer.Argument(metavar="POLICY", help="Name, id or beginning of the id.")]
SpecFile = Annotated[str, typer.Option("--spec-file", metavar="FILE", help="YAML or JSON; - is standard input.")]

COLUMNS = (
    Column("NAME", "name"),
    Column("ID", lambda row: str(row.get("id", ""))[:8]),
    Column("TYPE", "type"),
    Column("CREATED", "created_at", is_time=True),
)


@command(app, "create")
def create(use: Use, name: Annotated[str, typer.Argument(metavar="NAME")], spec_file: SpecFile) -> None:
    """Create a policy from a file. It does nothing until it is attached to a cluster."""
    reply, _ = use.service.post("policies", body={"policy": {"name": name, "spec": spec.read(spec_file)}})
    output.show_object(looking.unwrapped(reply), use.form, TIMES)


@command(app, "list")
def list_(
    use: Use,
    limit: Limit = None,
    marker: Marker = None,
    sort: Sort = None,
    filters: Filter = None,
    all_projects: AllProjects = False,
) -> None:
    """List policies. Filters: name, type."""
    query = list_query(limit, marker, sort, filters, all_projects)
    listing.show(use, "policies", query, COLUMNS, "no policies: make one with `spinney policy create`")


@command(app, "show")
def show(use: Use, policy: Policy) -> None:
    """Show a policy with its specification."""
    output.show_object(looking.unwrapped(use.service.get("policies", policy)), use.form, TIMES)


@command(app, "update")
def update(use: Use, policy: Policy, name: Annotated[str, typer.Option("--name", help="New name.")]) -> None:
    """Change the name of a policy; its specification never changes: make another policy and attach that instead."""
    reply, _ = use.service.patch("policies", policy, body={"policy": {"name": name}})
    output.show_object(looking.unwrapped(reply), use.form, TIMES)


@command(app, "delete")
def delete(
    use: Use,
    policies: Annotated[list[str], typer.Argument(metavar="POLICY…", help="Names, ids or beginnings of ids.")],
) -> None:
    """Delete policies that are attached to no cluster. Nothing is asked back."""
    for word in policies:
        use.service.delete("policies", word)
        if use.form in (Format.TABLE, Format.NAME):
            output.emit(output.name_of({"name": word}) + (": deleted" if use.form is Format.TABLE else ""))
    if use.form in (Format.JSON, Format.YAML):
        output.dump([{"policy": word} for word in policies], use.form)


@command(app, "validate")
def validate(use: Use, spec_file: SpecFile) -> None:
    """Check a specification without keeping it."""
    reply, _ = use.service.post("policies", "validate", body={"policy": {"spec": spec.read(spec_file)}})
    if use.form is Format.TABLE:
        output.emit(f"{output.name_of({'name': spec_file})}: a valid {one_line(looking.unwrapped(reply).get('type'))}")
    else:
        output.show_object(looking.unwrapped(reply), use.form, TIMES)


@command(app, "types")
def list_types(use: Use) -> None:
    """List the types of policies that there are."""
    types.show_list(use, use.service.get("policy-types")["policy_types"], "no policy types")


@command(app, "type-show")
def type_show(use: Use, type_: types.Type) -> None:
    """Show the properties a type takes."""
    found = looking.unwrapped(use.service.get("policy-types", type_))
    types.show_schema(use, found, found["schema"], "PROPERTY")


@app.command("sample")
def sample() -> None:
    """Print the rules of who may do what, documented, as a file for an operator of the service to change.

    Its place is where [oslo_policy] policy_file in the configuration says. No service needs to run.
    """
    from spinney.api.rules_sample import sample as text

    output.emit(text().rstrip("\n"))
