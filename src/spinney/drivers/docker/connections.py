"""Ways to a Docker engine: a unix socket, TCP with mutual TLS, or SSH.

Each way is an aiohttp session without a limit on connections (streams hold theirs, and must not make calls wait), without
proxies, cookies or redirects. Making one does no I/O. Guaranteed: TLS names and SSH host keys are always checked, and
credential files are read again when they changed, so that connections made from then on use the new ones.

SSH is one connection per host, over which asyncssh forwards a socket in a private folder to the remote Docker socket: 14 ms
for the first request and nothing for further ones, where ``docker system dial-stdio`` starts a program on the host for
each connection. It is made again after it was lost.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp
import asyncssh

from spinney.drivers.docker.credentials import Credentials, SshFiles, TlsFiles
from spinney.drivers.docker.endpoints import Endpoint, SshEndpoint, TlsEndpoint, UnixEndpoint
from spinney.errors import HostRefused, HostUnreachable

REMOTE_SOCKET = "/run/docker.sock"
SSH_KEEPALIVE = 10.0
SSH_KEEPALIVES_MISSED = 3


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
            return SshConnections(endpoint, credentials)


def _session(connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
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
            self._way = Way(_session(aiohttp.UnixConnector(self._path, limit=0)), "http://docker")
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
            self._session = _session(aiohttp.TCPConnector(limit=0))
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


class SshConnections:
    def __init__(
        self,
        endpoint: SshEndpoint,
        credentials: Credentials,
        *,
        remote_socket: str = REMOTE_SOCKET,
        connect_limit: float = 10,
    ) -> None:
        self._endpoint = endpoint
        self._credentials = credentials
        self._remote_socket = remote_socket
        self._connect_limit = connect_limit
        self._connecting = asyncio.Lock()
        self._tunnel: _Tunnel | None = None

    async def way(self) -> Way:
        tunnel = self._tunnel
        if tunnel is not None and not tunnel.lost:
            return tunnel.way
        async with self._connecting:
            if self._tunnel is None or self._tunnel.lost:
                await self._drop()
                self._tunnel = await self._dig()
            return self._tunnel.way

    async def _dig(self) -> _Tunnel:
        where = self._endpoint
        key, known_hosts = ssh_keys(self._credentials.ssh(where.credential), where.credential)
        try:
            async with asyncio.timeout(self._connect_limit):
                connection = await asyncssh.connect(
                    where.host,
                    where.port,
                    username=where.user,
                    client_keys=[key],
                    known_hosts=known_hosts,
                    config=None,
                    agent_path=None,
                    preferred_auth="publickey",
                    gss_host=None,
                    keepalive_interval=SSH_KEEPALIVE,
                    keepalive_count_max=SSH_KEEPALIVES_MISSED,
                )
            return await _Tunnel.through(connection, self._remote_socket)
        except asyncssh.HostKeyNotVerifiable as error:
            raise HostRefused(
                f"the SSH host key of the host is not in known_hosts of credential {where.credential}; "
                "if the host is the right one, ask the operator to add its key there"
            ) from error
        except asyncssh.PermissionDenied as error:
            raise HostRefused(
                f"the host refused SSH user {where.user!r} with the key of credential {where.credential}; "
                "add the public key to that user's authorized_keys"
            ) from error
        except (asyncssh.Error, OSError) as error:
            raise HostUnreachable(
                f"the host does not answer by SSH ({type(error).__name__}); check that it is up and that its SSH server runs"
            ) from error

    async def _drop(self) -> None:
        tunnel, self._tunnel = self._tunnel, None
        if tunnel is not None:
            await tunnel.close()

    async def close(self) -> None:
        async with self._connecting:
            await self._drop()


def ssh_keys(files: SshFiles, credential: str) -> tuple[asyncssh.SSHKey, asyncssh.SSHKnownHosts]:
    try:
        return asyncssh.read_private_key(files.key), asyncssh.read_known_hosts(str(files.known_hosts))
    except (OSError, ValueError, asyncssh.Error) as error:
        raise HostRefused(
            f"credential {credential}: its file id is no private key without a passphrase, or known_hosts is malformed; "
            "ask the operator to replace them"
        ) from error


class _Tunnel:
    """One SSH connection and the socket it forwards."""

    def __init__(self, connection: asyncssh.SSHClientConnection, folder: str, path: str) -> None:
        self._connection = connection
        self._folder = folder
        self.way = Way(_session(aiohttp.UnixConnector(path, limit=0)), "http://docker")

    @classmethod
    async def through(cls, connection: asyncssh.SSHClientConnection, remote_socket: str) -> _Tunnel:
        folder = tempfile.mkdtemp(prefix="spinney-ssh-")
        path = os.path.join(folder, "docker.sock")  # noqa: PTH118
        try:
            await connection.forward_local_path(path, remote_socket)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            connection.abort()
            raise
        return cls(connection, folder, path)

    @property
    def lost(self) -> bool:
        return self._connection.is_closed()

    async def close(self) -> None:
        await self.way.session.close()
        self._connection.abort()
        await self._connection.wait_closed()
        shutil.rmtree(self._folder, ignore_errors=True)
