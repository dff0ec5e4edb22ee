"""What ``./run`` says where it may not, or cannot, install what is missing."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if key not in ("SPINNEY_VENV", "PYTHON")}
    command = [str(ROOT / "run"), *arguments]
    return subprocess.run(command, env=inherited | environment, check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture
def elsewhere(tmp_path: Path) -> str:
    """A PATH on which the user is not root and no Python is good enough."""
    programs = {"id": "echo 1000", "apt-get": "exit 1", "apt-cache": "echo Version: 3.11.2-1"}
    programs |= dict.fromkeys(("python3", "python3.11", "python3.12", "python3.13"), "exit 1")
    for name, script in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    return f"{tmp_path}:{os.environ['PATH']}"


def test_who_is_not_root_is_given_one_line_to_copy(elsewhere: str) -> None:
    said = run("check", PATH=elsewhere)
    assert said.returncode == 1
    line = "sudo apt-get update && sudo apt-get install -y --no-install-recommends python3-venv ca-certificates"
    assert line in [line.strip() for line in said.stderr.splitlines()]


def test_a_python_that_was_named_is_not_silently_replaced(elsewhere: str) -> None:
    said = run("check", PATH=elsewhere, PYTHON="python3.12")
    assert said.returncode == 1
    assert "PYTHON=python3.12 is not a Python 3.11 or later" in said.stderr


def test_an_unknown_command_is_refused_with_the_known_ones() -> None:
    said = run("dmeo")
    assert said.returncode == 1
    assert "there is no command 'dmeo'" in said.stderr
    assert "demo-down" in said.stderr


def test_an_unknown_benchmark_is_refused() -> None:
    said = run("bench", "no-such")
    assert (said.returncode, said.stderr) == (1, "run: there is no benchmark 'no-such'; ./run bench lists them\n")
