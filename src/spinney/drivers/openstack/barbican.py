"""Secrets that are kept in Barbican, read when they are used.

Either in the name of whoever refers to them, who lets the service do so by a trust: then Barbican itself decides what may be
read. Or as the user of the section ``[barbican]``, whom who put a secret there lets read it (an ACL): then a secret is read
only for the user who made it in Barbican, so that nobody gets at another's through the service.

Guaranteed: only the configured key manager is asked, whatever host a reference names; nothing of a value is in an error. Calls
run in threads. Not guaranteed, with ACLs: that who made it still may read it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from keystoneauth1 import exceptions
from keystoneauth1.loading import adapter as adapter_options
from keystoneauth1.loading import conf as auth_options
from keystoneauth1.loading import session as session_options

from spinney.config import libraries
from spinney.domain.identity import Owner
from spinney.domain.secret import MOST_BYTES, reference_id
from spinney.errors import BadConfiguration, SecretUnavailable, SecretUnusable

SECTION = "barbican"
_SERVICE = "key-manager"
_ANY = "application/octet-stream"
_SECONDS = 30.0

#: The keystoneauth session in a user's name. Raises: SecretUnusable, SecretUnavailable.
Sessions = Callable[[Owner], Awaitable[Any]]


class Barbican:
    """``files`` hold the section: keystoneauth's options of a user, a session and an endpoint. Raises: BadConfiguration."""

    def __init__(self, files: Sequence[Path], sessions: Sessions | None = None) -> None:
        conf = _options(files)
        try:
            auth = auth_options.load_from_conf_options(conf, SECTION)
            session = session_options.Session().load_from_conf_options(conf, SECTION, auth=auth)
            self._adapter: Any = adapter_options.Adapter().load_from_conf_options(conf, SECTION, session=session)
        except exceptions.ClientException as error:
            raise BadConfiguration(f"[{SECTION}]: {error}") from error
        self._adapter.service_type = self._adapter.service_type or _SERVICE
        self._sessions = sessions

    async def read(self, reference: str, owner: Owner) -> str:
        """What the secret holds, as text. Raises: SecretUnusable, SecretUnavailable."""
        session = None if self._sessions is None else await self._sessions(owner)
        return await asyncio.to_thread(self._read, reference, owner, session)

    def _read(self, reference: str, owner: Owner, session: Any) -> str:
        secret_id = reference_id(reference)
        if secret_id is None:
            raise SecretUnusable(f"{reference} is no reference to a secret in Barbican; give it another one")
        about = self._get(session, secret_id, "", "application/json").json()
        if session is None and about.get("creator_id") != owner.user:
            raise _not_yours(secret_id, trusted=False)
        kind = (about.get("content_types") or {}).get("default", _ANY)
        content: bytes = self._get(session, secret_id, "/payload", kind).content
        if len(content) > MOST_BYTES:
            raise SecretUnusable(f"Barbican's secret {secret_id} has {len(content)} bytes; {MOST_BYTES} are allowed")
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise SecretUnusable(
                f"Barbican's secret {secret_id} is no text; store it encoded, for example as base64"
            ) from error

    def _get(self, session: Any, secret_id: str, below: str, accepted: str) -> Any:
        """``session``: that of a user; None: the service's own."""
        try:
            root = (self._adapter.get_endpoint() or "").rstrip("/").removesuffix("/v1")
            if not root:
                raise SecretUnavailable("the catalogue has no key manager; set endpoint_override in [barbican]")
            url = f"{root}/v1/secrets/{secret_id}{below}"
            asked = self._adapter if session is None else session
            return asked.get(url, headers={"Accept": accepted}, timeout=_SECONDS)
        except (exceptions.NotFound, exceptions.Forbidden) as error:
            raise _not_yours(secret_id, trusted=session is not None) from error
        except exceptions.Unauthorized as error:
            if session is not None:
                raise _not_yours(secret_id, trusted=True) from error
            raise SecretUnavailable("Barbican does not know the service's own user; see to [barbican]") from error
        except exceptions.ClientException as error:
            raise SecretUnavailable(
                f"Barbican's secret {secret_id} cannot be read now ({type(error).__name__}); it is tried again"
            ) from error


def _options(files: Sequence[Path]) -> Any:
    conf = libraries(files)
    auth_options.register_conf_options(conf, SECTION)
    session_options.Session().register_conf_options(conf, SECTION)
    adapter_options.Adapter().register_conf_options(conf, SECTION)
    return conf


def _not_yours(secret_id: str, *, trusted: bool) -> SecretUnusable:
    """One answer for what is not there, what the service may not read, and what somebody else made."""
    if trusted:
        return SecretUnusable(
            f"Barbican's secret {secret_id} cannot be read in the name of the user who refers to it: see that it exists and "
            "that this user may read it, and give the secret here its reference anew, with a token from signing in"
        )
    return SecretUnusable(
        f"Barbican's secret {secret_id} cannot be read: see that it exists, that the user who made it there made the secret "
        "here too, and that the service's user is let read it (openstack acl user add)"
    )
