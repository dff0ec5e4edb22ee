"""What the tests of the whole service run on.

``service`` is one service on the Docker engine that all tests share. ``outpost`` is another one, on a Docker engine of its own
that a test may stop, with short waits. Each test leaves nothing behind, and that is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import docker_engine
from docker_engine import PrivateEngine
from system.running import CONFIGURATION, Service, standalone

IMPATIENT = """
[engine]
retry_delay = 0.5
retry_ceiling = 1
retries = 30

[health]
suspect_after = 1
reap_after = 1
listing_interval = 2
repair_delay = 0.2
repair_ceiling = 1
"""


@pytest.fixture(scope="session")
def running(docker_socket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with standalone(folder, docker_socket, CONFIGURATION, f"--unix-socket={folder}/*.sock") as service:
        yield service


@pytest.fixture
def service(running: Service) -> Iterator[Service]:
    yield running
    running.clear()
    running.expect_nothing_left()


@dataclass(frozen=True)
class Outpost:
    engine: PrivateEngine
    service: Service


@pytest.fixture(scope="session")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Outpost]:
    with PrivateEngine(own_network=True) as engine:
        docker_engine.demo_image(engine.socket)
        with standalone(tmp_path_factory.mktemp("outpost"), engine.socket, IMPATIENT) as service:
            yield Outpost(engine, service)


@pytest.fixture
def outpost(remote: Outpost) -> Iterator[Outpost]:
    yield remote
    if not docker_engine.answers(remote.engine.socket):
        remote.engine.start()
    remote.service.until_host_is("ready")
    remote.service.clear()
    remote.service.expect_nothing_left()
