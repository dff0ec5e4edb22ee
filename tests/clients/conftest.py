"""One service for all tests of all clients: each test keeps to objects with names of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from clients.oracle import Oracle
from clients.sdk import connect
from clients.service import Service
from clients.service import service as serve
from clients.shell import Openstack, retired_python


@pytest.fixture(scope="session")
def connection(service: Service) -> Iterator[Any]:
    made = connect(service, clustering_default_microversion="1.14")
    yield made
    made.close()


@pytest.fixture(scope="session")
def cloud(connection: Any, oracle: Oracle) -> Any:
    """The SDK's proxy; there is a host ``metal`` to run containers on."""
    return connection.clustering


#: The retired client asks for seconds of CPU and an environment of its own; our plug-in is tried the same way in each tier.
CLIENTS = (pytest.param("retired", marks=pytest.mark.integration), "ours")


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serve(tmp_path_factory.mktemp("state")) as running:
        yield running


@pytest.fixture(scope="session")
def oracle(service: Service) -> Oracle:
    return Oracle(service)


@pytest.fixture(scope="session", params=CLIENTS)
def another_openstack(
    request: pytest.FixtureRequest, service: Service, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Openstack]:
    """Starts one more process of the client."""
    folder = tmp_path_factory.mktemp(request.param)
    ssh(folder)
    python = Path(sys.executable) if request.param == "ours" else retired_python()
    environment = {
        "OS_AUTH_TYPE": "http_basic",
        "OS_USERNAME": "admin",
        "OS_PASSWORD": service.password,
        "OS_ENDPOINT": f"{service.url}/v1",
        "PATH": f"{folder}:/usr/bin:/bin",
    }
    return lambda: Openstack(request.param, python, environment, folder)


@pytest.fixture(scope="session")
def openstack(another_openstack: Callable[[], Openstack]) -> Iterator[Openstack]:
    with another_openstack() as started:
        yield started


@pytest.fixture(scope="session")
def ours(openstack: Openstack) -> Openstack:
    if not openstack.is_ours:
        pytest.skip("the retired client has no such command")
    return openstack


def ssh(folder: Path) -> None:
    """A program that writes down how it was called, in the place of ssh."""
    program = folder / "ssh"
    program.write_text(f'#!/bin/sh\nfor word in "$@"; do echo "$word"; done >>{folder}/ssh.called\necho it ran\n')
    program.chmod(0o755)
