"""Specifications and inventories in files: what is read, and what is refused with where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cli.stub import Stub
from spinney.cli import spec
from spinney.cli.faults import CliError


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "'a' twice in one map, in line 1 and in line 3"),
        ('{"a": 1, "a": 2}', "'a' twice in one map, in line 1 and in line 1"),
        ("p:\n- x: 1\n  y: 2\n  x: 3\n", "'x' twice in one map, in line 2 and in line 4"),
        ("x: {1: a, '1': b}\n", "'1' twice"),
        ("properties:\n  cpu: .nan\n", "properties.cpu is nan"),
        ("properties:\n  cpu: [1, -.inf]\n", r"properties.cpu\[1\] is -inf"),
        ("x: 2026-01-01\n", "x is read as date .2026-01-01.: put it in quotes"),
        ("x: 2026-13-01\n", "not valid YAML: month"),
        ("a: 1\n  b: 2\n", "not valid YAML: line 2: mapping values are not allowed here"),
        ("x: {2026-01-01: 3}\n", "the key 2026-01-01 in x is no text"),
        ("a: &a [*a]\n", r"a\[0\] contains itself"),
        ("[" * 5000, "nests too deep"),
        ("", "holds no map"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "s.yaml"
    file.write_text(content)
    with pytest.raises(CliError, match=said) as refused:
        spec.read(str(file))
    assert "s.yaml" in refused.value.message


def test_a_part_used_twice_and_changed_is_no_repetition(tmp_path: Path) -> None:
    file = tmp_path / "s.yaml"
    file.write_text("base: &base {a: 1, b: 2}\none: *base\ntwo:\n  <<: *base\n  b: 3\n")
    assert spec.read(str(file)) == {"base": {"a": 1, "b": 2}, "one": {"a": 1, "b": 2}, "two": {"a": 1, "b": 3}}


def test_inventories_are_read_as_strictly(spinney: Any, stub: Stub, tmp_path: Path) -> None:
    file = tmp_path / "hosts.yaml"
    file.write_text("- name: a\n  endpoint: unix:///a\n  name: b\n")
    result = spinney("host", "import", str(file), "--cluster", "c")
    assert result.exit_code == 1 and stub.asked == []
    assert f"the inventory '{file}' has the key 'name' twice in one map, in line 1 and in line 3" in result.stderr


def test_cores_that_cannot_be_counted_are_refused_before_anything_is_sent(spinney: Any, stub: Stub) -> None:
    result = spinney("profile", "create", "p", "--image", "a", "--host-node", "h", "--cpu", "inf")
    assert (result.exit_code, stub.asked) == (1, [])
    assert "--cpu inf" in result.stderr
