"""What ``HostAddress`` says and whether it is permitted. Pure.

Permitted are ``unix:///path`` (paths the operator listed), ``tcp://host:port`` with a TLS credential, and
``ssh://user@host[:port]`` with an SSH credential. Plain TCP is never spoken: whoever can talk to a Docker engine is root
on its host.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from spinney.drivers.base import HostAddress
from spinney.errors import HostRefused

TLS_PORT = 2376
SSH_PORT = 22


@dataclass(frozen=True, slots=True)
class UnixEndpoint:
    path: str


@dataclass(frozen=True, slots=True)
class TlsEndpoint:
    host: str
    port: int
    credential: str


@dataclass(frozen=True, slots=True)
class SshEndpoint:
    user: str
    host: str
    port: int
    credential: str


Endpoint = UnixEndpoint | TlsEndpoint | SshEndpoint


def endpoint(address: HostAddress, allowed_unix_sockets: Sequence[str]) -> Endpoint:
    """Raises HostRefused with what to change."""
    try:
        parts = urlsplit(address.endpoint)
        port = parts.port
    except ValueError as error:
        raise HostRefused(f"endpoint {address.endpoint!r} is no URL: {error}; {_FORMS}") from error
    if parts.query or parts.fragment or parts.password is not None:
        raise HostRefused(f"an endpoint holds neither password, query nor fragment; {_FORMS}")
    if parts.scheme == "unix":
        return _unix(parts, allowed_unix_sockets)
    if parts.scheme not in ("tcp", "ssh") or not parts.hostname or parts.path not in ("", "/"):
        raise HostRefused(f"endpoint {address.endpoint!r} is not understood; {_FORMS}")
    if address.credential is None:
        need = "docker-tls: plain TCP is never spoken" if parts.scheme == "tcp" else "docker-ssh"
        raise HostRefused(f"endpoint {address.endpoint!r} needs a credential: name one of type {need}")
    if parts.scheme == "tcp":
        return TlsEndpoint(parts.hostname, port or TLS_PORT, address.credential)
    if not parts.username:
        raise HostRefused(f"endpoint {address.endpoint!r} names no user; write ssh://user@host[:port]")
    return SshEndpoint(parts.username, parts.hostname, port or SSH_PORT, address.credential)


_FORMS = "write unix:///path, tcp://host:port or ssh://user@host[:port]"


def _unix(parts: SplitResult, allowed: Sequence[str]) -> UnixEndpoint:
    path = posixpath.normpath(parts.path) if parts.path else ""
    if parts.netloc or not path.startswith("/"):
        raise HostRefused(f"endpoint {parts.geturl()!r} names no absolute path; write unix:///path/of/docker.sock")
    if path != parts.path or not any(fnmatch.fnmatchcase(path, pattern) for pattern in allowed):
        raise HostRefused(
            f"unix socket {parts.path} is not permitted; the operator lists permitted ones in the configuration"
        )
    return UnixEndpoint(path)
