"""``spinney secret``: what a project lets its containers, its registries and its hooks know."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from spinney.cli import listing, looking, output
from spinney.cli.command import Limit, Marker, Sort, Use, command, list_query
from spinney.cli.output import Column, Format
from spinney.cli.secret_values import OPAQUE, REGISTRY, Given, value
from spinney.cli.text import harmless, one_line

app = typer.Typer(no_args_is_help=True, add_completion=False, help="What containers and registries are to know.")

TIMES = ("created_at", "updated_at")
Name = Annotated[str, typer.Argument(metavar="SECRET", help="Name, id or beginning of the id.")]
FromFile = Annotated[
    list[str] | None,
    typer.Option("--from-file", metavar="KEY=FILE", help="A value from a file; - is standard input. Repeat for more."),
]
FromEnv = Annotated[
    list[str] | None,
    typer.Option("--from-env", metavar="KEY=VARIABLE", help="A value from the environment. Repeat for more."),
]
Username = Annotated[str | None, typer.Option("--username", help="registry: who logs in.")]
PasswordFile = Annotated[
    str | None, typer.Option("--password-file", metavar="FILE", help="registry: - is standard input.")
]
ServerAddress = Annotated[str | None, typer.Option("--serveraddress", help="registry: its name; default: Docker Hub.")]
Reference = Annotated[
    str | None, typer.Option("--reference", metavar="URL", help="opaque: a secret in Barbican that has the value.")
]

COLUMNS = (
    Column("NAME", "name"),
    Column("ID", lambda row: str(row.get("id", ""))[:8]),
    Column("TYPE", "type"),
    Column("KEYS", lambda row: one_line(", ".join(row.get("keys") or ()))),
    Column("FOR", lambda row: one_line(row.get("registry") or row.get("reference")), optional=True),
    Column("VERSION", "version"),
)


@command(app, "create")
def create(
    use: Use,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    type_: Annotated[str, typer.Option("--type", help=f"{OPAQUE} or {REGISTRY}.")] = OPAQUE,
    from_file: FromFile = None,
    from_env: FromEnv = None,
    username: Username = None,
    password_file: PasswordFile = None,
    serveraddress: ServerAddress = None,
    reference: Reference = None,
) -> None:
    """Keep values. They are sealed, never shown again, and known to the containers whose profile names them."""
    given = Given(
        files=tuple(from_file or ()),
        variables=tuple(from_env or ()),
        username=username,
        password_file=password_file,
        serveraddress=serveraddress,
        reference=reference,
    )
    body = {"secret": {"name": name, "type": type_, **value(type_, given)}}
    reply, _ = use.service.post("secrets", body=body)
    _show(use, looking.unwrapped(reply), "created")


@command(app, "list")
def list_(
    use: Use,
    type_: Annotated[str | None, typer.Option("--type", help=f"Only {OPAQUE} or {REGISTRY}.")] = None,
    limit: Limit = None,
    marker: Marker = None,
    sort: Sort = None,
) -> None:
    """List secrets, without what they hold."""
    query = list_query(limit, marker, sort)
    if type_ is not None:
        query["type"] = type_
    listing.show(use, "secrets", query, COLUMNS, "no secrets: make one with `spinney secret create`")


@command(app, "show")
def show(use: Use, secret: Name) -> None:
    """Show what is known of a secret, never what it holds."""
    output.show_object(looking.unwrapped(use.service.get("secrets", secret)), use.form, TIMES)


@command(app, "update")
def update(
    use: Use,
    secret: Name,
    from_file: FromFile = None,
    from_env: FromEnv = None,
    username: Username = None,
    password_file: PasswordFile = None,
    serveraddress: ServerAddress = None,
    reference: Reference = None,
) -> None:
    """Replace all that a secret holds, for containers that are made or started from then on."""
    kind = str(looking.unwrapped(use.service.get("secrets", secret))["type"])
    given = Given(
        files=tuple(from_file or ()),
        variables=tuple(from_env or ()),
        username=username,
        password_file=password_file,
        serveraddress=serveraddress,
        reference=reference,
    )
    reply, _ = use.service.patch("secrets", secret, body={"secret": value(kind, given)})
    _show(use, looking.unwrapped(reply), "updated")


@command(app, "delete")
def delete(
    use: Use,
    secrets: Annotated[list[str], typer.Argument(metavar="SECRET…", help="Names, ids or beginnings of ids.")],
) -> None:
    """Forget secrets. One that profiles name is refused, and says which."""
    for word in secrets:
        use.service.delete("secrets", word)
        if use.form in (Format.TABLE, Format.NAME):
            output.emit(output.name_of({"name": word}) + (": deleted" if use.form is Format.TABLE else ""))
    if use.form in (Format.JSON, Format.YAML):
        output.dump([{"secret": word} for word in secrets], use.form)


def _show(use: Use, found: dict[str, Any], done: str) -> None:
    if use.form is Format.TABLE:
        keys = ", ".join(found.get("keys") or ())
        output.emit(f"{output.name_of(found)}: {done}, version {found.get('version')} ({harmless(keys)})")
    else:
        output.show_object(found, use.form, TIMES)
