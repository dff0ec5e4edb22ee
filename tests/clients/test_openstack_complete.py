"""No command is without a test, and whatever the retired client has, ours has too."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from clients.shell import Openstack, retired_python

GROUP = "openstack.clustering.v1"
NAMES = f"from importlib.metadata import entry_points as e; print(*[p.name for p in e(group='{GROUP}')])"


def commands() -> list[str]:
    return sorted(point.name.replace("_", " ") for point in entry_points(group=GROUP))


def test_every_command_has_a_test() -> None:
    tests = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_openstack_*.py"))
    tests += tests.replace("{noun}", "profile") + tests.replace("{noun}", "policy")
    assert [one for one in commands() if not re.search(rf"\b{one}\b", tests)] == []


def test_every_command_explains_itself(ours: Openstack) -> None:
    assert len(commands()) >= 60
    for one in commands():
        assert f" {one} " in ours.run(f"{one} --help").out


@pytest.mark.integration
def test_the_retired_client_has_no_command_and_no_flag_that_ours_has_not(tmp_path: Path) -> None:
    listed = subprocess.run([retired_python(), "-c", NAMES], capture_output=True, text=True, check=True).stdout
    retired = sorted(name.replace("_", " ") for name in listed.split())
    assert set(retired) <= set(commands())
    found = {}
    for kind, python in (("ours", Path(sys.executable)), ("retired", retired_python())):
        with Openstack(kind, python, {}, tmp_path) as openstack:
            found[kind] = {one: flags(openstack.run(f"{one} --help").out) for one in retired}
    printing = found["ours"]["cluster list"] - {
        "--filters",
        "--sort",
        "--limit",
        "--marker",
        "--global-project",
        "--full-id",
    }
    missing = {one: found["retired"][one] - found["ours"][one] - printing - {"--prefix"} for one in retired}
    assert {one: lacks for one, lacks in missing.items() if lacks} == {}


def flags(help_text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", help_text.split("\n\n", 1)[0]))
