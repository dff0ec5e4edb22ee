"""Every specification and every Compose file under examples/ is one that the service takes."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest
import yaml

from spinney.cli.compose import whole
from spinney.cli.compose.keys import Context
from spinney.policies import registry as policies
from spinney.profiles import registry as profiles

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "examples").glob("*.yaml"))
COMPOSED = sorted((ROOT / "examples").glob("*/compose.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_example_is_valid(file: Path) -> None:
    spec = yaml.safe_load(file.read_text())
    (policies if ".policy." in spec["type"] else profiles).validate_spec(spec)


@pytest.mark.parametrize("file", COMPOSED, ids=lambda file: file.parent.name)
def test_the_compose_file_can_be_deployed(file: Path) -> None:
    found = whole.read(file.read_text(), file.name, Context({}, lambda name: None, folder=PurePosixPath(file.parent)))
    assert found.services and not found.notes


def test_the_page_shows_the_compose_file_as_it_is() -> None:
    (file,) = COMPOSED
    kept = file.read_text()
    assert kept[kept.index("name: ") :] in (ROOT / "docs" / "how-to" / "compose.md").read_text()


def test_there_are_examples() -> None:
    assert FILES and COMPOSED
