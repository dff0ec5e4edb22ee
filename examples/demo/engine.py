"""The Docker engine of the demo: the machine's own, or one that the demo starts and ends, in folders of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from demo import bridges, docker, firewall
from demo.notes import Notes, Process, Trouble

USUAL_SOCKETS = ("/var/run/docker.sock", "/run/docker.sock")
OUTSIDE = ("/run/docker/plugins", "/run/docker", "/run/containerd/s", "/run/containerd", "/etc/docker")
NAMESPACE = "spinney-demo"
SECONDS_TO_START, SECONDS_TO_STOP = 60.0, 30.0
REMEDIES = """\
What usually helps:
  Devices cgroup isn't mounted     mount the cgroup file systems (apt-get install cgroupfs-mount), or run where they are
  iptables, Permission denied      run as root of the machine; in a container: docker run --privileged
  overlay, operation not permitted set SPINNEY_DEMO_DIR to a folder on an ordinary file system such as ext4 or xfs
  no space left on device          free some, or set SPINNEY_DEMO_DIR to a folder on a larger file system
Or start a Docker engine yourself: any that answers at /var/run/docker.sock or at DOCKER_HOST=unix://… is used."""


def find(notes: Notes) -> str:
    """The socket of an engine that answers: the one this demo began with, else DOCKER_HOST, else a usual one."""
    if notes.socket:
        candidates = [notes.socket]
    else:
        candidates = [*_asked(), *USUAL_SOCKETS]
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        candidates += [f"{runtime}/docker.sock"] if runtime else []
    for socket in candidates:
        if docker.answers(socket):
            return socket
    raise Trouble(_none_answers(notes, candidates))


def _asked() -> list[str]:
    asked = os.environ.get("DOCKER_HOST", "")
    return [asked.removeprefix("unix://")] if asked.startswith("unix://") else []


def _none_answers(notes: Notes, tried: list[str]) -> str:
    if notes.socket:
        return (
            f"the Docker engine of this demo, at {notes.socket}, does not answer; start it again, or remove the demo "
            "with ./run demo-down and begin anew"
        )
    closed = next((one for one in tried if Path(one).is_socket() and not os.access(one, os.W_OK)), None)
    if closed is not None:
        return f"you may not use {closed}: run this as root, or log in again after: sudo usermod -aG docker $USER"
    return (
        f"no Docker engine answers at {', '.join(dict.fromkeys(tried))}. Start one (sudo systemctl start docker), install "
        "one (sudo apt-get install docker.io), name one (DOCKER_HOST=unix://…), or run this as root to have one started"
    )


def obtain(notes: Notes) -> str:
    """Have an engine that answers, and note it; words for where it came from."""
    if not notes.socket:
        _wait_for_systemd()
    try:
        notes.socket = find(notes)
        notes.save()
    except Trouble:
        if os.geteuid() != 0 or (notes.socket and not notes.own_engine):
            raise
        start(notes)
        return "started for this demo"
    return "started for this demo earlier" if notes.own_engine else "found running"


def _wait_for_systemd() -> None:
    """The engine of a package just installed may be on its way up."""
    if Path("/run/systemd/system").is_dir() and shutil.which("systemctl"):
        active = ["systemctl", "is-active", "--quiet", "docker"]
        if subprocess.run(active, check=False).returncode == 0:
            wait(lambda: any(map(docker.answers, USUAL_SOCKETS)), 20)


def start(notes: Notes) -> None:
    """Start an engine of our own. Safe to call again after it has died; a containerd that outlived it is in the way."""
    _note_own(notes)
    _end_orphans(f"{notes.run_folder}/")
    log = notes.engine / "dockerd.log"
    notes.engine.mkdir(parents=True, exist_ok=True)
    Path(notes.run_folder).mkdir(exist_ok=True)
    for left in ("dockerd.pid", "exec/containerd/containerd.pid"):  # by which it would take the dead for living
        (Path(notes.run_folder) / left).unlink(missing_ok=True)
    (notes.engine / "daemon.json").write_text(json.dumps(_settings(notes)))
    with log.open("ab") as output:
        process = subprocess.Popen(
            _command(notes), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    notes.dockerd = Process.of(process.pid)
    notes.save()
    up = wait(lambda: docker.answers(notes.socket) or process.poll() is not None, SECONDS_TO_START)
    if not up or process.poll() is not None:
        last = "\n".join("  " + line for line in log.read_text(errors="replace").splitlines()[-8:])
        stop(notes)
        raise Trouble(f"the Docker engine did not come up. The end of {log}:\n{last}\n{REMEDIES}")


def _note_own(notes: Notes) -> None:
    if notes.own_engine:
        return
    notes.own_engine = True
    notes.run_folder = tempfile.mkdtemp(prefix="spinney-demo-", dir="/run")
    notes.socket = f"{notes.run_folder}/docker.sock"
    notes.made_folders = [folder for folder in OUTSIDE if not Path(folder).exists()]
    notes.firewall = firewall.snapshot()
    notes.bridges = bridges.present()
    notes.save()


def _command(notes: Notes) -> list[str]:
    return [
        "dockerd",
        f"--host=unix://{notes.socket}",
        f"--data-root={notes.engine}/data",
        f"--exec-root={notes.run_folder}/exec",
        f"--pidfile={notes.run_folder}/dockerd.pid",
        f"--config-file={notes.engine}/daemon.json",
        f"--containerd-namespace={NAMESPACE}",
        "--bridge=none",
    ]


def _settings(notes: Notes) -> dict[str, str]:
    """Docker engines before 23 keep their identity outside their folders, where two of them would share it."""
    said = subprocess.run(["dockerd", "--version"], check=False, capture_output=True, text=True).stdout
    version = re.search(r"version (\d+)\.", said)
    return {"deprecated-key-path": f"{notes.engine}/key.json"} if version and int(version[1]) < 23 else {}


def stop(notes: Notes) -> None:
    """End our own engine, and remove what it made."""
    if notes.dockerd is not None:
        end(notes.dockerd, SECONDS_TO_STOP)
    _end_orphans(f"{notes.run_folder}/")
    mounts = [line.split()[1].replace("\\040", " ") for line in Path("/proc/mounts").read_text().splitlines()]
    ours = (f"{notes.engine}/", f"{notes.run_folder}/")
    for mount in sorted((mount for mount in mounts if mount.startswith(ours)), reverse=True):
        subprocess.run(["umount", "-l", mount], check=False, capture_output=True)
    shutil.rmtree(notes.run_folder, ignore_errors=True)
    shutil.rmtree(notes.engine / "data", ignore_errors=True)
    for folder in notes.made_folders:
        with contextlib.suppress(OSError):  # not there, or used by others by now
            Path(folder).rmdir()
    bridges.remove(notes.bridges)
    firewall.restore(notes.firewall)


def _end_orphans(folder: str) -> None:
    """End what outlived our engine, as when that was killed: its containerd, its shims, and the containers under them."""
    parents: dict[int, int] = {}
    doomed: set[int] = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):  # ended meanwhile
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if folder in (entry / "cmdline").read_text():
                    doomed.add(int(entry.name))
    while True:
        found = {pid for pid, parent in parents.items() if parent in doomed} - doomed
        if not found:
            break
        doomed |= found
    for pid in doomed:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def end(process: Process, seconds: float) -> None:
    """Ask a process to end, and make it end if it has not by then."""
    process.signal(signal.SIGTERM)
    if not wait(lambda: not process.alive(), seconds):
        process.signal(signal.SIGKILL)
        wait(lambda: not process.alive(), 5)


def wait(reached: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True
