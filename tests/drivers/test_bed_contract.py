"""The contract on another machine's Docker engine, through mutual TLS and through SSH.

With ``SPINNEY_API=1.45`` in the environment that is the newest version spoken, be it one that the driver does not claim yet.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from drivers.docker_contract import DockerSuite, DockerWorld, docker_world
from spinney.drivers.base import HostAddress
from spinney.drivers.docker import DockerConnector
from testbed.bed import Bed

pytestmark = pytest.mark.integration


@pytest.fixture(autouse=True)
def newest_version(monkeypatch: pytest.MonkeyPatch) -> None:
    if asked := os.environ.get("SPINNEY_API"):
        major, minor = asked.split(".")
        monkeypatch.setattr("spinney.drivers.docker.client.NEWEST_VERSION", (int(major), int(minor)))


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
