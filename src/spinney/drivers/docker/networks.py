"""The bridges of projects on one host.

Docker makes two networks of one name when asked twice at once. So this is serialised per host, the list is the truth, and
the oldest of several is kept: every engine of ours keeps the same one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from spinney.domain.container import LABEL_DEPLOYMENT, NetworkRequest
from spinney.drivers.docker.client import EngineClient
from spinney.drivers.docker.errors import Operation, docker_error
from spinney.drivers.docker.request import network_body
from spinney.drivers.docker.shapes import decode, mapping, required, sequence, text, texts
from spinney.errors import NameTaken


@dataclass(frozen=True, slots=True)
class _Network:
    id: str
    created: str
    labels: Mapping[str, str]

    @property
    def deployment(self) -> str | None:
        return self.labels.get(LABEL_DEPLOYMENT)


class Networks:
    def __init__(self, client: EngineClient) -> None:
        self._client = client
        self._changing = asyncio.Lock()

    async def ensure(self, network: NetworkRequest) -> None:
        async with self._changing:
            if await self._keep_oldest(network):
                return
            answer = await self._client.call(
                "POST", "/networks/create", body=network_body(network), limit=self._client.limits.change
            )
            # Another engine of ours may have been as fast (409); either way the list tells what there is now.
            if answer.status not in (201, 409) or not await self._keep_oldest(network):
                raise docker_error(Operation.NETWORK, _named(network), answer.status, answer.said)

    async def remove(self, name: str) -> None:
        async with self._changing:
            for found in await self._find(name):
                if found.deployment is not None and not await self._used(name, found):
                    await self._delete(name, found)

    async def _keep_oldest(self, network: NetworkRequest) -> bool:
        """Is it there? Removes younger ones of the same name."""
        found = await self._find(network.name)
        if any(one.deployment != network.labels.get(LABEL_DEPLOYMENT) for one in found):
            raise NameTaken(
                f"the host has a network {network.name} that is not ours; remove or rename it there, or use another host"
            )
        for younger in found[1:]:
            await self._delete(network.name, younger)
        return bool(found)

    async def _find(self, name: str) -> list[_Network]:
        """Those of exactly this name, the oldest first."""
        filters = orjson.dumps({"name": [name]}).decode()
        answer = await self._client.call("GET", "/networks", {"filters": filters})
        if answer.status != 200:
            raise docker_error(Operation.NETWORK, name, answer.status, answer.said)
        listed = [mapping(one, "networks[]") for one in sequence(decode(answer.body, "list of networks"), "networks")]
        found = [_network(one) for one in listed if one.get("Name") == name]
        return sorted(found, key=lambda one: (one.created, one.id))

    async def _used(self, name: str, network: _Network) -> bool:
        """By stopped containers too, which could not start again without it. One never started is found by name only."""
        filters = orjson.dumps({"network": [network.id, name]}).decode()
        answer = await self._client.call("GET", "/containers/json", {"all": "1", "limit": "1", "filters": filters})
        if answer.status != 200:
            raise docker_error(Operation.NETWORK, network.id, answer.status, answer.said)
        return bool(sequence(decode(answer.body, "list of containers"), "containers"))

    async def _delete(self, name: str, network: _Network) -> None:
        answer = await self._client.call("DELETE", f"/networks/{network.id}", limit=self._client.limits.change)
        in_use = answer.status in (403, 409) and "active endpoints" in answer.said
        if answer.status not in (200, 204, 404) and not in_use:
            raise docker_error(Operation.NETWORK, name, answer.status, answer.said)


def _named(network: NetworkRequest) -> str:
    return f"{network.name} with subnet {network.subnet}"


def _network(entry: Mapping[str, Any]) -> _Network:
    network_id = required(text(entry.get("Id"), "Id"), "Id")
    return _Network(network_id, text(entry.get("Created"), "Created"), texts(entry.get("Labels"), "Labels"))
