"""One service for all tests of a client: each test keeps to objects with names of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from clients.service import Service
from clients.service import service as serve


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with serve(tmp_path_factory.mktemp("state")) as running:
        yield running
