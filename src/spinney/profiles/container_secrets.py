"""The secrets of a project that a container is to know: which, as what, and where.

Guaranteed of what is accepted: each entry is one environment variable or one file; no variable and no file is given twice; a
file's directory is two levels deep at least and lies in no other file system of the container's, because each such directory
becomes a file system in memory of its own; nothing but Spinney starts a container that has files, because who else did would
start it without them. Not guaranteed: that the secret and its key exist; that is looked up when the profile is made, and
again at each start.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Container, Iterable, Sequence
from typing import Annotated

from pydantic import Field, model_validator

from spinney.domain.container import SecretFile
from spinney.domain.schema import Contradiction, Integer, Line, NotAllowed, Rule, SpecModel, Text, between, matching
from spinney.profiles.container_values import EnvironmentName

MOST_SECRETS = 64
_FILE_OPTIONS = ("mode", "uid", "gid")
_DEFAULT_MODE = "0444"
_PATH_SAYS = (
    "an absolute path at least three levels deep as in /run/secrets/password, of letters, digits and ._@+-, without '..', "
    "outside /proc, /sys and /dev (its directory becomes a file system in memory, in place of what the image has there)"
)


def _check_path(value: str) -> str:
    parts = value.split("/")
    if not re.fullmatch(r"/[A-Za-z0-9._@+/-]{1,254}", value) or posixpath.normpath(value) != value or len(parts) < 4:
        raise NotAllowed(_PATH_SAYS)
    if parts[1] in ("proc", "sys", "dev"):
        raise NotAllowed(_PATH_SAYS)
    return value


SecretPath = Annotated[Text, Rule("an absolute path as in /run/secrets/password", _check_path)]
Id = Annotated[Integer, between(0, 2**31 - 1, "a user or group id")]


class SecretPart(SpecModel):
    """One value as a variable (``env``) or as a file (``path``)."""

    secret: Line = Field(description="Name or id of a secret of the project.")
    key: Line | None = Field(None, description="Which of its values; may be left out when it has one.")
    env: EnvironmentName | None = Field(None, description="The environment variable that gets the value.")
    path: SecretPath | None = Field(None, description="The file that holds the value: in memory, never on a disk.")
    mode: Annotated[Text, matching("0?[0-7]{3}", "an octal mode as in 0400")] | None = Field(
        None, description=f"Permissions of the file, octal; default: {_DEFAULT_MODE}."
    )
    uid: Id | None = Field(None, description="Owner of the file; default: 0.")
    gid: Id | None = Field(None, description="Group of the file; default: 0.")

    @model_validator(mode="after")
    def _one_of_both(self) -> SecretPart:
        if (self.env is None) == (self.path is None):
            raise Contradiction("give either env (a variable) or path (a file), and not both")
        given = [name for name in _FILE_OPTIONS if getattr(self, name) is not None]
        if self.env is not None and given:
            raise Contradiction(f"{', '.join(given)} goes with path, not with env: leave it out")
        return self

    def file(self, value: str) -> SecretFile:
        assert self.path is not None
        return SecretFile(
            self.path, value.encode(), mode=int(self.mode or _DEFAULT_MODE, 8), uid=self.uid or 0, gid=self.gid or 0
        )


def directories(parts: Iterable[SecretPart]) -> tuple[str, ...]:
    """Where file systems in memory have to be: the directories of the files, those within another one left out."""
    found: list[str] = []
    for directory in sorted({posixpath.dirname(part.path) for part in parts if part.path is not None}):
        if not any(_within(directory, other) for other in found):
            found.append(directory)
    return tuple(found)


def check_secrets(
    secrets: Sequence[SecretPart], environment: Container[str], tmpfs: Iterable[str], *, docker_restarts: bool
) -> None:
    """Whether they go together, and with the rest of the container. Raises: Contradiction."""
    seen: dict[str, int] = {}
    for index, part in enumerate(secrets):
        what = part.env if part.env is not None else part.path
        assert what is not None
        if what in seen:
            _refuse(index, part, f"secrets[{seen[what]}] gives {what} already: leave one out")
        if part.env is not None and part.env in environment:
            _refuse(index, part, f"environment has {what} too: leave one out")
        for other, earlier in seen.items():
            if part.path is not None and (_within(part.path, other) or _within(other, part.path)):
                _refuse(index, part, f"secrets[{earlier}] has its file at {other}: one cannot lie within the other")
        seen[what] = index
    _check_places(directories(secrets), tmpfs)
    if directories(secrets) and docker_restarts:
        raise Contradiction(
            "on-failure is not possible with secret files, because the Docker engine itself would start the container "
            "again, without them: use always or none, or give the secrets as env",
            at=".restart_policy",
        )


def _check_places(places: Iterable[str], tmpfs: Iterable[str]) -> None:
    paths = tuple(tmpfs)
    for place in places:
        for path in paths:
            if _within(path, place):
                raise Contradiction(
                    f"{path} lies in {place}, where secret files are: use another path for one of them", at=".tmpfs"
                )


def _refuse(index: int, part: SecretPart, text: str) -> None:
    raise Contradiction(text, at=f".secrets[{index}].{'env' if part.env is not None else 'path'}")


def _within(path: str, directory: str) -> bool:
    """``/a/b`` is within ``/a`` and within itself."""
    return path == directory or path.startswith(f"{directory}/")
