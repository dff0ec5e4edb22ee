"""The files of a deployment: which they are, what is in them, and the variables that go into them.

Variables of the process count more than those of ``.env`` (or of the files named instead of it), which stands in the folder of
the Compose file.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from spinney.cli.compose import variables, whole
from spinney.cli.compose.keys import Context
from spinney.cli.compose.places import Faults
from spinney.cli.compose.whole import Deployment, Unusable
from spinney.cli.faults import CliError

#: Looked for, in this order, where no file is named.
USUAL = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")


def read(
    file: str | None,
    *,
    project: str | None,
    host_cluster: str | None,
    env_files: Sequence[str] = (),
    profiles: Sequence[str] = (),
    environ: Mapping[str, str] = os.environ,
) -> Deployment:
    """Raises: CliError, Unusable."""
    path = _found() if file is None else file
    folder = Path.cwd() if path == "-" else Path(path).resolve().parent
    text = _content(path)
    known = _variables(folder, env_files, environ)
    switched_on = {*profiles, *filter(None, known.get("COMPOSE_PROFILES", "").split(","))}
    context = Context(
        variables=known,
        read=lambda name: _text(folder / name),
        profiles=frozenset(switched_on),
        host_cluster=host_cluster,
        project=project,
        folder=PurePosixPath(folder),
    )
    return whole.read(text, "standard input" if path == "-" else path, context)


def _found() -> str:
    there = next((name for name in USUAL if Path(name).is_file()), None)
    if there is None:
        raise CliError(f"there is no {USUAL[0]} in this folder: name the Compose file with -f FILE")
    return there


def _content(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise CliError(f"-f {path!r} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CliError(f"-f {path!r} is no text in UTF-8: save it as YAML in UTF-8") from error


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError):
        return None


def _variables(folder: Path, env_files: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Raises: CliError, Unusable."""
    faults, found = Faults(), dict[str, str]()
    for name in env_files or ([str(folder / ".env")] if (folder / ".env").is_file() else []):
        text = _text(Path(name))
        if text is None:
            raise CliError(f"--env-file {name!r} cannot be read: name a file of NAME=value lines")
        read = variables.read_file(text, name, {**found, **environ}, faults)
        found |= {key: value for key, value in read.items() if value is not None}
    if faults.found:
        raise Unusable(faults.lines())
    return {**found, **environ}
