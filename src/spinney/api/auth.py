"""Who sends a request.

Guaranteed: a wrong password takes as long to refuse as it takes to accept the right one; ``NoAuth`` answers only requests
that name this machine itself as their destination, so that no page in a browser can reach it under a name of its own.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

from spinney.domain.identity import Caller, Owner
from spinney.errors import Unauthorized

#: Of the one user of a service without projects.
ALL_ROLES = frozenset({"admin", "member", "reader"})

Headers = Mapping[bytes, bytes]


class Authenticator(Protocol):
    @property
    def challenge(self) -> str:
        """The ``WWW-Authenticate`` header of a 401."""

    async def authenticate(self, headers: Headers) -> Caller:
        """Header names are in lower case. Raises: Unauthorized."""


@dataclass(frozen=True, slots=True)
class HttpBasic:
    """One user, one password."""

    user: str
    password: str
    caller: Caller

    @property
    def challenge(self) -> str:
        return 'Basic realm="spinney", charset="UTF-8"'

    async def authenticate(self, headers: Headers) -> Caller:
        scheme, _, encoded = headers.get(b"authorization", b"").partition(b" ")
        try:
            given = base64.b64decode(encoded.strip(), validate=True) if scheme.lower() == b"basic" else b""
        except binascii.Error:
            given = b""
        if not hmac.compare_digest(given, f"{self.user}:{self.password}".encode()):
            raise Unauthorized("Authorization: the right user and password are needed, by HTTP basic authentication.")
        return self.caller


@dataclass(frozen=True, slots=True)
class NoAuth:
    """Everybody who reaches the service is its one user; for a loopback address or a unix socket only."""

    caller: Caller

    @property
    def challenge(self) -> str:
        return 'None realm="spinney"'

    async def authenticate(self, headers: Headers) -> Caller:
        host = headers.get(b"host", b"").decode("latin-1")
        if not is_local(_without_port(host)):
            raise Unauthorized(
                f"Host: '{host[:255]}' is not an address of this machine alone; without authentication only such are served."
            )
        return self.caller


def standalone_caller(user: str = "admin", project: str = "default") -> Caller:
    return Caller(Owner(user=user, project=project), ALL_ROLES)


def is_local(host: str) -> bool:
    """Whether only this machine can be meant."""
    if host in ("", "localhost"):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def no_auth(listen: str, caller: Caller) -> NoAuth:
    """``listen``: the address served at, or the path of a unix socket. Raises ValueError when others can reach it."""
    if not listen or not (listen.startswith("/") or is_local(listen)):
        raise ValueError(
            f"auth_strategy none serves only loopback addresses and unix sockets, not '{listen}': choose http_basic, or "
            f"listen on 127.0.0.1"
        )
    return NoAuth(caller)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host
