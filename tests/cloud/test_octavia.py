"""A real Octavia API keeps the promises of the simulated one; what it has made is of no use, as its provider does nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from cloud import octavia
from cloud.keystone import Unobtainable
from drivers.octavia_contract import Case, OctaviaPromises, Story

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    try:
        with octavia.running(tmp_path_factory.mktemp("octavia")) as made:
            yield made
    except Unobtainable as error:
        pytest.skip(str(error))


class TestReal(OctaviaPromises):
    @pytest.fixture(autouse=True)
    def _of(self, url: str) -> None:
        self._url = url

    def tell(self, story: Story) -> None:
        async def body() -> None:
            await story(Case(self._url))

        asyncio.run(body())
