"""The contract on another machine's Docker engine, through mutual TLS and through SSH."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from drivers.docker_contract import DockerSuite, DockerWorld, docker_world
from spinney.drivers.base import HostAddress
from spinney.drivers.docker import DockerConnector
from testbed.bed import Bed

pytestmark = pytest.mark.integration


class TestThroughTls(DockerSuite):
    @pytest.fixture
    def world(self, standing_bed: Bed) -> Iterator[DockerWorld]:
        host = standing_bed.hosts[0]
        connector = DockerConnector(credentials_dir=standing_bed.credentials)
        with docker_world(connector, HostAddress(host.endpoint, standing_bed.TLS), host.socket) as made:
            yield made


class TestThroughSsh(DockerSuite):
    @pytest.fixture
    def world(self, standing_bed: Bed) -> Iterator[DockerWorld]:
        host = next(host for host in standing_bed.hosts if host.spec.ssh)
        connector = DockerConnector(credentials_dir=standing_bed.credentials)
        with docker_world(connector, HostAddress(host.ssh_endpoint, standing_bed.SSH), host.socket) as made:
            yield made
