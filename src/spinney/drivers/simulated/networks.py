"""The networks of a simulated Docker engine, and the host ports that its containers publish.

Guaranteed: subnets of two networks never overlap, an address or a host port is held by one running container at a time, and
the lowest free one is given out. Not guaranteed: that packets flow.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from spinney.domain.container import Address, PublishedPort
from spinney.drivers.simulated.values import Refusal
from spinney.errors import AddressPoolOverlap, ContainerRefused, NetworkMissing, PortTaken

Subnet = IPv4Network | IPv6Network

FIRST_PORT, LAST_PORT = 32768, 60999
_DEFAULT_POOLS: tuple[IPv4Network, ...] = (
    *(IPv4Network(f"172.{n}.0.0/16") for n in range(18, 32)),
    *IPv4Network("192.168.0.0/16").subnets(new_prefix=20),
)


@dataclass(slots=True, eq=False)
class Network:
    """One network. ``subnet`` is None for ``host`` and ``none``."""

    id: str
    name: str
    subnet: Subnet | None
    labels: Mapping[str, str]
    created_at: float
    driver: str = "bridge"
    internal: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    endpoints: dict[str, str] = field(default_factory=dict)  # container id -> address
    _free: list[int] = field(default_factory=list)
    _next: int = 2

    @property
    def gateway(self) -> str:
        return "" if self.subnet is None else str(self.subnet[1])

    def attach(self, container_id: str) -> Address | None:
        if self.subnet is None:
            self.endpoints[container_id] = ""
            return None
        if self._free:
            offset = heapq.heappop(self._free)
        else:
            offset = self._next
            if offset >= self.subnet.num_addresses - 1:
                text = f"no available IPv4 addresses on this network's address pools: {self.name}"
                raise Refusal(403, text, ContainerRefused)
            self._next += 1
        addr = _written(self.subnet, offset)
        self.endpoints[container_id] = addr
        return Address(self.name, addr, self.subnet.version)

    def detach(self, container_id: str) -> None:
        addr = self.endpoints.pop(container_id, "")
        if addr and self.subnet is not None:
            heapq.heappush(self._free, _offset(self.subnet, addr))


def _written(subnet: Subnet, offset: int) -> str:
    if subnet.version == 6:
        return str(subnet.network_address + offset)
    number = int(subnet.network_address) + offset
    return f"{number >> 24}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def _offset(subnet: Subnet, addr: str) -> int:
    return int(ip_address(addr)) - int(subnet.network_address)


class Networks:
    """All networks of one Docker engine, by id."""

    __slots__ = ("_by_id", "_duplicates")

    def __init__(self, duplicates: bool) -> None:
        self._by_id: dict[str, Network] = {}
        self._duplicates = duplicates

    def __iter__(self) -> Iterator[Network]:
        return iter(self._by_id.values())

    def add(self, network: Network) -> None:
        self._by_id[network.id] = network

    def find(self, id_or_name: str) -> Network | None:
        found = self._by_id.get(id_or_name)
        if found is not None:
            return found
        for network in self._by_id.values():
            if network.name == id_or_name:
                return network
        by_prefix = (n for n in self if n.id.startswith(id_or_name))
        return next(by_prefix, None) if len(id_or_name) >= 4 else None

    def require(self, id_or_name: str) -> Network:
        found = self.find(id_or_name)
        if found is None:
            raise Refusal(404, f"network {id_or_name} not found", NetworkMissing)
        return found

    def check_name(self, name: str) -> None:
        taken = any(n.name == name for n in self)
        if taken and (not self._duplicates or name in {"bridge", "host", "none"}):
            raise Refusal(409, f"network with name {name} already exists", ContainerRefused)

    def allocate(self, wanted: str | None) -> Subnet:
        if wanted is None:
            free = (pool for pool in _DEFAULT_POOLS if not self._overlapping(pool))
            found = next(free, None)
            if found is None:
                text = "all predefined address pools have been fully subnetted"
                raise Refusal(403, text, AddressPoolOverlap)
            return found
        try:
            subnet = ip_network(wanted)
        except ValueError as error:
            raise Refusal(400, f"invalid subnet {wanted}: {error}", ContainerRefused) from None
        if self._overlapping(subnet):
            text = "invalid pool request: Pool overlaps with other one on this address space"
            raise Refusal(403, text, AddressPoolOverlap)
        return subnet

    def remove(self, network: Network) -> None:
        if network.name in {"bridge", "host", "none"}:
            raise Refusal(403, f"{network.name} is a pre-defined network and cannot be removed", ContainerRefused)
        if network.endpoints:
            text = f"error while removing network: network {network.name} id {network.id} has active endpoints"
            raise Refusal(403, text, ContainerRefused)
        del self._by_id[network.id]

    def _overlapping(self, subnet: Subnet) -> bool:
        return any(
            n.subnet is not None and n.subnet.version == subnet.version and n.subnet.overlaps(subnet) for n in self
        )


class HostPorts:
    """Which container holds which host port."""

    __slots__ = ("_next", "_taken")

    def __init__(self) -> None:
        self._taken: dict[tuple[str, int], set[str]] = {}  # (protocol, port) -> host addresses
        self._next = FIRST_PORT

    def bind(self, name: str, wanted: tuple[PublishedPort, ...]) -> tuple[PublishedPort, ...]:
        """All or none. Raises Refusal for a port that is held already."""
        bound: list[PublishedPort] = []
        try:
            for port in wanted:
                bound.append(self._bind_one(name, port))
        except Refusal:
            self.release(tuple(bound))
            raise
        return tuple(bound)

    def release(self, bound: tuple[PublishedPort, ...]) -> None:
        for port in bound:
            key = (port.protocol, port.host_port or 0)
            holders = self._taken.get(key, set())
            holders.discard(port.host_ip)
            if not holders:
                self._taken.pop(key, None)

    def _bind_one(self, name: str, port: PublishedPort) -> PublishedPort:
        number = port.host_port or self._automatic(port)
        if not self._is_free(port.protocol, number, port.host_ip):
            text = (
                f"driver failed programming external connectivity on endpoint {name}: "
                f"Bind for {port.host_ip}:{number} failed: port is already allocated"
            )
            raise Refusal(500, text, PortTaken)
        self._taken.setdefault((port.protocol, number), set()).add(port.host_ip)
        return PublishedPort(port.container_port, number, port.protocol, port.host_ip)

    def _automatic(self, port: PublishedPort) -> int:
        span = LAST_PORT - FIRST_PORT + 1
        for step in range(span):
            number = FIRST_PORT + (self._next - FIRST_PORT + step) % span
            if self._is_free(port.protocol, number, port.host_ip):
                self._next = number + 1
                return number
        raise Refusal(500, "all ports of the ephemeral range are already allocated", PortTaken)

    def _is_free(self, protocol: str, number: int, host_ip: str) -> bool:
        holders = self._taken.get((protocol, number))
        if not holders:
            return True
        return host_ip not in holders and host_ip not in _EVERYWHERE and not holders & _EVERYWHERE


_EVERYWHERE = frozenset({"0.0.0.0", "::", ""})
