"""HTTP requests to URLs that projects chose.

Guaranteed: bounded in size and time; no redirect is followed, no cookie kept, no proxy used; answers are not unpacked; no
connection is used for two requests. What goes wrong is an ``OutgoingFailed`` that does not show the address.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import aiohttp
from yarl import URL

from spinney.domain import egress
from spinney.domain.egress import Chosen, Rules
from spinney.drivers.egress.guard import Guard, refusal
from spinney.errors import OutgoingFailed, OutgoingRefused

#: Connections at a time, to everywhere and to one place.
_TOGETHER, _TO_ONE = 64, 8


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: bytes


class Sender(Protocol):
    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        seconds: float = 10.0,
        largest: int = 65536,
        verify: bool = True,
    ) -> Answer:
        """The answer, its body cut off after ``largest`` bytes; ``verify``: certificates must be good.

        Raises: OutgoingRefused, OutgoingFailed."""

    async def close(self) -> None: ...


class Outgoing:
    """``together`` and ``to_one``: connections at a time, to everywhere and to one place; 0: any number."""

    def __init__(self, rules: Rules, *, together: int = _TOGETHER, to_one: int = _TO_ONE) -> None:
        self._rules = rules
        self._limits = together, to_one
        self._session: aiohttp.ClientSession | None = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        seconds: float = 10.0,
        largest: int = 65536,
        verify: bool = True,
    ) -> Answer:
        fault = egress.url_fault(url, Chosen.BY_PROJECT, self._rules)
        if fault is not None:
            raise OutgoingRefused(fault)
        try:
            async with asyncio.timeout(seconds):
                # As it was given: what is signed is what is sent.
                address = URL(url, encoded=True)
                sending = self._open().request(
                    method, address, headers=headers, data=body or None, allow_redirects=False, ssl=verify
                )
                async with sending as response:
                    return Answer(response.status, await _beginning(response, largest))
        except TimeoutError as error:
            raise OutgoingFailed(f"no answer within {seconds:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            refused = refusal(error)
            if refused is not None:
                raise OutgoingRefused(f"it leads to {refused}") from error
            raise OutgoingFailed(_reason(error)) from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            together, to_one = self._limits
            connector = aiohttp.TCPConnector(
                limit=together,
                limit_per_host=to_one,
                force_close=True,
                socket_factory=Guard(self._rules, Chosen.BY_PROJECT).new_socket,
            )
            self._session = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                # An answer that is packed can be any size once unpacked.
                headers={"Accept-Encoding": "identity", "User-Agent": "spinney"},
                auto_decompress=False,
                trust_env=False,
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _beginning(response: aiohttp.ClientResponse, largest: int) -> bytes:
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size >= largest:
            response.close()
            break
    return b"".join(chunks)[:largest]


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "its name cannot be resolved"
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError):
        return "TLS failed, or its certificate is not trusted"
    if isinstance(error, aiohttp.ClientConnectorError | ConnectionError):
        return "nothing answers there"
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientPayloadError):
        return "it closed the connection"
    return "what it answers is no HTTP"
