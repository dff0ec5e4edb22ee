"""Where an engine's service is reached: a unix socket on its machine, or TCP with mutual TLS between machines.

Plain TCP does not exist here. Guaranteed over TLS: either side refuses who has no certificate of the deployment's own
authority for its part (an engine serves, an API process asks), and the API refuses an engine whose certificate is not for the
host that its row names. Files are read when a process starts. A machine that falls silent is known to be gone within a minute,
also while nothing is said.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import aiohttp
from aiohttp import web

from spinney.errors import HostUnreachable, SpinneyError

SCHEME = "tls://"


class UnusableFiles(SpinneyError):
    """The certificate files of the link do not exist, or do not belong together."""


@dataclass(frozen=True, slots=True)
class LinkTls:
    """Files in PEM: whom to trust, and what to show."""

    ca: Path
    certificate: Path
    key: Path

    def for_engine(self) -> ssl.SSLContext:
        """Raises: UnusableFiles."""
        context = self._context(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def for_api(self) -> ssl.SSLContext:
        """Raises: UnusableFiles."""
        return self._context(ssl.PROTOCOL_TLS_CLIENT)

    def _context(self, protocol: int) -> ssl.SSLContext:
        context = ssl.SSLContext(protocol)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            context.load_verify_locations(cafile=self.ca)
            context.load_cert_chain(self.certificate, self.key, password=_no_passphrase)
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or str(error)
            raise UnusableFiles(
                f"[link] tls_ca {self.ca}, tls_certificate {self.certificate} and tls_key {self.key} cannot be used "
                f"together ({reason}): give files in PEM, of which the key has no passphrase"
            ) from error
        return context


def _no_passphrase() -> str:
    """OpenSSL would ask at the terminal."""
    raise ValueError("the key has a passphrase")


class Place(Protocol):
    """Where to serve."""

    @property
    def address(self) -> str:
        """What API processes are told, once it is open."""

    async def open(self, runner: web.AppRunner) -> None:
        """Raises OSError."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class UnixPlace:
    """A socket that nobody else may open."""

    path: Path

    @property
    def address(self) -> str:
        return str(self.path)

    async def open(self, runner: web.AppRunner) -> None:
        self.path.unlink(missing_ok=True)
        await web.UnixSite(runner, str(self.path)).start()
        self.path.chmod(0o600)

    def close(self) -> None:
        self.path.unlink(missing_ok=True)


class TlsPlace:
    """``host`` and ``port`` are served at and told; port 0 is any free one."""

    def __init__(self, host: str, port: int, tls: LinkTls) -> None:
        self._host = host
        self._port = port
        self._context = tls.for_engine()

    @property
    def address(self) -> str:
        return f"{SCHEME}{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}"

    async def open(self, runner: web.AppRunner) -> None:
        loop = asyncio.get_running_loop()
        family, _, _, _, where = (await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM))[0]
        listener = _watched(family)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(where)
            self._port = listener.getsockname()[1]
            await web.SockSite(runner, listener, ssl_context=self._context).start()
        except OSError as error:
            listener.close()
            raise OSError(
                error.errno, f"[link] address: an engine cannot serve at {self._host}:{self._port}: {error.strerror}"
            ) from error

    def close(self) -> None:
        """The socket goes with who serves at it."""


class Ways:
    """From an API process to engines."""

    def __init__(self, tls: LinkTls | None) -> None:
        self._context = None if tls is None else tls.for_api()

    def session(self, address: str, timeout: aiohttp.ClientTimeout) -> aiohttp.ClientSession:
        """Raises: HostUnreachable when the address is none that may be used from here."""
        if not address.startswith(SCHEME):
            return aiohttp.ClientSession("http://engine", connector=aiohttp.UnixConnector(address), timeout=timeout)
        if self._context is None:
            raise HostUnreachable(
                "the engine that could look into the host is on another machine, and this service has no certificate for "
                "it: set tls_ca, tls_certificate and tls_key in section [link] of its configuration"
            )
        connector = aiohttp.TCPConnector(ssl=self._context, socket_factory=lambda info: _watched(info[0]))
        url = f"https://{address.removeprefix(SCHEME)}"
        return aiohttp.ClientSession(url, connector=connector, timeout=timeout)


def _watched(family: Any) -> socket.socket:
    """A socket whose connections the kernel asks for a sign of life; accepted ones are like the one that listens."""
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in ((socket.TCP_KEEPIDLE, 20), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3)):
        made.setsockopt(socket.IPPROTO_TCP, option, seconds)
    return made
