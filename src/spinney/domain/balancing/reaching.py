"""Whether a load balancer reaches a member, and where: pure.

On its own host it speaks to the container's address on the project's bridge; on another host to the port that the member
publishes there. Guaranteed: an address that comes out of this is one; what a Docker engine said that is none is a problem, not
an address.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from spinney.domain.balancing.model import Candidate
from spinney.domain.node import Node

_ANYWHERE = ("0.0.0.0", "::", "")


def host_name(endpoint: str) -> str | None:
    """The name or address under which other machines find the host of a Docker engine; None: only its own machine does."""
    address = urlsplit(endpoint)
    return address.hostname if address.scheme != "unix" else None


def candidate(node: Node, port: int, here: str | None, place: str | None) -> Candidate | None:
    """``here``: the load balancer's host, None: it is on none; ``place``: the address of the member's, None: it has none for
    others. None: it has no container."""
    if node.physical_id is None or node.host_id is None:
        return None
    on_this = node.host_id == here
    address, where, problem = _inside(node, port) if on_this else _outside(node, port, place)
    return Candidate(node.id, node.physical_id, node.ready, address, where, problem)


def _inside(node: Node, port: int) -> tuple[str | None, int, str]:
    found = [one for entry in node.data.get("addresses", ()) if (one := _address(entry.get("addr"))) is not None]
    if not found:
        return None, port, f"member {node.name} has no address: give its profile network bridge"
    return found[0], port, ""


def _outside(node: Node, port: int, place: str | None) -> tuple[str | None, int, str]:
    published = [one for one in node.data.get("ports", ()) if _publishes(one, port)]
    if not published:
        return (
            None,
            port,
            f"member {node.name} on another host does not publish port {port}: add ports to the profile",
        )
    entry = published[0]
    said = str(entry.get("host_ip", ""))
    address = _address(place if said in _ANYWHERE else said)
    if address is None or (said in _ANYWHERE and ip_address(address).is_loopback):
        return (
            None,
            port,
            f"member {node.name} is on a host that is reached from its own machine alone: register that host at an address, or "
            f"keep cluster and load balancer on one host",
        )
    if ip_address(address).is_loopback:
        return (
            None,
            port,
            f"member {node.name} on another host publishes port {port} at {said} alone: leave host_ip out",
        )
    return address, int(entry["host"]), ""


def _publishes(entry: Mapping[str, Any], port: int) -> bool:
    return (entry.get("container"), entry.get("protocol")) == (port, "tcp") and isinstance(entry.get("host"), int)


def _address(said: Any) -> str | None:
    """What the program that balances can connect to; of IPv6 it is not asked."""
    try:
        found = ip_address(str(said))
    except ValueError:
        return None
    return str(found) if found.version == 4 else None
