"""Ways to a Docker engine: a unix socket, TCP with mutual TLS, or SSH.

Each way is an aiohttp session without a limit on connections (streams hold theirs, and must not make calls wait), without
proxies, cookies or redirects. Making one does no I/O. Guaranteed: TLS names and SSH host keys are always checked; a request
goes over a connection made with what the credential holds by then, and connections made with what it held before are closed
within ``GRACE`` seconds; no private key is written to a disk. While files of a credential are being replaced, one after the
other, they may not fit together: for that long what was read before stays in use.
"""

from __future__ import annotations

import asyncio
import os
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol
from weakref import WeakSet

import aiohttp

from spinney.domain.credential import TlsMaterial
from spinney.drivers.docker.credentials import Credentials
from spinney.drivers.docker.endpoints import TlsEndpoint
from spinney.drivers.docker.pipe import Pipe, tls_pipe, unix_pipe
from spinney.drivers.egress.guard import Guard
from spinney.errors import HostRefused

#: Seconds that replacing the files of a credential may take.
REPLACEMENT = 10.0
#: Seconds that requests and streams get to end after the credential they began with was replaced.
GRACE = 60.0


@dataclass(frozen=True, slots=True)
class Way:
    """How to send one request: the session, the start of its URL, and the TLS context."""

    session: aiohttp.ClientSession
    base: str
    #: Opens a connection beside those of the session.
    dial: Callable[[], Awaitable[Pipe]]
    tls: ssl.SSLContext | bool = True
    _pipes: WeakSet[Pipe] = field(default_factory=WeakSet)

    async def pipe(self) -> Pipe:
        """A connection of its own, for bytes both ways. It is closed with this way, if not before."""
        made = await self.dial()
        self._pipes.add(made)
        return made

    async def close(self) -> None:
        for pipe in list(self._pipes):
            pipe.close()
        await self.session.close()


class Connections(Protocol):
    async def way(self) -> Way:
        """Raises HostUnreachable or HostRefused when there is none now."""

    async def close(self) -> None: ...


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
            session = new_session(aiohttp.UnixConnector(self._path, limit=0))
            self._way = Way(session, "http://docker", partial(unix_pipe, self._path))
        return self._way

    async def close(self) -> None:
        if self._way is not None:
            await self._way.close()
            self._way = None


class TlsConnections:
    """Mutual TLS. Other material than before makes a new session; what still runs over the old one gets a while to end."""

    def __init__(self, endpoint: TlsEndpoint, credentials: Credentials, guard: Guard) -> None:
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        self._base = f"https://{host}:{endpoint.port}"
        self._host, self._port = endpoint.host, endpoint.port
        self._guard = guard
        self._credentials = credentials
        self._credential = endpoint.credential
        self._way: Way | None = None
        self._material: TlsMaterial | None = None
        self._retired = Retired()
        self._halfway = Halfway()

    async def way(self) -> Way:
        try:
            material = await self._credentials.tls(self._credential)
            if self._way is None or material != self._material:
                self._replace(tls_context(material, self._credential), material)
        except HostRefused:
            if self._way is None or not self._halfway.tolerable():
                raise
        else:
            self._halfway.end()
        assert self._way is not None
        return self._way

    def _replace(self, context: ssl.SSLContext, material: TlsMaterial) -> None:
        if self._way is not None:
            self._retired.add(self._way.close)
        dial = partial(tls_pipe, self._host, self._port, context, self._guard)
        session = new_session(aiohttp.TCPConnector(limit=0, socket_factory=self._guard.new_socket))
        self._way = Way(session, self._base, dial, context)
        self._material = material

    async def close(self) -> None:
        await self._retired.close()
        if self._way is not None:
            await self._way.close()
            self._way = None


class Halfway:
    """For how long what a credential holds has been no use, as while its files are being replaced."""

    def __init__(self) -> None:
        self._since: float | None = None

    def tolerable(self) -> bool:
        """Told that it is no use: whether that may pass by itself."""
        now = time.monotonic()
        if self._since is None:
            self._since = now
        return now - self._since < REPLACEMENT

    def end(self) -> None:
        self._since = None


class Retired:
    """Ways replaced by others: closed when what was under way has had ``GRACE`` seconds to end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def add(self, close: Callable[[], Awaitable[None]]) -> None:
        async def later() -> None:
            try:
                await asyncio.sleep(GRACE)
            finally:
                await close()

        task = asyncio.create_task(later(), name="retired connection")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Close them now."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def tls_context(material: TlsMaterial, credential: str) -> ssl.SSLContext:
    """Trusts the credential's own authority alone and shows its certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_verify_locations(cadata=material.ca.decode("ascii", "replace"))
        with _in_memory(material.certificate + b"\n" + material.key) as path:
            context.load_cert_chain(path, password=_no_passphrase)
    except (OSError, ValueError) as error:
        raise HostRefused(
            f"credential {credential}: its ca.pem, cert.pem and key.pem cannot be used together ({_reason(error)}); "
            "ask the operator to replace them"
        ) from error
    return context


def _no_passphrase() -> str:
    """OpenSSL would ask at the terminal."""
    raise ValueError("the key has a passphrase")


@contextmanager
def _in_memory(content: bytes) -> Iterator[str]:
    """A path at which OpenSSL, which takes certificates and keys from files alone, finds the content; no disk sees it."""
    descriptor = os.memfd_create("spinney-credential", os.MFD_CLOEXEC)
    try:
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _reason(error: Exception) -> str:
    return getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error) or type(error).__name__
