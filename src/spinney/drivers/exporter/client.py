"""Fetching what a node_exporter tells. Guaranteed: bounded in size and time, no redirects, proxies or cookies, nothing sent
but the request; what goes wrong is a HostError that does not show the address.
"""

from __future__ import annotations

import aiohttp
from yarl import URL

from spinney.clock import Clock
from spinney.domain.egress import NO_RULES, Chosen, Rules
from spinney.domain.utilization import HostCounters
from spinney.drivers.docker.faults import bounded
from spinney.drivers.egress.guard import Guard
from spinney.drivers.exporter.metrics import reading
from spinney.errors import HostBroken

#: Seconds for one answer.
_PATIENCE = 5.0
_LARGEST = 4 << 20


class NodeExporter:
    """``MetricsReader`` over HTTP; connections are kept for the next reading."""

    def __init__(self, clock: Clock, egress: Rules = NO_RULES) -> None:
        """``egress``: the operator's own lists of addresses that may be asked, or not."""
        self._clock = clock
        self._guard = Guard(egress, Chosen.BY_OPERATOR)
        self._session: aiohttp.ClientSession | None = None

    async def read(self, url: str) -> HostCounters:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, socket_factory=self._guard.new_socket),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                # An answer that is packed can be any size once unpacked.
                headers={"Accept": "text/plain", "Accept-Encoding": "identity"},
                auto_decompress=False,
                trust_env=False,
            )
        async with bounded(_PATIENCE, "answer at its metrics_url"):
            async with self._session.get(URL(url), allow_redirects=False) as response:
                if response.status != 200:
                    raise HostBroken(f"metrics_url: it answers with HTTP status {response.status} instead of 200")
                body = await _bounded_body(response)
        return reading(body.decode("utf-8", "replace"), self._clock.monotonic())

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


async def _bounded_body(response: aiohttp.ClientResponse) -> bytes:
    chunks, size = [], 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > _LARGEST:
            raise HostBroken(
                f"metrics_url: its answer is larger than {_LARGEST} bytes; name the /metrics of a node_exporter"
            )
    return b"".join(chunks)
