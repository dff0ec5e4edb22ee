"""What ``HostAddress`` says and whether it is permitted. Pure.

Permitted are ``unix:///path`` (paths the operator listed), ``tcp://host:port`` with a TLS credential, and
``ssh://user@host[:port]`` with an SSH credential, each named or the deployment's default of that type. Plain TCP is never
spoken: whoever can talk to a Docker engine is root on its host.
"""

from __future__ import annotations

import fnmatch
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from spinney.domain.credential import CredentialType
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


_NO_DEFAULTS: Mapping[CredentialType, str] = {}


def endpoint(
    address: HostAddress, allowed_unix_sockets: Sequence[str], defaults: Mapping[CredentialType, str] = _NO_DEFAULTS
) -> Endpoint:
    """``defaults``: by type, the credential for addresses that name none. Raises HostRefused with what to change."""
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
    kind = CredentialType.DOCKER_TLS if parts.scheme == "tcp" else CredentialType.DOCKER_SSH
    credential = address.credential or defaults.get(kind)
    if credential is None:
        why = ": plain TCP is never spoken" if parts.scheme == "tcp" else ""
        raise HostRefused(f"endpoint {address.endpoint!r} needs a credential: name one of type {kind}{why}")
    if parts.scheme == "tcp":
        return TlsEndpoint(parts.hostname, port or TLS_PORT, credential)
    if not parts.username:
        raise HostRefused(f"endpoint {address.endpoint!r} names no user; write ssh://user@host[:port]")
    return SshEndpoint(parts.username, parts.hostname, port or SSH_PORT, credential)


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
