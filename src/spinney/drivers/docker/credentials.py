"""Named credentials, as ways to Docker engines and pulls ask for them.

``FolderCredentials`` keeps them as files of the operator, one folder per credential under one folder for all:

* a Docker engine by TLS: ``ca.pem``, ``cert.pem``, ``key.pem``;
* a host by SSH: ``id`` (a private key without passphrase) and ``known_hosts`` (always checked);
* a registry: ``registry.json`` with ``username``, ``password``, ``serveraddress`` (Docker Hub when left out) and
  ``projects``, the projects that may name it (``["*"]``: all; none when left out).

Guaranteed: a name never leads out of the folder; files are read each time, so that replacing one rotates it without a restart;
no secret is in an error, a ``repr`` or a log; a registry credential is sent for images of its own registry only, whatever
image a tenant combines it with.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import orjson

from spinney.domain import credential as domain
from spinney.domain.credential import (
    DOCKER_HUB,
    NAME,
    CredentialType,
    Material,
    RegistryMaterial,
    SshMaterial,
    TlsMaterial,
    Unusable,
    registry_name,
)
from spinney.domain.secret import conceal
from spinney.errors import HostRefused


@dataclass(frozen=True, slots=True)
class RegistryCredential:
    name: str
    material: RegistryMaterial

    def permits(self, project: str) -> bool:
        """May this project name the credential in a profile?"""
        return not self.material.projects.isdisjoint({"*", project})

    def conceal(self, text: str) -> str:
        """What a registry said, without what it was told."""
        both = f"{self.material.username}:{self.material.password}"
        return conceal(text, (both, self.material.password))

    def header(self, reference: str) -> str:
        """``X-Registry-Auth`` for pulling this image. Raises HostRefused when the image lies in another registry."""
        asked, ours = registry_of(reference), self.material.registry
        if asked != ours:
            raise HostRefused(
                f"image {reference} lies in registry {asked}, but registry credential {self.name} is for "
                f"{ours}; name a credential for {asked}, or none"
            )
        address = "https://index.docker.io/v1/" if asked == DOCKER_HUB else asked
        content = {
            "username": self.material.username,
            "password": self.material.password,
            "serveraddress": address,
        }
        return base64.urlsafe_b64encode(orjson.dumps(content)).decode()


class Credentials(Protocol):
    """What is held now under a name. Asked before each request, so answers have to be quick.

    All raise HostRefused when there is none of that name and type, HostUnreachable when that cannot be found out now.
    """

    async def tls(self, name: str) -> TlsMaterial: ...

    async def ssh(self, name: str) -> SshMaterial: ...

    async def registry(self, name: str, project: str) -> RegistryCredential:
        """One kept for other projects answers like one that is not there."""


class FolderCredentials:
    """All of them; without a folder there are none."""

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    async def tls(self, name: str) -> TlsMaterial:
        return TlsMaterial(*(self._content(name, file) for file in ("ca.pem", "cert.pem", "key.pem")))

    async def ssh(self, name: str) -> SshMaterial:
        return SshMaterial(*(self._content(name, file) for file in ("id", "known_hosts")))

    async def registry(self, name: str, project: str) -> RegistryCredential:
        content = self._content(name, "registry.json")
        try:
            data = orjson.loads(content)
        except ValueError as error:
            raise HostRefused(f"credential {name}: its file registry.json is no JSON") from error
        if not isinstance(data, dict):
            raise HostRefused(f"credential {name}: its file registry.json holds no object")
        try:
            material: Material = domain.read(CredentialType.REGISTRY, data)
        except Unusable as error:
            said = str(error).removeprefix("data.")
            raise HostRefused(f"credential {name}: its file registry.json cannot be used: {said}") from error
        assert isinstance(material, RegistryMaterial)
        found = RegistryCredential(name, material)
        if not found.permits(project):
            raise _absent(name, "registry.json")
        return found

    def _content(self, name: str, file: str) -> bytes:
        if not NAME.fullmatch(name):
            raise HostRefused(f"credential {name!r}: not the name of a credential (letters, digits, '_', '.', '-')")
        if self._folder is None:
            raise HostRefused(
                f"credential {name}: this service holds none; ask its operator to add it with `spinney credential add`"
            )
        try:
            return (self._folder / name / file).read_bytes()
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise _absent(name, file) from error
        except OSError as error:
            raise HostRefused(
                f"credential {name}: its file {file} cannot be read ({error.strerror}); ask the operator to make it "
                "readable for the service"
            ) from error


def _absent(name: str, file: str) -> HostRefused:
    return HostRefused(
        f"credential {name}: this service holds no file {file} for it; ask its operator to add it with "
        "`spinney credential add`"
    )


def registry_of(reference: str) -> str:
    """The registry an image reference names, as Docker reads it."""
    first, slash, _ = reference.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost" or first != first.lower()):
        return registry_name(first)
    return DOCKER_HUB
