"""Where the members of a cluster are, as its load balancer finds them.

A container that is ready is looked at once before it is given work, and again whenever it became ready anew: a Docker engine
that started it again may have given it another address. Where its host does not answer in time, what was stored of it counts.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from spinney.domain.balancing.model import Candidate
from spinney.domain.balancing.reaching import candidate, host_name
from spinney.domain.container import Container
from spinney.domain.host import Host
from spinney.domain.node import Node
from spinney.engine.worker import Session
from spinney.errors import HostError
from spinney.store.pools import Situation

#: Seconds for all of them on one host: others wait to be put in and taken out.
_PATIENCE = 2.0
#: A container's id, and since when it is ready.
_Key = tuple[str | None, float | None]


class Places:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._addresses: dict[str, str | None] = {}  # of hosts, by name
        self._seen: dict[_Key, Mapping[str, Any]] = {}

    def forget(self) -> None:
        """Names may stand for other machines by now."""
        self._addresses.clear()

    async def candidates(self, found: Situation, port: int) -> dict[str, Candidate]:
        """By node; ``port`` is the members' own."""
        here = None if found.host is None else found.host.node_id
        await self._look_at(found)
        places = {host.node_id: await self._place(host) for host in found.hosts.values() if host.node_id != here}
        nodes = [replace(node, data={**node.data, **self._seen.get(_key(node), {})}) for node in found.nodes]
        all_of_them = [candidate(node, port, here, places.get(node.host_id or "")) for node in nodes]
        return {one.node_id: one for one in all_of_them if one is not None}

    async def _place(self, host: Host) -> str | None:
        name = host_name(host.endpoint)
        if name is None:
            return None
        if name not in self._addresses:
            self._addresses[name] = await self._session.context.resolve(name)
        return self._addresses[name]

    async def _look_at(self, found: Situation) -> None:
        ready = {_key(node): node for node in found.nodes if node.ready and node.physical_id is not None}
        self._seen = {key: told for key, told in self._seen.items() if key in ready}
        new: dict[str, list[Node]] = defaultdict(list)
        for key, node in ready.items():
            host = found.hosts.get(node.host_id or "")
            if key not in self._seen and host is not None:
                new[host.node_id].append(node)
        await asyncio.gather(*(self._look_at_host(found.hosts[host_id], nodes) for host_id, nodes in new.items()))

    async def _look_at_host(self, host: Host, nodes: list[Node]) -> None:
        self._seen |= {_key(node): {} for node in nodes}
        with suppress(HostError, TimeoutError):
            docker = self._session.pool.get(host).docker
            async with asyncio.timeout(_PATIENCE):
                for node in nodes:
                    container = await docker.inspect(node.physical_id or "")
                    if container is not None:
                        self._seen[_key(node)] = _told(container)


def _key(node: Node) -> _Key:
    return node.physical_id, node.ready_at


def _told(container: Container) -> Mapping[str, Any]:
    """As nodes have it stored."""
    return {
        "addresses": [{"addr": one.addr} for one in container.addresses],
        "ports": [
            {"container": one.container_port, "host": one.host_port, "protocol": one.protocol, "host_ip": one.host_ip}
            for one in container.ports
        ],
    }
