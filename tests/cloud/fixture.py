"""The Keystone that integration tests share, known to every test as ``keystone``.

A module that uses it says ``pytestmark = pytest.mark.integration``. What tests change in it is their own: other users, other
projects, other credentials than those of ``Keystone.seed``.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloud.keystone import Keystone, Unobtainable, running


@pytest.fixture(scope="session")
def keystone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keystone]:
    try:
        with running(tmp_path_factory.mktemp("identity")) as made:
            yield made
    except Unobtainable as error:
        pytest.skip(str(error))
