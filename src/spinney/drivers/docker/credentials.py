"""Named credentials held by the service, read from files each time they are needed.

One folder per credential under one folder for all, so that replacing a file rotates it without a restart:

* a Docker engine by TLS: ``ca.pem``, ``cert.pem``, ``key.pem``;
* a host by SSH: ``id`` (a private key without passphrase) and ``known_hosts`` (always checked);
* a registry: ``registry.json`` with ``username``, ``password``, ``serveraddress`` (Docker Hub when left out) and
  ``projects``, the projects that may name it (``["*"]``: all; none when left out).

Guaranteed: a name never leads out of the folder; no secret is in an error, a ``repr`` or a log; a registry credential is
sent for images of its own registry only, whatever image a tenant combines it with.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from spinney.errors import HostRefused

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")
DOCKER_HUB = "docker.io"
_NAMES_OF_DOCKER_HUB = ("docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class SshFiles:
    key: Path
    known_hosts: Path


@dataclass(frozen=True, slots=True)
class RegistryCredential:
    name: str
    username: str
    registry: str
    projects: frozenset[str]
    password: str = field(repr=False)

    def permits(self, project: str) -> bool:
        """May this project name the credential in a profile?"""
        return "*" in self.projects or project in self.projects

    def header(self, reference: str) -> str:
        """``X-Registry-Auth`` for pulling this image. Raises HostRefused when the image lies in another registry."""
        asked = registry_of(reference)
        if asked != self.registry:
            raise HostRefused(
                f"image {reference} lies in registry {asked}, but registry credential {self.name} is for "
                f"{self.registry}; name a credential for {asked}, or none"
            )
        address = "https://index.docker.io/v1/" if asked == DOCKER_HUB else asked
        content = {"username": self.username, "password": self.password, "serveraddress": address}
        return base64.urlsafe_b64encode(orjson.dumps(content)).decode()


class Credentials:
    """All of them; without a folder there are none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def tls(self, name: str) -> TlsFiles:
        return TlsFiles(*(self._file(name, file) for file in ("ca.pem", "cert.pem", "key.pem")))

    def ssh(self, name: str) -> SshFiles:
        return SshFiles(*(self._file(name, file) for file in ("id", "known_hosts")))

    def registry(self, name: str, project: str) -> RegistryCredential:
        """One kept for other projects answers like one that is not there."""
        path = self._file(name, "registry.json")
        try:
            content = orjson.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise HostRefused(f"credential {name}: its file registry.json cannot be read or is no JSON") from error
        if not isinstance(content, dict):
            raise HostRefused(f"credential {name}: its file registry.json holds no object")
        found = RegistryCredential(
            name=name,
            username=_text(name, content, "username"),
            password=_text(name, content, "password"),
            registry=registry_name(_text(name, content, "serveraddress", DOCKER_HUB)),
            projects=_projects(name, content),
        )
        if not found.permits(project):
            raise _absent(name, "registry.json")
        return found

    def _file(self, name: str, file: str) -> Path:
        if not _NAME.fullmatch(name):
            raise HostRefused(f"credential {name!r}: not the name of a credential (letters, digits, '_', '.', '-')")
        if self._folder is None:
            raise HostRefused(
                f"credential {name}: this service holds none; ask its operator to configure a folder for them"
            )
        path = self._folder / name / file
        if not path.is_file():
            raise _absent(name, file)
        return path


def _absent(name: str, file: str) -> HostRefused:
    return HostRefused(f"credential {name}: this service holds no file {file} for it; ask its operator to put it there")


def _text(name: str, content: dict[str, Any], key: str, default: str = "") -> str:
    value = content.get(key, default)
    if not isinstance(value, str) or not value:
        raise HostRefused(f"credential {name}: {key} in its file registry.json must be text")
    return value


def _projects(name: str, content: dict[str, Any]) -> frozenset[str]:
    value = content.get("projects", [])
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise HostRefused(f"credential {name}: projects in its file registry.json must be a list of project ids")
    return frozenset(value)


def registry_name(address: str) -> str:
    """``https://Registry.example:5000/v2/`` is ``registry.example:5000``; all names of Docker Hub are one."""
    host = re.sub(r"^[a-z]+://", "", address.strip().lower()).partition("/")[0]
    return DOCKER_HUB if host in _NAMES_OF_DOCKER_HUB else host


def registry_of(reference: str) -> str:
    """The registry an image reference names, as Docker reads it."""
    first, slash, _ = reference.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        return registry_name(first)
    return DOCKER_HUB
