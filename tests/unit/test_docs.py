"""What the documentation says can be checked: its links, its generated pages, the commands it tells people to type."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from spinney.cli import reference
from spinney.cli.lazy import load
from spinney.cli.main import SpinneyGroup
from spinney.config import LIBRARIES, options
from spinney.domain.cluster_config import config_fault

ROOT = Path(__file__).parents[2]
HIDDEN = (".venv", ".git", ".state", ".pytest_cache", "node_modules")
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part in HIDDEN or part.startswith(".") for part in path.relative_to(ROOT).parts[:-1])
)
WRITTEN = [page for page in PAGES if page.relative_to(ROOT).parts[:2] != ("docs", "reference")]
_FENCE = re.compile(r"^```[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_COMMAND = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?spinney (?P<rest>.+)$", re.MULTILINE)
_INLINE = re.compile(r"`spinney (?P<rest>[^`]+)`")
_RUN = re.compile(r"\./run ([a-z][a-z-]*)")
_OPTION = re.compile(r"(?<![\w-])(--[a-z][a-z-]+)")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """The fragments that GitHub and others make of headings."""
    text = _FENCE.sub("", page.read_text())
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_inside_the_project_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(_FENCE.sub("", page.read_text())):
        if link.startswith(("http://", "https://")):
            continue
        file, _, fragment = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{name_of(page)}: {link} leads nowhere"
        assert target.is_relative_to(ROOT), f"{name_of(page)}: {link} leads out of the project"
        assert not fragment or fragment in anchors(target), f"{name_of(page)}: {link} names no heading"


@pytest.mark.parametrize("name", reference.PAGES)
def test_generated_pages_are_what_the_generator_prints(name: str) -> None:
    committed = ROOT / "docs" / "reference" / f"{name}.md"
    remedy = f"run: python -m spinney.cli.reference {name} > docs/reference/{name}.md"
    assert committed.read_text() == reference.PAGES[name](), remedy


def commands(page: Path) -> Iterator[str]:
    text = page.read_text()
    for found in (*_COMMAND.finditer("\n".join(_FENCE.findall(text))), *_INLINE.finditer(_FENCE.sub("", text))):
        yield re.split(r"[|;&>#]", found["rest"])[0].strip()


def command_named(words: list[str]) -> Any:
    """The command that the words name; fails when there is none."""
    assert words[0] in SpinneyGroup.entries, f"there is no command 'spinney {words[0]}'"
    found = load(words[0], SpinneyGroup.entries[words[0]])
    inside = getattr(found, "commands", None)
    if inside is None or len(words) < 2:
        return found
    assert words[1] in inside, f"there is no command 'spinney {words[0]} {words[1]}'"
    late = getattr(found, "entries", {}).get(words[1])
    return inside[words[1]] if late is None else load(words[1], late)


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_commands_and_their_options_exist(page: Path) -> None:
    for line in commands(page):
        words = line.split()
        if words[0].startswith("-") or words[0] in ("ready:", "engine:"):
            continue
        found = command_named(words)
        known = {name for parameter in found.params for name in (*parameter.opts, *parameter.secondary_opts)}
        known |= {"--help", "--os-cloud"}
        unknown = [option for option in _OPTION.findall(line) if option not in known]
        assert not unknown, f"{name_of(page)}: spinney {line}: no option {unknown}"


@pytest.mark.parametrize("page", WRITTEN, ids=name_of)
def test_run_has_the_commands_that_pages_name(page: Path) -> None:
    named = set(_RUN.findall(page.read_text()))
    if named:
        told = subprocess.run([ROOT / "run", "help"], check=True, capture_output=True, text=True).stdout
        offered = set(re.findall(r"^  ([a-z][a-z-]*)", told, re.MULTILINE))
        assert named <= offered, f"{name_of(page)}: ./run has no {sorted(named - offered)}"


def test_options_in_sample_configurations_exist() -> None:
    known = {section: {option.name for option in found} for section, found in options().items()}
    for page in PAGES:
        for block in _FENCE.findall(page.read_text()):
            section = None
            for line in block.splitlines():
                heading = re.fullmatch(r"\[([a-z_]+)\]", line)
                section = heading[1] if heading else section
                if section in LIBRARIES:
                    continue
                assert section is None or section in known, f"{name_of(page)}: no section [{section}]"
                option = re.match(r"([a-z_]+) *= ", line)
                if section and option:
                    assert option[1] in known[section], f"{name_of(page)}: no option {section}.{option[1]}"


def test_keys_of_clusters_named_anywhere_are_known() -> None:
    good = {
        "spinney.disruption_budget": 1,
        "spinney.overlap": "at-most-one",
        "spinney.priority": 0,
        "spinney.rebalance_threshold": "10%",
        "spinney.rebalance_moves_per_minute": 1,
        "spinney.rebalance_settling": 1,
    }
    for page in PAGES:
        for key in re.findall(r"`(spinney\.[a-z]+_[a-z]+)`", page.read_text()):
            assert config_fault({key: good.get(key, True)}) is None, f"{name_of(page)}: {key} is no key of a cluster"
