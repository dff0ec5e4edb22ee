"""Looking into hosts for the API, in the process that holds their credentials."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress

from spinney.domain.container import Container, ContainerStats, HostFacts, LogChunk, LogQuery
from spinney.domain.terminal import ExecRequest
from spinney.drivers.base import ContainerHost, ExecSession, HostAddress, HostConnector
from spinney.errors import HostUnreachable
from spinney.store import hosts
from spinney.store.database import Store
from spinney.store.tables import host as host_table

#: Seconds for a look that an API caller waits for.
_PATIENCE = 10.0


class LocalAccess:
    """``HostAccess`` with connections of its own, so that readers never wait behind the engine's work."""

    def __init__(
        self,
        store: Store,
        connector: HostConnector,
        measured: Callable[[str, str], ContainerStats | None] | None = None,
    ) -> None:
        """``measured``: what is known already of a container (by host and container), and fresh."""
        self._measured = measured or (lambda host_id, container_id: None)
        self._store = store
        self._connector = connector
        self._known: dict[str, tuple[HostAddress, ContainerHost]] = {}

    async def _host(self, host_id: str) -> ContainerHost:
        found = await self._store.read(hosts.find, host_table.c.node_id == host_id)
        if not found:
            raise HostUnreachable("the host of this node is no longer registered")
        address = HostAddress(found[0].endpoint, found[0].credential)
        known = self._known.get(host_id)
        if known is None or known[0] != address:
            if known is not None:
                await known[1].close()
            known = self._known[host_id] = (address, self._connector.connect(address))
        return known[1]

    async def probe(self, address: HostAddress) -> HostFacts:
        host = self._connector.connect(address)
        try:
            async with _patience():
                return await host.facts()
        finally:
            await host.close()

    async def inspect(self, host_id: str, container_id: str) -> Container | None:
        host = await self._host(host_id)
        async with _patience():
            return await host.inspect(container_id)

    async def stats(self, host_id: str, container_id: str) -> ContainerStats:
        measured = self._measured(host_id, container_id)
        if measured is not None:
            return measured
        host = await self._host(host_id)
        async with _patience():
            return await host.stats(container_id)

    async def logs(self, host_id: str, container_id: str, query: LogQuery) -> AsyncGenerator[LogChunk, None]:
        host = await self._host(host_id)
        # Closed when the reader leaves, so that the connection to the host is released at once.
        async with aclosing(host.logs(container_id, query)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def exec(self, host_id: str, container_id: str, request: ExecRequest) -> ExecSession:
        host = await self._host(host_id)
        async with _patience():
            return await host.exec(container_id, request)

    async def close(self) -> None:
        for _, host in self._known.values():
            with suppress(Exception):
                await host.close()


class _patience:
    """Raises HostUnreachable where ``asyncio.timeout`` raises TimeoutError."""

    def __init__(self) -> None:
        self._timeout = asyncio.timeout(_PATIENCE)

    async def __aenter__(self) -> None:
        await self._timeout.__aenter__()

    async def __aexit__(self, *exception: object) -> None:
        try:
            await self._timeout.__aexit__(*exception)  # type: ignore[arg-type]  # the three parts of one exception
        except TimeoutError as error:
            raise HostUnreachable(f"the host did not answer within {_PATIENCE:g} s") from error
