"""Octavia: load balancers of a cloud, asked in the name of the user who owns a cluster.

That user lets the service do so by a trust, so that Keystone and Octavia decide what may be made and used, and it counts
against the limits that the project has there. With ``[balancer] octavia_url`` and nobody in ``[service_user]`` nobody signs in:
for an Octavia that takes the project from whoever asks, as in tests.

Guaranteed: bounded time for each request; every error names Octavia, what it said and its request's id. Calls run in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from keystoneauth1 import exceptions, noauth
from keystoneauth1 import session as sessions_
from keystoneauth1.loading import conf as auth_options
from keystoneauth1.loading import session as session_options

from spinney.config import libraries
from spinney.domain.identity import Owner
from spinney.drivers.openstack.trusts import SECTION
from spinney.errors import (
    BadConfiguration,
    OctaviaBusy,
    OctaviaFailed,
    OctaviaGone,
    OctaviaRefused,
    SecretUnavailable,
    SecretUnusable,
)

_SERVICE, _NETWORK = "load-balancer", "network"
_SECONDS = 30.0
_REFUSALS = range(400, 500)
_LATER = (408, 429)

#: The keystoneauth session in a user's name. Raises: SecretUnusable, SecretUnavailable.
Sessions = Callable[[Owner], Awaitable[Any]]


class Octavia:
    """``url``: its root, for where the catalogue does not say. ``sessions`` None: nobody signs in. ``itself``: the service's
    own session, with which the catalogue is read."""

    def __init__(self, url: str = "", sessions: Sessions | None = None, itself: Any = None) -> None:
        self._url = url
        self._sessions = sessions
        self._itself = itself
        self._nobody = sessions_.Session(auth=noauth.NoAuth(endpoint=url))

    async def offered(self) -> bool:
        """Whether the cloud has one. Raises: OctaviaFailed: nobody knows."""
        return bool(self._url) or await asyncio.to_thread(self._in_catalogue)

    async def ask(self, owner: Owner, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """What it answers, of what is below /v2/lbaas; None: nothing. Raises: OctaviaFailed."""
        return await self._ask(owner, _SERVICE, method, f"/v2/lbaas/{path}", body)

    async def network_id(self, owner: Owner, kind: str, word: str) -> str:
        """Of a subnet or network by its name. Raises: OctaviaFailed."""
        if self._sessions is None:
            raise OctaviaRefused(f"{kind} {word} is no id, and nobody can be asked about names here: give its id")
        found = (await self._ask(owner, _NETWORK, "GET", f"/v2.0/{kind}s?name={word}", None))[f"{kind}s"]
        if len(found) != 1:
            raise OctaviaRefused(f"there are {len(found)} {kind}s called {word} for the project: give the id of one")
        return str(found[0]["id"])

    async def _ask(self, owner: Owner, service: str, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
        session = self._nobody
        if self._sessions is not None:
            try:
                session = await self._sessions(owner)
            except SecretUnusable as error:
                raise OctaviaRefused(error.message) from error
            except SecretUnavailable as error:
                raise OctaviaFailed(error.message) from error
        return await asyncio.to_thread(self._request, session, owner, service, method, path, body)

    def _request(
        self, session: Any, owner: Owner, service: str, method: str, path: str, body: Mapping[str, Any] | None
    ) -> Any:
        name = _called(service)
        try:
            root = self._root(session, service)
            headers = {"Accept": "application/json"}
            if self._sessions is None:
                headers["X-Project-Id"] = owner.project
            more = {} if body is None else {"json": body}
            answer = session.request(
                f"{root}{path}", method, headers=headers, timeout=_SECONDS, raise_exc=False, redirect=False, **more
            )
        except (exceptions.Unauthorized, exceptions.Forbidden, exceptions.NotFound) as error:
            raise OctaviaRefused(
                f"Keystone does not let the service ask {name} in the name of the cluster's owner ({type(error).__name__}): "
                f"have the owner attach the policy anew, with a token from signing in"
            ) from error
        except exceptions.ClientException as error:
            raise OctaviaFailed(f"{name} does not answer ({type(error).__name__}); it is tried again") from error
        if answer.status_code >= 300:
            raise _error(name, answer)
        try:
            return answer.json() if answer.content else None
        except ValueError as error:
            raise OctaviaFailed(f"{name} answers what is no JSON; is it what is configured as it?") from error

    def _root(self, session: Any, service: str) -> str:
        root = self._url if service == _SERVICE else ""
        root = root or session.get_endpoint(service_type=service, interface="public") or ""
        if not root:
            raise OctaviaRefused(f"the catalogue has no {service} service; set octavia_url in [balancer]")
        return str(root).rstrip("/").removesuffix("/v2.0").removesuffix("/v2")

    def _in_catalogue(self) -> bool:
        if self._itself is None:
            return False
        try:
            return bool(self._itself.get_endpoint(service_type=_SERVICE, interface="public"))
        except exceptions.ClientException as error:
            raise OctaviaFailed(
                f"Keystone does not say whether there is an Octavia ({type(error).__name__}): see to [{SECTION}], or set kind "
                f"in [balancer]"
            ) from error


def own_session(files: Sequence[Path]) -> Any:
    """That of the user in ``[service_user]``. Raises: BadConfiguration."""
    conf = libraries(files)
    auth_options.register_conf_options(conf, SECTION)
    session_options.Session().register_conf_options(conf, SECTION)
    try:
        auth = auth_options.load_from_conf_options(conf, SECTION)
        return session_options.Session().load_from_conf_options(conf, SECTION, auth=auth)
    except exceptions.ClientException as error:
        raise BadConfiguration(f"[{SECTION}]: {error}") from error


def _called(service: str) -> str:
    return "Octavia" if service == _SERVICE else "Neutron"


def _error(name: str, answer: Any) -> OctaviaFailed:
    status, said = int(answer.status_code), _said(answer)
    request = answer.headers.get("x-openstack-request-id", "none")
    text = f"{name} answers {status}: {said} (request {request})"
    if status == 404:
        return OctaviaGone(text)
    if status == 409 and "immutable" in said:
        return OctaviaBusy(text)
    if status in _REFUSALS and status not in _LATER:
        return OctaviaRefused(text)
    return OctaviaFailed(text)


def _said(answer: Any) -> str:
    try:
        told = answer.json()
    except ValueError:
        return str(answer.text).strip()[:300]
    if isinstance(told, Mapping):
        told = told.get("faultstring") or told.get("NeutronError") or told.get("error") or told
    return str(told).strip()[:500]
