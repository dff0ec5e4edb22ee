"""The hosts an engine is connected to, each with a bound on what is asked of it at a time.

Guaranteed: on each host the projects take turns, and what one project asks for never fills it: a few places beyond its own
are for the others.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar

from spinney.domain.container import ImageRequest, NetworkRequest
from spinney.domain.host import Host
from spinney.domain.images import familiar
from spinney.drivers.balancer.provided import Provided
from spinney.drivers.base import ContainerHost, HostAddress, HostConnector
from spinney.engine.lease import Lease
from spinney.queueing import Lines

_PULLS_REMEMBERED = 256
#: Places beyond those that one project may take up on a host.
_FOR_OTHERS = 2
_NOTHING = Provided()
#: On whose behalf a task works: a project; empty: our own.
working_for: ContextVar[str] = ContextVar("working_for", default="")
#: Told the host's id and the reference of an image that was pulled to it.
Arrived = Callable[[str, str], Awaitable[None]]


class Connected:
    """One host. Work that makes a Docker engine busy goes through ``slots``; waiting for a container to stop does not."""

    def __init__(
        self,
        host: Host,
        docker: ContainerHost,
        address: HostAddress,
        concurrency: int,
        lease: Lease,
        arrived: Arrived,
        own: Provided = _NOTHING,
    ) -> None:
        self.name = host.name
        self._id = host.node_id
        self._arrived = arrived
        self._own = own
        self.docker = docker
        self.address = address
        self._slots = Lines(concurrency + _FOR_OTHERS, concurrency)
        self._lease = lease
        self._networks: set[str] = set()
        self._proven: set[str] = set()
        self._pulled: OrderedDict[tuple[str, str], None] = OrderedDict()

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[ContainerHost]:
        async with self._slots.turn(working_for.get()):
            self._lease.require()
            yield self.docker

    async def stop(self, container_id: str, timeout: int) -> None:
        """Outside of the slots, because it is mostly waiting."""
        self._lease.require()
        await self.docker.stop(container_id, timeout)

    def has_network(self, network: NetworkRequest) -> bool:
        """As far as is known."""
        return network.name in self._networks

    async def have_network(self, network: NetworkRequest) -> None:
        await self.docker.ensure_network(network)
        self._networks.add(network.name)

    def forget_network(self, name: str) -> None:
        self._networks.discard(name)

    def has_proven(self, profile_id: str) -> bool:
        """Whether a container of the profile has been seen to live here."""
        return profile_id in self._proven

    def prove(self, profile_id: str) -> None:
        self._proven.add(profile_id)

    async def fetch(self, image: ImageRequest) -> None:
        """Have it there, and remember when it had to be pulled."""
        if await self.docker.ensure_image(image):
            await self._arrived(self._id, familiar(image.reference))

    async def bring(self, reference: str) -> bool:
        """Have it there if it is the image that the service brings itself. False: it is another one."""
        own = self._own
        if own.archive is None or familiar(reference) != familiar(own.reference):
            return False
        self._lease.require()
        # Some milliseconds, once for each host.
        await self.docker.load_image(own.reference, own.archive.read_bytes())
        return True

    async def pull_for(self, image: ImageRequest, cause: str) -> None:
        """Pull once for all nodes that one cause (an action and its children) brings to this host."""
        key = (image.reference, cause)
        if key not in self._pulled:
            await self.fetch(image)
            self._pulled[key] = None
            while len(self._pulled) > _PULLS_REMEMBERED:
                self._pulled.popitem(last=False)


class HostPool:
    def __init__(
        self, connector: HostConnector, concurrency: int, lease: Lease, arrived: Arrived, own: Provided = _NOTHING
    ) -> None:
        self._connector = connector
        self._own = own
        self._concurrency = concurrency
        self._lease = lease
        self._arrived = arrived
        self._hosts: dict[str, Connected] = {}

    def get(self, host: Host) -> Connected:
        """Raises HostRefused for an endpoint that is not permitted or lacks its credential."""
        address = HostAddress(host.endpoint, host.credential)
        known = self._hosts.get(host.node_id)
        if known is None or known.address != address:
            docker = self._connector.connect(address)
            known = Connected(host, docker, address, self._concurrency, self._lease, self._arrived, self._own)
            self._hosts[host.node_id] = known
        return known

    def connect(self, address: HostAddress) -> ContainerHost:
        """A host that is not registered yet; the caller closes it."""
        return self._connector.connect(address)

    async def drop(self, host_id: str) -> None:
        known = self._hosts.pop(host_id, None)
        if known is not None:
            with suppress(Exception):
                await known.docker.close()

    async def close(self) -> None:
        for host_id in list(self._hosts):
            await self.drop(host_id)
