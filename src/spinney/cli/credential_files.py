"""Reading what a credential is to hold from the user's files, as the service wants it.

Guaranteed: a file that is missing or cannot be what it should be is told by its name, and no content is.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinney.cli.faults import CliError

TLS, SSH, REGISTRY = "docker-tls", "docker-ssh", "registry"
#: By type: the keys that are files, with their names in a folder.
_FILES = {
    TLS: {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"},
    SSH: {"key": "id", "known_hosts": "known_hosts"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What was said on the command line; ``folder`` has every file that is not named by itself."""

    folder: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    known_hosts: str | None = None
    username: str | None = None
    password_file: str | None = None
    serveraddress: str | None = None
    projects: tuple[str, ...] = ()


def data(kind: str, given: Given) -> dict[str, Any]:
    """``data`` of a credential of that type. Raises CliError."""
    if kind not in (*_FILES, REGISTRY):
        raise CliError(f"--type {kind!r} is no type of credential: there are {', '.join((*_FILES, REGISTRY))}")
    allowed = {*_FILES.get(kind, ()), "folder"} if kind in _FILES else set(_REGISTRY)
    for name in (*_FILES[TLS], "known_hosts", "folder", *_REGISTRY):
        if getattr(given, name) and name not in allowed:
            raise CliError(f"{_option(name)} is nothing that a credential of type {kind} takes: leave it out")
    return _registry(given) if kind == REGISTRY else _from_files(kind, given)


_REGISTRY = ("username", "password_file", "serveraddress", "projects")


def _option(name: str) -> str:
    return {"folder": "--from", "projects": "--project"}.get(name, "--" + name.replace("_", "-"))


def _from_files(kind: str, given: Given) -> dict[str, Any]:
    found = {}
    for key, file in _FILES[kind].items():
        named = getattr(given, key)
        if named is None and given.folder is None:
            options = ", ".join(_option(one) for one in _FILES[kind])
            raise CliError(
                f"a credential of type {kind} needs {_option(key)}: give {options}, or --from a folder with all"
            )
        found[key] = _read(named if named is not None else str(Path(given.folder or "") / file), _option(key))
    return found


def _registry(given: Given) -> dict[str, Any]:
    if given.username is None or given.password_file is None:
        raise CliError(
            "a credential of type registry needs --username and --password-file: - reads the password from standard input"
        )
    found: dict[str, Any] = {
        "username": given.username,
        "password": _read(given.password_file, "--password-file").rstrip("\r\n"),
        "projects": list(given.projects),
    }
    if given.serveraddress is not None:
        found["serveraddress"] = given.serveraddress
    return found


def _read(path: str, option: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise CliError(f"{option}: {path!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CliError(f"{option}: {path!r} is no text file: PEM and OpenSSH's own format are") from error
