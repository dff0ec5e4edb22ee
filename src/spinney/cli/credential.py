"""``spinney credential``: what the service approaches Docker engines and registries with."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from spinney.cli import listing, looking, output
from spinney.cli.command import Limit, Marker, Sort, Use, command, list_query
from spinney.cli.credential_files import REGISTRY, SSH, TLS, Given, data
from spinney.cli.lazy import complain
from spinney.cli.output import Column, Format
from spinney.cli.text import harmless, one_line

app = typer.Typer(no_args_is_help=True, add_completion=False, help="What hosts and registries are approached with.")

TIMES = ("created_at", "updated_at")
Name = Annotated[str, typer.Argument(metavar="CREDENTIAL", help="Name, id or beginning of the id.")]
Folder = Annotated[
    str | None,
    typer.Option("--from", metavar="DIR", help="Folder with ca.pem, cert.pem and key.pem, or with id and known_hosts."),
]
Ca = Annotated[str | None, typer.Option("--ca", metavar="FILE", help="docker-tls: who signed the hosts' certificates.")]
Cert = Annotated[str | None, typer.Option("--cert", metavar="FILE", help="docker-tls: our certificate.")]
Key = Annotated[str | None, typer.Option("--key", metavar="FILE", help="Our private key, without a passphrase.")]
KnownHosts = Annotated[
    str | None, typer.Option("--known-hosts", metavar="FILE", help="docker-ssh: the hosts' keys, always checked.")
]
Username = Annotated[str | None, typer.Option("--username", help="registry: who logs in.")]
PasswordFile = Annotated[
    str | None, typer.Option("--password-file", metavar="FILE", help="registry: - is standard input.")
]
ServerAddress = Annotated[str | None, typer.Option("--serveraddress", help="registry: its name; default: Docker Hub.")]
Projects = Annotated[
    list[str] | None,
    typer.Option("--project", metavar="ID", help="registry: who may name it in profiles, * for all; repeat for more."),
]

COLUMNS = (
    Column("NAME", "name"),
    Column("ID", lambda row: str(row.get("id", ""))[:8]),
    Column("TYPE", "type"),
    Column("FOR", lambda row: one_line(about(row))),
    Column("EXPIRES", lambda row: one_line((row.get("facts") or {}).get("expires_at"))),
    Column("WARNING", lambda row: harmless("; ".join(row.get("warnings") or ())), optional=True),
)


def about(row: output.Row) -> str | None:
    """The one fact by which people know a credential."""
    facts = row.get("facts") or {}
    key = {TLS: "subject", SSH: "fingerprint", REGISTRY: "registry"}.get(str(row.get("type")), "")
    value = facts.get(key)
    return None if value is None else str(value)


@command(app, "add")
def add(
    use: Use,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    type_: Annotated[str, typer.Option("--type", help=f"{TLS}, {SSH} or {REGISTRY}.")],
    folder: Folder = None,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    known_hosts: KnownHosts = None,
    username: Username = None,
    password_file: PasswordFile = None,
    serveraddress: ServerAddress = None,
    projects: Projects = None,
) -> None:
    """Have the service keep a credential (operators). What it holds is checked now and never shown again."""
    given = Given(
        folder=folder,
        ca=ca,
        cert=cert,
        key=key,
        known_hosts=known_hosts,
        username=username,
        password_file=password_file,
        serveraddress=serveraddress,
        projects=tuple(projects or ()),
    )
    keep(use, name, type_, data(type_, given))


def keep(use: Use, name: str, kind: str, content: dict[str, Any]) -> None:
    body = {"credential": {"name": name, "type": kind, "data": content}}
    reply, _ = use.service.post("credentials", body=body)
    _show(use, looking.unwrapped(reply), "added")


def _show(use: Use, found: output.Row, done: str) -> None:
    for warning in found.get("warnings") or ():
        complain(f"{output.name_of(found)}: {warning}")
    if use.form is Format.TABLE:
        known = about(found)
        output.emit(f"{output.name_of(found)}: {done}{f' ({harmless(known)})' if known else ''}")
    else:
        output.show_object(found, use.form, TIMES)


@command(app, "list")
def list_(
    use: Use,
    type_: Annotated[str | None, typer.Option("--type", help=f"Only {TLS}, {SSH} or {REGISTRY}.")] = None,
    limit: Limit = None,
    marker: Marker = None,
    sort: Sort = None,
) -> None:
    """List credentials with what they are for (operators)."""
    query = list_query(limit, marker, sort)
    if type_ is not None:
        query["type"] = type_
    listing.show(use, "credentials", query, COLUMNS, "no credentials: add one with `spinney credential add`")


@command(app, "show")
def show(use: Use, credential: Name) -> None:
    """Show what is known of a credential, never what it holds."""
    output.show_object(looking.unwrapped(use.service.get("credentials", credential)), use.form, TIMES)


@command(app, "rotate")
def rotate(
    use: Use,
    credential: Name,
    folder: Folder = None,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    known_hosts: KnownHosts = None,
    username: Username = None,
    password_file: PasswordFile = None,
    serveraddress: ServerAddress = None,
    projects: Projects = None,
) -> None:
    """Replace all that a credential holds. Hosts are approached with it from then on, without a restart."""
    kind = str(looking.unwrapped(use.service.get("credentials", credential))["type"])
    given = Given(
        folder=folder,
        ca=ca,
        cert=cert,
        key=key,
        known_hosts=known_hosts,
        username=username,
        password_file=password_file,
        serveraddress=serveraddress,
        projects=tuple(projects or ()),
    )
    body = {"credential": {"data": data(kind, given)}}
    reply, _ = use.service.patch("credentials", credential, body=body)
    _show(use, looking.unwrapped(reply), "rotated")


@command(app, "remove")
def remove(
    use: Use,
    credentials: Annotated[list[str], typer.Argument(metavar="CREDENTIAL…", help="Names, ids or beginnings of ids.")],
) -> None:
    """Forget credentials. One that hosts or profiles name is refused, and says which."""
    for word in credentials:
        use.service.delete("credentials", word)
        if use.form in (Format.TABLE, Format.NAME):
            output.emit(output.name_of({"name": word}) + (": removed" if use.form is Format.TABLE else ""))
    if use.form in (Format.JSON, Format.YAML):
        output.dump([{"credential": word} for word in credentials], use.form)
