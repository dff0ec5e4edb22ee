"""Every specification under examples/ is one that the service takes."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from spinney.policies import registry as policies
from spinney.profiles import registry as profiles

FILES = sorted((Path(__file__).parents[2] / "examples").glob("*.yaml"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_example_is_valid(file: Path) -> None:
    spec = yaml.safe_load(file.read_text())
    (policies if ".policy." in spec["type"] else profiles).validate_spec(spec)


def test_there_are_examples() -> None:
    assert FILES
