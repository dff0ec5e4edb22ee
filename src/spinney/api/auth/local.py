"""No authentication, where nobody but this machine can ask.

Guaranteed: only requests that name this machine itself as their destination are answered, so that no page in a browser can
reach the service under a name of its own. What clients send instead of credentials is not looked at.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from spinney.api.auth.base import Request
from spinney.domain.identity import Caller
from spinney.errors import Unauthorized


@dataclass(frozen=True, slots=True)
class NoAuth:
    """Everybody who reaches the service is its one user; for a loopback address or a unix socket only."""

    caller: Caller

    @property
    def challenge(self) -> str:
        return 'None realm="spinney"'

    async def authenticate(self, request: Request) -> Caller:
        host = request.headers.get(b"host", b"").decode("latin-1")
        if not is_local(_without_port(host)):
            raise Unauthorized(
                f"Host: '{host[:255]}' is not an address of this machine alone; without authentication only such are served."
            )
        return self.caller


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
            f"[auth] strategy: none serves only loopback addresses and unix sockets, not '{listen}': choose http_basic, or "
            f"listen on 127.0.0.1"
        )
    return NoAuth(caller)


def _without_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0]
    return host.rpartition(":")[0] if ":" in host else host
