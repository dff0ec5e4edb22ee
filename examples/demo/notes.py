"""What the demo made, written down before it is made, so that it can be found and removed after any end."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path


class Trouble(Exception):
    """Something the reader has to know, in words."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process by its id and the time it started, so that a later one with the same id is not taken for it."""

    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(pid, _started(pid) or "")

    def alive(self) -> bool:
        return bool(self.started) and _started(self.pid) == self.started

    def signal(self, number: int) -> None:
        if self.alive():
            os.kill(self.pid, number)


def _started(pid: int) -> str | None:
    """The kernel's start time of a process that still runs."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


@dataclass(slots=True)
class Notes:
    """One demo: where it is, what of it runs, and what was there before."""

    root: Path
    socket: str = ""  # of the Docker engine
    own_engine: bool = False
    run_folder: str = ""  # of our own engine: sockets have short paths
    made_folders: list[str] = field(default_factory=list)  # that our own engine makes outside its own
    firewall: dict[str, str] = field(default_factory=dict)  # as it was before our own engine
    bridges: list[str] = field(default_factory=list)  # of networks that were there before our own engine
    dockerd: Process | None = None
    spinney: Process | None = None
    port: int = 0
    deployment: str = ""
    images: list[str] = field(default_factory=list)  # that were not there before

    @property
    def state(self) -> Path:
        """Spinney's state directory."""
        return self.root / "demo"

    @property
    def log(self) -> Path:
        return self.root / "spinney.log"

    @property
    def engine(self) -> Path:
        """The folder of our own Docker engine."""
        return self.root / "dockerd"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def save(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        fresh = self.root / ".demo.json"
        content = asdict(self)
        del content["root"]
        fresh.write_text(json.dumps(content, indent=2) + "\n")
        fresh.replace(_file(self.root))


def _file(root: Path) -> Path:
    return root / "demo.json"


def load(root: Path) -> Notes:
    """The notes in that folder; empty ones if there are none."""
    try:
        content = json.loads(_file(root).read_text())
    except FileNotFoundError:
        return Notes(root)
    except ValueError as error:
        raise Trouble(f"{_file(root)} cannot be read ({error}); remove it by hand") from error
    for name in ("dockerd", "spinney"):
        if content[name] is not None:
            content[name] = Process(**content[name])
    return Notes(root, **content)


def forget(root: Path) -> None:
    _file(root).unlink(missing_ok=True)
