"""What several packages of tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import docker_engine


@pytest.fixture(scope="session")
def docker_socket() -> Iterator[str]:
    """Path of the socket of a Docker engine that holds ``docker_engine.IMAGE``."""
    with docker_engine.engine_socket() as socket:
        docker_engine.demo_image(socket)
        yield socket
