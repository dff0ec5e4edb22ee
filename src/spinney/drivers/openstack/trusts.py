"""Acting in a project after its user has gone: Keystone trusts.

A user lets the service's own user, the one in ``[service_user]``, act in the user's project with the least roles that the work
needs. Keystone keeps that; nothing of a token is kept here, so it does not matter when the user's expires. The service's
sessions renew themselves.

Guaranteed: a trust can be used by the service's user alone and cannot be passed on. What Keystone refuses is told as such;
when it does not answer, that is told. Calls run in threads. Not guaranteed: that a trust works for ever: it ends when its
user is removed, disabled, or loses a role of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from keystoneauth1 import exceptions, session
from keystoneauth1.adapter import Adapter
from keystoneauth1.identity import generic, v3
from keystoneauth1.loading import conf as auth_options
from keystoneauth1.loading import session as session_options
from keystoneauth1.token_endpoint import Token

from spinney.config import libraries
from spinney.errors import BadConfiguration, DelegationRefused, IdentityUnavailable

SECTION = "service_user"
T = TypeVar("T")


class Trusts:
    """``files`` hold the section: an ``auth_type = password`` with auth_url, username, password and their domains."""

    def __init__(self, files: Sequence[Path]) -> None:
        conf = libraries(files)
        auth_options.register_conf_options(conf, SECTION)
        session_options.Session().register_conf_options(conf, SECTION)
        try:
            itself = auth_options.load_from_conf_options(conf, SECTION)
            self._transport = session_options.Session().load_from_conf_options(conf, SECTION)
        except exceptions.ClientException as error:
            raise BadConfiguration(f"[{SECTION}]: {error}") from error
        options = conf[SECTION]
        if not isinstance(itself, v3.Password | generic.Password):
            raise BadConfiguration(f"[{SECTION}]: auth_type = password is needed; only a user can be trusted")
        self._itself: Any = itself
        self._login = {
            name: getattr(options, name)
            for name in ("auth_url", "username", "user_id", "password", "user_domain_id", "user_domain_name")
            if getattr(options, name)
        }

    async def make(self, token: str, user: str, project: str, roles: Sequence[str]) -> str:
        """Have the user of the token trust the service; the trust's id. Raises: DelegationRefused, IdentityUnavailable."""
        return await asyncio.to_thread(_asked, lambda: self._make(token, user, project, roles))

    def session(self, trust_id: str) -> Any:
        """A keystoneauth session in the trust's project; renews its own tokens."""
        trusted = v3.Password(**self._login, trust_id=trust_id)
        return session.Session(auth=trusted, verify=self._transport.verify, timeout=self._transport.timeout)

    async def works(self, trust_id: str) -> bool:
        """Whether Keystone still gives tokens for it. Raises: IdentityUnavailable."""
        try:
            await asyncio.to_thread(_asked, self.session(trust_id).get_token)
        except DelegationRefused:
            return False
        return True

    def _make(self, token: str, user: str, project: str, roles: Sequence[str]) -> str:
        trustee = self._itself.get_user_id(self._transport)
        identity = self._login["auth_url"].rstrip("/").removesuffix("/v3") + "/v3"
        keystone = Adapter(session.Session(auth=Token(identity, token), verify=self._transport.verify))
        asked = {
            "trustor_user_id": user,
            "trustee_user_id": trustee,
            "project_id": project,
            "impersonation": True,
            "allow_redelegation": False,
            "roles": [{"name": role} for role in roles],
        }
        made = keystone.post("/OS-TRUST/trusts", json={"trust": asked}, endpoint_override=identity)
        return str(made.json()["trust"]["id"])


def _asked(question: Callable[[], T]) -> T:
    try:
        return question()
    except (exceptions.Unauthorized, exceptions.Forbidden, exceptions.NotFound, exceptions.BadRequest) as error:
        raise DelegationRefused(
            f"The identity service does not let the service act in the caller's name ({error.message}): a token is needed that "
            f"the user got by signing in, with the needed roles; those of application credentials and trusts may not delegate."
        ) from error
    except exceptions.ClientException as error:
        raise IdentityUnavailable(
            "The identity service does not answer, so that nobody can act in the caller's name; try again later."
        ) from error
