"""``spinney host certs``: an authority and certificates for hosts, for people who have none.

Everything is in one folder: ``ca.pem`` and ``ca-key.pem``; ``client`` with what the service needs; one folder per host with
what its Docker engine needs. Running it again takes the authority that is there, makes certificates for the hosts named, and
leaves the others as they are. Guaranteed: what is written is readable for its owner alone, and each file is whole or as before.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated

import typer

from spinney.certificates import Pair, new_authority, new_client, new_server, read_pair, signed_by
from spinney.cli import looking, output
from spinney.cli.command import Use
from spinney.cli.credential import keep
from spinney.cli.credential_files import TLS, Given, data
from spinney.cli.faults import CliError

AUTHORITY_DAYS = 3650
DOCKER_DIR = "/etc/docker/tls"
OVERRIDE = "/etc/systemd/system/docker.service.d/spinney.conf"
PORT = 2376
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_DNS_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})(?:\.[A-Za-z0-9][A-Za-z0-9-]{0,62})*")
#: A client certificate that is valid for longer than this is left as it is.
_ENOUGH = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Machine:
    name: str
    addresses: tuple[str, ...]

    @property
    def endpoint(self) -> str:
        first = self.addresses[0]
        return f"tcp://{f'[{first}]' if ':' in first else first}:{PORT}"


def certs(
    use: Use,
    folder: Annotated[str, typer.Argument(metavar="DIR", help="Where the authority and all certificates are kept.")],
    host: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            metavar="NAME=ADDRESS[,ADDRESS…]",
            help="A host and the addresses or names by which the service reaches it; repeat for more.",
        ),
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="How long new certificates are valid.")] = 825,
    import_: Annotated[
        str | None,
        typer.Option("--import", metavar="NAME", help="Have the service keep the client's part as this credential."),
    ] = None,
) -> None:
    """Make an authority and certificates for mutual TLS, and say what to do with them."""
    machines = [machine(word) for word in host or ()]
    if len({one.name for one in machines}) < len(machines):
        raise CliError("--host names the same host twice: give all its addresses at once, separated by commas")
    path, now = Path(folder), datetime.now(UTC)
    try:
        authority = _authority(path, now)
        for one in machines:
            made = new_server(authority, one.name, one.addresses, now, days)
            write(path / one.name, "server", authority, made)
            _write(path / one.name / "daemon.json", daemon_json(one).encode())
            _write(path / one.name / "spinney.conf", OVERRIDE_TEXT.encode())
        if not _client_will_do(path / "client", authority, now):
            write(path / "client", "", authority, new_client(authority, "spinney", now, days))
    except OSError as error:
        raise CliError(f"{error.filename or folder}: {error.strerror}") from error
    if import_ is not None:
        _import(use, import_, path / "client")
    for line in advice(path, machines, import_):
        output.emit(line)


def machine(word: str) -> Machine:
    """``NAME=ADDRESS,ADDRESS``, or a NAME that is an address itself."""
    name, equals, rest = word.partition("=")
    addresses = tuple(rest.split(",")) if equals else (name,)
    if not _NAME.fullmatch(name) or name in ("client", "ca"):
        raise CliError(f"--host {word!r}: {name!r} is no name for a host: letters, digits, '_', '.' and '-'")
    for address in addresses:
        if not is_address(address):
            raise CliError(f"--host {word!r}: {address!r} is neither an IP address nor a host name")
    return Machine(name, addresses)


def is_address(word: str) -> bool:
    try:
        ip_address(word)
    except ValueError:
        return _DNS_NAME.fullmatch(word) is not None
    return True


def _authority(folder: Path, now: datetime) -> Pair:
    """The one in the folder; made there when there is none."""
    certificate, key = folder / "ca.pem", folder / "ca-key.pem"
    if not certificate.exists() and not key.exists():
        made = new_authority("spinney hosts", now, AUTHORITY_DAYS)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(key, made.key_pem)
        _write(certificate, made.certificate_pem)
        return made
    try:
        found = read_pair(certificate.read_bytes(), key.read_bytes())
    except ValueError as error:
        raise CliError(
            f"{certificate} and {key} are no authority ({error}): restore them, or name another folder"
        ) from error
    if found.certificate.not_valid_after_utc <= now:
        raise CliError(f"{certificate} has expired: name another folder, for a new authority")
    return found


def _client_will_do(folder: Path, authority: Pair, now: datetime) -> bool:
    try:
        found = read_pair((folder / "cert.pem").read_bytes(), (folder / "key.pem").read_bytes()).certificate
    except (FileNotFoundError, ValueError):
        return False
    return signed_by(found, authority.certificate) and found.not_valid_after_utc > now + _ENOUGH


def write(folder: Path, what: str, authority: Pair, made: Pair) -> None:
    prefix = f"{what}-" if what else ""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write(folder / "ca.pem", authority.certificate_pem)
    _write(folder / f"{prefix}key.pem", made.key_pem)
    _write(folder / f"{prefix}cert.pem", made.certificate_pem)


def _write(path: Path, content: bytes) -> None:
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(content)
    fresh.replace(path)


def daemon_json(one: Machine) -> str:
    """What the host's ``/etc/docker/daemon.json`` must hold, beside what it holds already."""
    first = one.addresses[0]
    try:
        listen = first if ip_address(first).version == 4 else f"[{first}]"
    except ValueError:
        listen = "0.0.0.0"
    settings = {
        "hosts": ["unix:///var/run/docker.sock", f"tcp://{listen}:{PORT}"],
        "tlsverify": True,
        "tlscacert": f"{DOCKER_DIR}/ca.pem",
        "tlscert": f"{DOCKER_DIR}/server-cert.pem",
        "tlskey": f"{DOCKER_DIR}/server-key.pem",
    }
    return json.dumps(settings, indent=2) + "\n"


#: The packaged unit says ``-H fd://``, which daemon.json's ``hosts`` excludes; where dockerd lies differs between packages.
OVERRIDE_TEXT = "[Service]\nExecStart=\nExecStart=/usr/bin/env dockerd\n"


def _import(use: Use, name: str, client: Path) -> None:
    content = data(TLS, Given(folder=str(client)))
    if looking.found(use.service, "credentials", name) is None:
        keep(use, name, TLS, content)
    else:
        use.service.patch("credentials", name, body={"credential": {"data": content}})
        output.emit(f"{output.name_of({'name': name})}: rotated")


def advice(folder: Path, machines: Sequence[Machine], imported: str | None) -> list[str]:
    """What is left to do, as commands to copy."""
    lines = [f"authority: {folder}/ca.pem (keep {folder}/ca-key.pem away from every host)"]
    for one in machines:
        there = f"root@{one.addresses[0]}"
        lines += [
            "",
            f"# {one.name}: its part, and its Docker engine's settings (merge daemon.json if there is one)",
            f"ssh {there} mkdir -p {DOCKER_DIR} {Path(OVERRIDE).parent}",
            f"scp {folder}/{one.name}/{{ca,server-cert,server-key}}.pem {there}:{DOCKER_DIR}/",
            f"scp {folder}/{one.name}/daemon.json {there}:/etc/docker/daemon.json",
            f"scp {folder}/{one.name}/spinney.conf {there}:{OVERRIDE}",
            f"ssh {there} 'systemctl daemon-reload && systemctl restart docker'",
        ]
    credential = imported or "racks"
    if imported is None:
        lines += ["", "# have the service keep the client's part", f"spinney credential add {credential} --type {TLS} "]
        lines[-1] += f"--from {folder}/client"
    if machines:
        lines += ["", "# then take the hosts"]
    lines += [f"spinney host add {one.endpoint} --name {one.name} --credential {credential} --wait" for one in machines]
    return lines
