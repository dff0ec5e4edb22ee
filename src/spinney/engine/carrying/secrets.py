"""Secrets of projects, in the one kind of process that can unseal them.

They are read when they are used, so what replaces one is used by the next container that is made or started. Guaranteed: what
a container is to know leaves this module for the driver alone; texts that a Docker engine or a container said pass ``discreet``
and ``conceal`` before anybody else sees them. Not guaranteed: that a value of less than four letters is found in a text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import orjson
from sqlalchemy.exc import DBAPIError

from spinney.domain.container import SecretFile
from spinney.domain.credential import RegistryMaterial, Unusable
from spinney.domain.identity import Owner
from spinney.domain.secret import PAYLOAD, Secret, chosen, conceal, registry
from spinney.engine.jobs import Job
from spinney.errors import HostError, SecretUnavailable, SecretUnusable
from spinney.profiles.container_secrets import SecretPart
from spinney.sealing import SecretKeys, WrongKey
from spinney.store import secrets
from spinney.store.database import Store, StoreUnavailable
from spinney.store.identity import as_uuid


class ReferenceReader(Protocol):
    """Fetches what is kept elsewhere."""

    async def read(self, reference: str, owner: Owner) -> str:
        """What the reference leads to, if it is that user's. Raises: SecretUnusable, SecretUnavailable."""


@dataclass(frozen=True, slots=True)
class Known:
    """What one container is to know."""

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: tuple[SecretFile, ...] = field(default=(), repr=False)

    def conceal(self, text: str) -> str:
        if not self.environment and not self.files:
            return text
        contents = (one.content.decode(errors="replace") for one in self.files)
        return conceal(text, (*self.environment.values(), *contents))

    @contextmanager
    def discreet(self) -> Iterator[None]:
        """Errors of hosts leave this without what the container is to know."""
        try:
            yield
        except HostError as error:
            told = self.conceal(error.message)
            if told == error.message:
                raise
            raise type(error)(told) from None


NOTHING = Known()


class Secrets:
    def __init__(self, store: Store, keys: SecretKeys, references: ReferenceReader | None = None) -> None:
        self._store = store
        self._keys = keys
        self._references = references

    async def of(self, job: Job) -> Known:
        """What the container of a job is to know. Raises: SecretUnusable, SecretUnavailable."""
        parts = job.container_profile.properties.secrets
        if not parts:
            return NOTHING
        try:
            found = await self._store.read(secrets.named_by, job.container_profile.profile.id)
        except (StoreUnavailable, DBAPIError) as error:
            raise _database_silent() from error
        held: dict[str, Mapping[str, str]] = {}
        environment: dict[str, str] = {}
        files: list[SecretFile] = []
        for part in parts:
            secret = _meant(found, part.secret)
            if secret.id not in held:
                held[secret.id] = await self._open(secret)
            value = _value(secret, part, held[secret.id])
            if part.env is not None:
                environment[part.env] = value
            else:
                files.append(part.file(value))
        return Known(environment, tuple(files))

    async def open_secret(self, secret_id: str) -> Mapping[str, str]:
        """What a secret holds, by key. Raises: SecretUnusable, SecretUnavailable."""
        try:
            secret = await self._store.read(secrets.load, secret_id)
        except (StoreUnavailable, DBAPIError) as error:
            raise _database_silent() from error
        if secret is None:
            raise SecretUnusable(f"secret {secret_id} does not exist any more; name another one")
        return await self._open(secret)

    async def registry_login(self, word: str, project: str) -> RegistryMaterial | None:
        """The project's own login of that name or id; None: it has none. Raises: SecretUnusable, SecretUnavailable."""
        try:
            secret = await self._store.read(secrets.registry_secret, word, project)
        except (StoreUnavailable, DBAPIError) as error:
            raise _database_silent() from error
        if secret is None:
            return None
        try:
            return registry(await self._open(secret))
        except Unusable as error:
            raise SecretUnusable(f"secret {secret.name}: {error}; give it its data anew") from error

    async def _open(self, secret: Secret) -> Mapping[str, str]:
        if secret.reference is not None:
            if self._references is None:
                raise SecretUnusable(
                    f"secret {secret.name} is kept in Barbican, and this engine is not connected to it; ask the operator to "
                    "configure [barbican]"
                )
            owner = Owner(secret.user, secret.project, secret.domain)
            return {PAYLOAD: await self._references.read(secret.reference, owner)}
        try:
            opened: dict[str, str] = orjson.loads(self._keys.unseal(secret.sealed or b"", secret.id))
        except (WrongKey, ValueError) as error:
            raise SecretUnusable(
                f"secret {secret.name} cannot be unsealed: {error}; ask the operator to put the right key back, or give the "
                "secret its data anew with `spinney secret update`"
            ) from error
        return opened


def _meant(found: list[Secret], word: str) -> Secret:
    """As the profile's maker found it: by name, id, or beginning of the id."""
    ways: tuple[Callable[[Secret], bool], ...] = (
        lambda one: one.id == as_uuid(word),
        lambda one: one.name == word,
        lambda one: one.id.startswith(word.lower()),
    )
    for fits in ways:
        for one in found:
            if fits(one):
                return one
    raise SecretUnusable(f"secret '{word}' does not exist any more; name another one in the profile")


def _value(secret: Secret, part: SecretPart, held: Mapping[str, str]) -> str:
    try:
        value = held[chosen(secret.name, tuple(held), part.key)]
    except Unusable as error:
        raise SecretUnusable(f"{error}; give it this key, or name another one in the profile") from error
    if part.env is not None and "\0" in value:
        raise SecretUnusable(
            f"secret '{secret.name}' holds a NUL, which no environment variable can; use path instead of env"
        )
    return value


def _database_silent() -> SecretUnavailable:
    return SecretUnavailable("secrets cannot be read now: the database does not answer; it is tried again")
