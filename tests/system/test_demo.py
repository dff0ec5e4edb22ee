"""The stranger's first minutes: ``./run demo`` from nothing to five containers, and ``./run demo-down`` back to nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import docker_engine
from demo import engine
from demo.notes import Notes, Process, Trouble

ROOT = Path(__file__).parents[2]
LOOPBACK_UP = """
import fcntl, socket, struct
fcntl.ioctl(socket.socket(), 0x8914, struct.pack("16sh14x", b"lo", 0x41))
"""


@dataclass
class Stage:
    """A folder of its own for the demo, and where nothing answers otherwise, a network of its own."""

    folder: Path
    enter: list[str]

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "SPINNEY_VENV": sys.prefix, "SPINNEY_DEMO_DIR": str(self.folder)}
        return subprocess.run(
            [*self.enter, *command], cwd=ROOT, env=environment, check=False, capture_output=True, text=True, timeout=300
        )

    def notes(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "demo.json").read_text())
        return found

    def kill_spinney(self) -> None:
        os.kill(self.notes()["spinney"]["pid"], signal.SIGKILL)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """The machine's own Docker engine is used as it is; one started by the demo must not meet those of other tests."""
    stage = Stage(tmp_path / "a state", [])
    space = tmp_path / "net"
    if docker_engine.find_engine() is None:
        if os.geteuid() != 0:
            pytest.fail("the demo needs a Docker engine: start one, or run the tests as root", pytrace=False)
        space.touch()
        subprocess.run(["unshare", f"--net={space}", "true"], check=True)
        stage.enter = ["nsenter", f"--net={space}"]
        subprocess.run([*stage.enter, sys.executable, "-c", LOOPBACK_UP], check=True)
    try:
        yield stage
    finally:
        stage.run("./run", "demo-down")
        if stage.enter:
            subprocess.run(["umount", str(space)], check=True)


def test_the_demo_from_nothing_to_nothing(stage: Stage) -> None:
    filters = stage.run("iptables-save").stdout if stage.enter else ""

    up = stage.run("./run", "demo")
    assert up.returncode == 0, up.stdout + up.stderr
    pages = re.findall(r"web-\d  curl http://127\.0\.0\.1:\d+/  ->  ([0-9a-f]{12})", up.stdout)
    assert len(set(pages)) == 5
    assert len(re.findall(r"back, seen after [\d.]+ s: the same container", up.stdout)) == 1
    assert len(re.findall(r"back, seen after [\d.]+ s: container [0-9a-f]{12}", up.stdout)) == 1

    stage.kill_spinney()
    again = stage.run("./run", "demo")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "cluster web exists already, with 5 containers" in again.stdout

    notes = stage.notes()
    stage.kill_spinney()
    if notes["own_engine"]:
        os.kill(notes["dockerd"]["pid"], signal.SIGKILL)
    down = stage.run("./run", "demo-down")
    assert down.returncode == 0, down.stdout + down.stderr
    assert "Removed 5 containers that were left." in down.stdout

    assert not stage.folder.exists()
    if notes["own_engine"]:
        assert not Path(notes["run_folder"]).exists()
        assert "br-" not in stage.run("cat", "/proc/net/dev").stdout
        assert _rules(stage.run("iptables-save").stdout) == _rules(filters)
    else:
        mine = {"filters": json.dumps({"label": [f"io.spinney.deployment={notes['deployment']}"]}), "all": "1"}
        for kind in ("containers/json", "networks"):
            assert docker_engine.call(notes["socket"], "GET", f"/{kind}", query=mine) == (200, [])
    last = stage.run("./run", "demo-down")
    assert (last.returncode, last.stdout) == (0, "There is nothing of the demo here.\n")


def _rules(saved: str) -> list[str]:
    """What a packet filter does; a chain that is empty and accepts is as good as none."""
    return [line for line in saved.splitlines() if line.startswith(("-A", ":")) and " ACCEPT " not in line]


def test_without_any_engine_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "USUAL_SOCKETS", (str(tmp_path / "none"),))
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/named")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    with pytest.raises(Trouble, match=rf"no Docker engine answers at {tmp_path}/named, {tmp_path}/none.*DOCKER_HOST"):
        engine.find(Notes(tmp_path))


def test_a_demo_stays_with_the_engine_it_began_with(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match=r"gone\.sock, does not answer; start it again"):
        engine.find(Notes(tmp_path, socket=f"{tmp_path}/gone.sock"))


def test_a_process_is_known_by_more_than_its_number() -> None:
    me = Process.of(os.getpid())
    assert me.alive()
    another = Process(me.pid, me.started + "0")
    assert not another.alive()
    another.signal(signal.SIGKILL)


LEFT = """
import fcntl, socket
from demo import bridges
control = socket.socket()
for name in (b"br-0123456789ab", b"br-ba9876543210", b"br-mine"):
    fcntl.ioctl(control, 0x89A0, name)
bridges.remove(["br-0123456789ab"])
print(*sorted(name for _, name in socket.if_nameindex() if name.startswith("br-")))
"""


def test_bridges_that_came_with_an_engine_go_and_all_others_stay() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes networks of its own")
    command = ["unshare", "--net", sys.executable, "-c", LEFT]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "examples")}
    made = subprocess.run(command, env=environment, check=False, capture_output=True, text=True, timeout=60)
    assert (made.stdout, made.stderr) == ("br-0123456789ab br-mine\n", "")
