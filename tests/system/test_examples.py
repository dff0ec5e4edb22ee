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
#: Of types that share the page of one of Senlin's.
_EXAMPLES = {"spinney.policy.health": "health_containers"}
COMPOSED = sorted((ROOT / "examples").glob("*/compose.yaml"))
FILES = sorted(set((ROOT / "examples").rglob("*.yaml")) - set(COMPOSED))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT / "examples")))
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


@pytest.mark.parametrize("name", sorted({kind.name for kind in policies.POLICY_TYPES.values()}))
def test_each_policy_type_has_a_page_and_the_example_that_it_shows(name: str) -> None:
    short = name.rpartition(".")[2]
    example = f"examples/policies/{_EXAMPLES.get(name, short)}.yaml"
    assert yaml.safe_load((ROOT / example).read_text())["type"] == name
    page = (ROOT / "docs" / "policies" / f"{short}.md").read_text()
    assert page.startswith(f"# {name}\n") or (name in _EXAMPLES and f"`{name}-1.0`" in page)
    assert f"{example})" in page


def test_there_are_examples() -> None:
    assert FILES and COMPOSED
