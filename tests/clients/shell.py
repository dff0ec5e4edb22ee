"""``openstack`` as people run it, with either plug-in, in a process that stays."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shlex
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

SCRIPT = Path(__file__).with_name("openstack_shell.py")

#: The last python-senlinclient, and the versions of what it stands on that it works with.
RETIRED = ("python-openstackclient==8.2.0", "osc-lib==3.2.0", "python-senlinclient==3.1.0", "openstacksdk")


@dataclass(frozen=True)
class Ran:
    command: str
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)

    def table(self) -> dict[str, str]:
        """What stands beside each field, of a table of one object."""
        rows = [line.split("|")[1:3] for line in self.out.splitlines() if line.startswith("|")]
        return {name.strip(): value.strip() for name, value in rows if name.strip()}


class Openstack:
    """``run`` gives what a command printed, and demands that it succeeded unless told otherwise."""

    def __init__(self, kind: str, python: Path, environment: dict[str, str], folder: Path) -> None:
        self.kind = kind
        self.folder = folder
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "PYTHON"))}
        self._process = subprocess.Popen(
            [str(python), "-I", str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**kept, "COLUMNS": "400", **environment},
            cwd=folder,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(20)
        self._process.stdout.close()

    def run(self, command: str, code: int = 0) -> Ran:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(shlex.split(command)) + "\n")
        self._process.stdin.flush()
        ran = Ran(command, **json.loads(self._process.stdout.readline()))
        assert ran.code == code, ran
        return ran

    @property
    def is_ours(self) -> bool:
        return self.kind == "ours"

    def spec(self, spec: Any) -> Path:
        """A file with a specification, as people write it."""
        text = yaml.safe_dump(spec)
        path = self.folder / f"spec-{hashlib.sha256(text.encode()).hexdigest()[:16]}.yaml"
        path.write_text(text)
        return path

    def json(self, command: str) -> Any:
        return self.run(command + " -f json").json()


def retired_python() -> Path:
    """The Python of an environment with the retired client, made once and kept in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spinney-tests"
    key = hashlib.sha256("\n".join((sys.version, *RETIRED)).encode()).hexdigest()[:16]
    folder, done = cache / f"senlinclient-{key}", cache / f"senlinclient-{key}.done"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"senlinclient-{key}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            venv.create(folder, clear=True, with_pip=True)
            subprocess.run([folder / "bin/python", "-m", "pip", "install", "--quiet", *RETIRED], check=True)
            done.touch()
    return folder / "bin/python"
