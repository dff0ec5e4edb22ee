"""Starting the service wrongly: one sentence, exit code 1."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def _standalone(state_dir: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "spinney.cli.main", "standalone", "--no-local-host", "--port=0"]
    return subprocess.run(
        [*command, f"--state-dir={state_dir}"], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("state_dir", ["", "."])
def test_a_state_directory_has_to_be_named(state_dir: str, tmp_path: Path) -> None:
    refused = _standalone(state_dir, tmp_path)
    assert refused.returncode == 1 and "--state-dir" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_database_is_told_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "st").mkdir()
    (tmp_path / "st" / "spinney.db").write_bytes(b"\x07" * 10000)
    refused = _standalone("st", tmp_path)
    assert refused.returncode == 1 and "Traceback" not in refused.stderr
    assert refused.stderr.strip().splitlines()[-1].startswith("spinney: the database cannot be used")


@pytest.mark.parametrize("below", ["", "/sub/sub"])
def test_a_file_in_place_of_the_state_directory_is_named_with_the_remedy(below: str, tmp_path: Path) -> None:
    (tmp_path / "st").write_text("mine")
    refused = _standalone(f"st{below}", tmp_path)
    assert refused.returncode == 1 and (tmp_path / "st").read_text() == "mine"
    assert f"{tmp_path}/st is no folder; name another one with --state-dir" in refused.stderr


def test_a_state_directory_that_cannot_be_written_into_is_told_with_the_remedy(tmp_path: Path) -> None:
    """Not even root may make files there."""
    refused = _standalone("/proc/self", tmp_path)
    assert refused.returncode == 1
    assert (
        "the state directory /proc/self cannot be written into (" in refused.stderr and "--state-dir" in refused.stderr
    )
