"""Two projects on one host: neither can reach the other's containers, tried from inside."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

import docker_engine
from spinney.domain.container import (
    LABEL_DEPLOYMENT,
    LABEL_GENERATION,
    LABEL_NODE,
    LABEL_PROJECT,
    ContainerRequest,
    ImageRequest,
    NetworkRequest,
    PullPolicy,
)
from spinney.drivers.base import HostAddress
from spinney.drivers.docker import DockerConnector
from system.conftest import Outpost
from system.docker_side import DockerSide
from system.running import fresh

SERVE = ("httpd", "-f", "-p", "80", "-h", "/www")


@pytest.fixture
def neighbour(outpost: Outpost) -> Iterator[str]:
    """A container of another project, made as the service makes them; its id."""
    socket = outpost.engine.socket
    docker = DockerSide(socket, fresh("deployment"))
    labels = {LABEL_DEPLOYMENT: docker.deployment, LABEL_PROJECT: "neighbour"}

    async def make() -> str:
        host = DockerConnector(allowed_unix_sockets=[socket]).connect(HostAddress(f"unix://{socket}"))
        try:
            network = NetworkRequest(name=fresh("neighbour"), subnet="10.233.7.0/24", labels=labels)
            await host.ensure_network(network)
            request = ContainerRequest(
                name=fresh("neighbour"),
                labels={**labels, LABEL_NODE: "neighbour", LABEL_GENERATION: "1"},
                image=ImageRequest(docker_engine.IMAGE, PullPolicy.NEVER),
                command=SERVE,
                network=network,
            )
            made = await host.create(request)
            await host.start(made.id)
            return made.id
        finally:
            await host.close()

    try:
        yield asyncio.run(make())
    finally:
        docker.sweep()


def test_projects_on_one_host_cannot_reach_each_other(outpost: Outpost, neighbour: str) -> None:
    service, docker = outpost.service, outpost.service.docker
    cluster = service.active_cluster(service.profile(*SERVE), 2)
    one, other = (node["physical_id"] for node in service.members(cluster))

    def fetches(source: str, target: str) -> bool:
        ask = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 2 {docker.address(target)} 80"
        return "spinney" in docker.execute(source, "sh", "-c", ask)[1]

    assert fetches(one, other) and fetches(other, one), "members of one project reach each other"
    assert fetches(neighbour, neighbour)
    assert not fetches(one, neighbour)
    assert not fetches(neighbour, one)
