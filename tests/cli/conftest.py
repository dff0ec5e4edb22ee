"""The real command line, run in this process against a stub of the service."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.stub import Stub
from spinney.cli.main import app

Run = Callable[..., Any]


@pytest.fixture
def stub() -> Iterator[Stub]:
    served = Stub()
    yield served
    served.close()


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A user who has configured nothing."""
    for name in [name for name in os.environ if name.startswith(("OS_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SPINNEY_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(nowhere: Path) -> Run:
    return lambda *words, **more: CliRunner().invoke(app, list(words), prog_name="spinney", **more)


@pytest.fixture
def spinney(run: Run, stub: Stub, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command line, with the stub as the cloud of the environment."""
    monkeypatch.setenv("OS_AUTH_TYPE", "none")
    monkeypatch.setenv("OS_ENDPOINT", stub.url)
    return run
