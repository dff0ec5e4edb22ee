"""Credentials kept in the database, in the one kind of process that can unseal them.

Looked for first in the database, then wherever the operator keeps others (``otherwise``). Guaranteed: what replaces the data of
a credential is used within ``FRESH`` seconds; while the database does not answer, what was read before goes on serving; an
operator's mistake (the wrong type, the wrong key) is told as such, but to a tenant a registry credential that it may not name
answers like one that is not there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import orjson
from sqlalchemy.exc import DBAPIError

from spinney.clock import Clock
from spinney.domain.credential import (
    Credential,
    CredentialType,
    Material,
    RegistryMaterial,
    SshMaterial,
    TlsMaterial,
    Unusable,
    read,
)
from spinney.drivers.docker.credentials import Credentials, RegistryCredential
from spinney.engine.carrying.secrets import Secrets
from spinney.errors import HostRefused, HostUnreachable
from spinney.sealing import SecretKeys, WrongKey
from spinney.store import credentials
from spinney.store.database import Store, StoreUnavailable

#: Seconds for which what was read is used without asking the database again.
FRESH = 2.0
_KEPT = 4096


@dataclass(frozen=True, slots=True)
class _Known:
    read_at: float
    #: None: the database holds none of that name.
    credential: Credential | None
    material: Material | None
    #: Why there is no material although there is a credential.
    fault: str = ""


class StoreCredentials:
    """``Credentials`` of the Docker driver."""

    def __init__(self, store: Store, keys: SecretKeys, secrets: Secrets, clock: Clock, otherwise: Credentials) -> None:
        self._store = store
        self._keys = keys
        self._secrets = secrets
        self._clock = clock
        self._otherwise = otherwise
        self._known: dict[str, _Known] = {}

    async def tls(self, name: str) -> TlsMaterial:
        found = await self._find(name)
        if found is None:
            return await self._otherwise.tls(name)
        if not isinstance(found, TlsMaterial):
            raise self._other_type(name, CredentialType.DOCKER_TLS)
        return found

    async def ssh(self, name: str) -> SshMaterial:
        found = await self._find(name)
        if found is None:
            return await self._otherwise.ssh(name)
        if not isinstance(found, SshMaterial):
            raise self._other_type(name, CredentialType.DOCKER_SSH)
        return found

    async def registry(self, name: str, project: str) -> RegistryCredential:
        """The project's own login first, read anew each time: what replaces it is used by the next pull."""
        own = await self._secrets.registry_login(name, project)
        if own is not None:
            return RegistryCredential(name, own)
        found = await self._find(name)
        if isinstance(found, RegistryMaterial):
            credential = RegistryCredential(name, found)
            if credential.permits(project):
                return credential
        return await self._otherwise.registry(name, project)

    def _other_type(self, name: str, needed: CredentialType) -> HostRefused:
        found = self._known[name].credential
        held = "of another type" if found is None else f"of type {found.type}"
        return HostRefused(
            f"credential {name}: it is {held}, and this endpoint needs one of type {needed}; name another"
        )

    async def _find(self, name: str) -> Material | None:
        known = self._known.get(name)
        now = self._clock.monotonic()
        if known is None or now - known.read_at > FRESH:
            if known is not None:  # who comes meanwhile need not ask too
                self._known[name] = replace(known, read_at=now)
            known = await self._read(name, known, now)
            if len(self._known) >= _KEPT:  # tenants name registry credentials as they like
                self._known.clear()
            self._known[name] = known
        if known.fault:
            raise HostRefused(known.fault)
        return known.material

    async def _read(self, name: str, before: _Known | None, now: float) -> _Known:
        try:
            found = await self._store.read(credentials.load, name)
        except (StoreUnavailable, DBAPIError) as error:
            if before is None:
                raise HostUnreachable(
                    f"credential {name} cannot be read now: the database does not answer; it is tried again"
                ) from error
            return replace(before, read_at=now)
        if before is not None and found == before.credential:
            return replace(before, read_at=now)
        return _Known(now, None, None) if found is None else self._unsealed(found, now)

    def _unsealed(self, credential: Credential, now: float) -> _Known:
        try:
            data = orjson.loads(self._keys.unseal(credential.sealed, credential.id))
            return _Known(now, credential, read(credential.type, data))
        except (WrongKey, Unusable, ValueError) as error:
            fault = (
                f"credential {credential.name} cannot be unsealed: {error}; ask the operator to put the right key back, or "
                f"to give the credential its data anew with `spinney credential rotate`"
            )
            return _Known(now, credential, None, fault)
