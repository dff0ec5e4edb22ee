"""Every test of the API has a world of its own, on a copy of one empty database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.world import DATABASE, World
from api.world import world as make_world


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("empty")
    with make_world(folder):
        return folder / DATABASE


@pytest.fixture
def world(tmp_path: Path, empty: Path) -> Iterator[World]:
    shutil.copy(empty, tmp_path / DATABASE)
    with make_world(tmp_path) as made:
        yield made
