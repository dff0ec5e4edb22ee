"""What several packages of tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

import docker_engine
from testbed.fixture import bed, standing_bed

__all__ = ["bed", "docker_socket", "standing_bed"]

# Speed is measured in bench/, not asserted: a busy machine must not turn a property into a failure.
settings.register_profile("spinney", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("spinney")


@pytest.fixture(scope="session")
def docker_socket() -> Iterator[str]:
    """Path of the socket of a Docker engine that holds ``docker_engine.IMAGE``."""
    with docker_engine.engine_socket() as socket:
        docker_engine.demo_image(socket)
        yield socket
