"""``spinney image-rule``: which images projects may make containers of."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from spinney.cli import looking, output
from spinney.cli.command import Use, command
from spinney.cli.faults import CliError
from spinney.cli.output import Format
from spinney.cli.quota import OWN

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Which images projects may use.")

Project = Annotated[
    str, typer.Argument(metavar="PROJECT", help="Id of a project; * for all without a rule of their own.")
]
Allow = Annotated[
    list[str] | None,
    typer.Option("--allow", metavar="PATTERN", help="As in registry.example.org/team/*; repeat for more."),
]


@command(app, "show")
def show(
    use: Use, project: Annotated[str, typer.Argument(metavar="[PROJECT]", help="Default: your own.")] = OWN
) -> None:
    """Show which images a project may use, and what of that was set for it alone."""
    _show(use, looking.unwrapped(use.service.get("image-rules", project)))


@command(app, "set")
def set_(
    use: Use,
    project: Project,
    allow: Allow = None,
    allow_none: Annotated[bool, typer.Option("--allow-none", help="Allow no image at all.")] = False,
    require_digest: Annotated[
        bool | None, typer.Option("--require-digest/--no-require-digest", help="Profiles must name a digest.")
    ] = None,
    pin: Annotated[bool | None, typer.Option("--pin/--no-pin", help="Resolve a tag once for a whole cluster.")] = None,
) -> None:
    """Set the rule of a project, in the place of the one it has (administrators). What is not given is as elsewhere."""
    if allow and allow_none:
        raise CliError("--allow and --allow-none are both given: leave one of them out")
    given = {"allow": [] if allow_none else allow or None, "require_digest": require_digest, "pin": pin}
    rule = {key: value for key, value in given.items() if value is not None}
    if not rule:
        raise CliError("nothing to set: give --allow, --require-digest or --pin, or delete the rule")
    _show(use, looking.unwrapped(use.service.put("image-rules", project, body={"image_rule": rule})))


@command(app, "delete")
def delete(use: Use, project: Project) -> None:
    """Delete the rule of a project (administrators); what is said elsewhere counts for it from then on."""
    use.service.delete("image-rules", project)
    if use.form in (Format.TABLE, Format.NAME):
        output.emit(output.name_of({"name": project}) + (": deleted" if use.form is Format.TABLE else ""))


def _show(use: Use, rule: dict[str, Any]) -> None:
    if use.form is Format.TABLE:
        rule = {**rule, "allow": "any image" if rule["allow"] is None else rule["allow"] or "none"}
    output.show_object({"name": rule["project"], **rule} if use.form is Format.NAME else rule, use.form)
