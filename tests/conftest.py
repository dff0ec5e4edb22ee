"""What several packages of tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

import docker_engine
from cloud.fixture import keystone
from testbed.fixture import bed, standing_bed

__all__ = ["bed", "docker_socket", "keystone", "standing_bed"]

# Speed is measured in bench/, not asserted: a busy machine must not turn a property into a failure.
settings.register_profile("spinney", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("spinney")


#: These start Docker engines, of which two in one network namespace throw away each other's packet filter rules.
_ON_DOCKER = ("tests/system/", "tests/testbed/", "tests/drivers/test_pull", "tests/drivers/test_remote")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where tests run in several processes, those that need a Docker engine share one, those that need Keystone another; of
    the others each file does."""
    for item in items:
        file = item.nodeid.partition("::")[0]
        starts = getattr(getattr(item, "module", None), "docker_engine", None) is docker_engine
        docker = starts or file.startswith(_ON_DOCKER) or "docker_socket" in getattr(item, "fixturenames", ())
        identity = "keystone" in getattr(item, "fixturenames", ())
        item.add_marker(pytest.mark.xdist_group("docker" if docker else "keystone" if identity else file))


@pytest.fixture(scope="session")
def docker_socket() -> Iterator[str]:
    """Path of the socket of a Docker engine that holds ``docker_engine.IMAGE``."""
    with docker_engine.engine_socket() as socket:
        docker_engine.demo_image(socket)
        yield socket
