"""Ways to a Docker engine: a unix socket, TCP with mutual TLS, or SSH.

Each way is an aiohttp session without a limit on connections (streams hold theirs, and must not make calls wait), without
proxies, cookies or redirects. Making one does no I/O. Guaranteed: TLS names and SSH host keys are always checked, and
credential files are read again when they changed, so that connections made from then on use the new ones.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp

from spinney.drivers.docker.credentials import Credentials, TlsFiles
from spinney.drivers.docker.endpoints import Endpoint, SshEndpoint, TlsEndpoint, UnixEndpoint
from spinney.errors import HostRefused


@dataclass(frozen=True, slots=True)
class Way:
    """How to send one request: the session, the start of its URL, and the TLS context."""

    session: aiohttp.ClientSession
    base: str
    tls: ssl.SSLContext | bool = True


class Connections(Protocol):
    async def way(self) -> Way:
        """Raises HostUnreachable or HostRefused when there is none now."""

    async def close(self) -> None: ...


def connections(endpoint: Endpoint, credentials: Credentials) -> Connections:
    match endpoint:
        case UnixEndpoint():
            return UnixConnections(endpoint.path)
        case TlsEndpoint():
            return TlsConnections(endpoint, credentials)
        case SshEndpoint():
            from spinney.drivers.docker.ssh import SshConnections

            return SshConnections(endpoint, credentials)


def new_session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        auto_decompress=False,
        trust_env=False,
    )


class UnixConnections:
    def __init__(self, path: str) -> None:
        self._path = path
        self._way: Way | None = None

    async def way(self) -> Way:
        if self._way is None:
            self._way = Way(new_session(aiohttp.UnixConnector(self._path, limit=0)), "http://docker")
        return self._way

    async def close(self) -> None:
        if self._way is not None:
            await self._way.session.close()
            self._way = None


class TlsConnections:
    """Mutual TLS. Files that changed make a new context, and pooled connections of the old one are used no more."""

    def __init__(self, endpoint: TlsEndpoint, credentials: Credentials) -> None:
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        self._base = f"https://{host}:{endpoint.port}"
        self._credentials = credentials
        self._credential = endpoint.credential
        self._session: aiohttp.ClientSession | None = None
        self._context: ssl.SSLContext | None = None
        self._read: tuple[tuple[int, int, int], ...] = ()

    async def way(self) -> Way:
        if self._session is None:
            self._session = new_session(aiohttp.TCPConnector(limit=0))
        return Way(self._session, self._base, self._tls())

    def _tls(self) -> ssl.SSLContext:
        files = self._credentials.tls(self._credential)
        state = tuple(_identity(path) for path in (files.ca, files.certificate, files.key))
        if self._context is None or state != self._read:
            self._context, self._read = tls_context(files, self._credential), state
        return self._context

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


def _identity(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def tls_context(files: TlsFiles, credential: str) -> ssl.SSLContext:
    """Trusts the credential's own authority alone and shows its certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cafile=files.ca)
        context.load_cert_chain(files.certificate, files.key)
    except (OSError, ssl.SSLError) as error:
        raise HostRefused(
            f"credential {credential}: its files ca.pem, cert.pem and key.pem cannot be used together ({_reason(error)}); "
            "ask the operator to replace them"
        ) from error
    return context


def _reason(error: OSError) -> str:
    return getattr(error, "reason", None) or error.strerror or type(error).__name__
