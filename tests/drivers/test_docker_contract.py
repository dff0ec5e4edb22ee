"""The contract on this machine's Docker engine, through its unix socket; what takes long is tried on the test bed alone."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from drivers.docker_contract import DockerEssentials, DockerWorld, docker_world
from spinney.drivers.base import HostAddress
from spinney.drivers.docker import DockerConnector


@pytest.fixture
def world(docker_socket: str) -> Iterator[DockerWorld]:
    connector = DockerConnector(allowed_unix_sockets=[docker_socket])
    with docker_world(connector, HostAddress(f"unix://{docker_socket}"), docker_socket) as made:
        yield made


class TestDocker(DockerEssentials):
    pass
