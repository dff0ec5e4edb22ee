"""One service for all tests of the directory that do not break it: each leaves nothing behind, and that is looked at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from system.running import CONFIGURATION, Service, standalone


@pytest.fixture(scope="session")
def running(docker_socket: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with standalone(folder, docker_socket, CONFIGURATION, f"--unix-socket={folder}/*.sock") as service:
        yield service


@pytest.fixture
def service(running: Service) -> Iterator[Service]:
    """The running service; afterwards everything is deleted, and no container or network of it may be left."""
    yield running
    running.clear()
    running.expect_nothing_left()
