"""Secrets that are kept in Barbican, read when they are used, as the user of the section ``[barbican]``.

A secret in Barbican is its project's; who put it there lets the service's user read it (an ACL). Guaranteed: only the
configured key manager is asked, whatever host a reference names; a secret is read only for the user who made it in Barbican, so
that nobody gets at another's through the service; nothing of a value is in an error. Calls run in threads. Not guaranteed: that
who made it still may read it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
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


class Barbican:
    """``files`` hold the section: keystoneauth's options of a user, a session and an endpoint. Raises: BadConfiguration."""

    def __init__(self, files: Sequence[Path]) -> None:
        conf = _options(files)
        try:
            auth = auth_options.load_from_conf_options(conf, SECTION)
            session = session_options.Session().load_from_conf_options(conf, SECTION, auth=auth)
            self._adapter: Any = adapter_options.Adapter().load_from_conf_options(conf, SECTION, session=session)
        except exceptions.ClientException as error:
            raise BadConfiguration(f"[{SECTION}]: {error}") from error
        self._adapter.service_type = self._adapter.service_type or _SERVICE

    async def read(self, reference: str, owner: Owner) -> str:
        """What the secret holds, as text. Raises: SecretUnusable, SecretUnavailable."""
        return await asyncio.to_thread(self._read, reference, owner)

    def _read(self, reference: str, owner: Owner) -> str:
        secret_id = reference_id(reference)
        if secret_id is None:
            raise SecretUnusable(f"{reference} is no reference to a secret in Barbican; give it another one")
        about = self._get(secret_id, "", "application/json").json()
        if about.get("creator_id") != owner.user:
            raise _not_yours(secret_id)
        kind = (about.get("content_types") or {}).get("default", _ANY)
        content: bytes = self._get(secret_id, "/payload", kind).content
        if len(content) > MOST_BYTES:
            raise SecretUnusable(f"Barbican's secret {secret_id} has {len(content)} bytes; {MOST_BYTES} are allowed")
        try:
            return content.decode()
        except UnicodeDecodeError as error:
            raise SecretUnusable(
                f"Barbican's secret {secret_id} is no text; store it encoded, for example as base64"
            ) from error

    def _get(self, secret_id: str, below: str, accepted: str) -> Any:
        try:
            root = (self._adapter.get_endpoint() or "").rstrip("/").removesuffix("/v1")
            if not root:
                raise SecretUnavailable("the catalogue has no key manager; set endpoint_override in [barbican]")
            url = f"{root}/v1/secrets/{secret_id}{below}"
            return self._adapter.get(url, headers={"Accept": accepted}, timeout=_SECONDS)
        except (exceptions.NotFound, exceptions.Forbidden) as error:
            raise _not_yours(secret_id) from error
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


def _not_yours(secret_id: str) -> SecretUnusable:
    """One answer for what is not there, what the service may not read, and what somebody else made."""
    return SecretUnusable(
        f"Barbican's secret {secret_id} cannot be read: see that it exists, that the user who made it there made the secret "
        "here too, and that the service's user is let read it (openstack acl user add)"
    )
