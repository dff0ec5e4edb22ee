"""Reading what a secret is to hold: from files, from variables, from standard input, and never from the command line, which
everybody on the machine can see and the shell remembers.

Guaranteed: what cannot be read is told by its name, and no content is; of standard input the last line break is left out, of
files nothing.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spinney.cli.faults import CliError

OPAQUE, REGISTRY = "opaque", "registry"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What was said on the command line."""

    files: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    username: str | None = None
    password_file: str | None = None
    serveraddress: str | None = None
    reference: str | None = None


def value(kind: str, given: Given) -> dict[str, Any]:
    """``data`` or ``reference`` of a secret of that type. Raises: CliError."""
    if kind not in (OPAQUE, REGISTRY):
        raise CliError(f"--type {kind!r} is no type of secret: there are {OPAQUE} and {REGISTRY}")
    login = (given.username, given.password_file, given.serveraddress)
    if kind == REGISTRY:
        if given.files or given.variables or given.reference:
            raise CliError("a secret of type registry takes --username, --password-file and --serveraddress alone")
        return {"data": _login(given)}
    if any(login):
        raise CliError("--username, --password-file and --serveraddress go with --type registry")
    if given.reference is not None:
        if given.files or given.variables:
            raise CliError("--reference goes alone: what it leads to is the value")
        return {"reference": given.reference}
    return {"data": _values(given)}


def _login(given: Given) -> dict[str, str]:
    if given.username is None or given.password_file is None:
        raise CliError(
            "a secret of type registry needs --username and --password-file: - reads the password from standard input"
        )
    password = _read(given.password_file, "--password-file").rstrip("\r\n")
    found = {"username": given.username, "password": password}
    return found if given.serveraddress is None else {**found, "serveraddress": given.serveraddress}


def _values(given: Given) -> dict[str, str]:
    found: dict[str, str] = {}
    for option, words, read in (("--from-file", given.files, _read), ("--from-env", given.variables, _variable)):
        for word in words:
            key, source = _split(word, option)
            if key in found:
                raise CliError(f"{option} {word}: {key} is given twice; leave one out")
            found[key] = read(source, option)
    if not found:
        raise CliError("give at least one value: --from-file KEY=FILE, --from-file KEY=- or --from-env KEY=VARIABLE")
    return found


def _split(word: str, option: str) -> tuple[str, str]:
    """``KEY=SOURCE``, or a source whose name is the key."""
    key, equals, source = word.partition("=")
    if not equals:
        key, source = Path(word).name, word
    if not key or not source or key == "-":
        raise CliError(f"{option} {word!r}: give KEY={'FILE' if option == '--from-file' else 'VARIABLE'}")
    return key, source


def _variable(name: str, option: str) -> str:
    found = os.environb.get(os.fsencode(name))
    if found is None:
        raise CliError(f"{option}: there is no variable {name!r} in the environment; export it first")
    return _text(found, f"{option}: the variable {name!r}")


def _read(path: str, option: str) -> str:
    try:
        if path == "-":
            return _text(sys.stdin.buffer.read(), f"{option}: standard input").removesuffix("\n").removesuffix("\r")
        return _text(Path(path).read_bytes(), f"{option}: {path!r}")
    except OSError as error:
        raise CliError(f"{option}: {path!r} cannot be read: {error.strerror}") from error


def _text(content: bytes, where: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise CliError(f"{where} is no text; encode it first, for example with base64") from error
