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
                cap_add=("NET_RAW",),
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


#: Every address of a /24: does it answer a ping, or take a connection on one of these ports?
SCAN = """
for i in $(seq 1 254); do
    ( ping -c 1 -W 3 $NET.$i >/dev/null 2>&1 && echo "ping $NET.$i" ) &
    for port in 80 2376; do
        ( nc -w 3 $NET.$i $port </dev/null >/dev/null 2>&1 && echo "port $NET.$i $port" ) &
    done
    [ $((i % 64)) -ne 0 ] || wait
done
wait
"""


@pytest.mark.integration
def test_a_scan_of_one_project_finds_nothing_of_another(outpost: Outpost, neighbour: str) -> None:
    service, docker = outpost.service, outpost.service.docker
    cluster = service.active_cluster(service.profile(*SERVE, cap_add=["NET_RAW"]), 2)
    one, other = (node["physical_id"] for node in service.members(cluster))

    def scan(source: str, target: str) -> set[str]:
        """What is found in the subnet of the target, but the bridge's own address, which is the host's."""
        subnet = docker.address(target).rpartition(".")[0]
        found = docker.execute(source, "sh", "-c", f"NET={subnet}{SCAN}")[1]
        return {line for line in found.splitlines() if line.split()[1] != f"{subnet}.1"}

    theirs = docker.address(other)
    assert {f"ping {theirs}", f"port {theirs} 80"} <= scan(one, other), "the scan finds what may be found"
    assert scan(one, neighbour) == set()
    mine = docker.address(one)
    found = scan(neighbour, one)
    assert not {line for line in found if mine in line or theirs in line}, found
    assert found == set()


def test_names_of_another_project_lead_nowhere(outpost: Outpost, neighbour: str) -> None:
    service, docker = outpost.service, outpost.service.docker
    cluster = service.active_cluster(service.profile(*SERVE), 2)
    one, other = (node["physical_id"] for node in service.members(cluster))

    def finds(source: str, target: str) -> bool:
        ask = f"nc -w 2 {docker.name(target)} 80 </dev/null"
        return docker.execute(source, "sh", "-c", ask)[0] == 0

    assert finds(one, other), "members of one project find each other by name"
    assert not finds(one, neighbour)
    assert not finds(neighbour, one)
