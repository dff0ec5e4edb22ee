"""``spinney standalone`` in the background, and the ``spinney`` command that talks to it."""

from __future__ import annotations

import contextlib
import json
import os
import socket as sockets
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from demo.engine import end, wait
from demo.notes import Notes, Process, Trouble

SPINNEY = Path(sys.executable).with_name("spinney")
FIRST_PORT, PORTS_TRIED = 8777, 100
SECONDS_TO_START, SECONDS_TO_STOP = 60.0, 30.0


def running(notes: Notes) -> bool:
    return notes.spinney is not None and notes.spinney.alive() and _serves(notes)


def start(notes: Notes) -> None:
    """Start the service, and wait for the line that says that it serves."""
    notes.port = _free_port(notes.port)
    notes.state.mkdir(parents=True, exist_ok=True, mode=0o700)
    configuration = notes.state / "demo.conf"
    if not configuration.exists():  # a demo that goes on keeps its networks, which are routes by now
        configuration.write_text(f"[network]\npool = {free_pool()}\n")
    command = [str(SPINNEY), "standalone", "--state-dir", str(notes.state), "--port", str(notes.port)]
    command += ["--config-file", str(configuration)]
    with notes.log.open("wb") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment(notes) | {"DOCKER_HOST": f"unix://{notes.socket}"},
            start_new_session=True,
        )
    notes.spinney = Process.of(process.pid)
    notes.save()
    ready = f"spinney ready: {notes.url}"
    wait(lambda: ready in notes.log.read_text(errors="replace") or process.poll() is not None, SECONDS_TO_START)
    if process.poll() is not None or ready not in notes.log.read_text(errors="replace"):
        end(notes.spinney, 5)
        last = "\n".join("  " + line for line in notes.log.read_text(errors="replace").splitlines()[-8:])
        raise Trouble(f"spinney did not come up. The end of {notes.log}:\n{last}")
    notes.deployment = deployment(notes)
    notes.save()


def free_pool(routes: Path = Path("/proc/net/route")) -> str:
    """A range for the projects' bridges into which this machine has no route: one would swallow the traffic."""
    taken = []
    for line in routes.read_text().splitlines()[1:] if routes.exists() else ():
        fields = line.split()
        address, mask = (ip_address(int(fields[i], 16).to_bytes(4, "little")) for i in (1, 7))
        if int(mask):
            taken.append(ip_network(f"{address}/{mask}", strict=False))
    pools = [ip_network(f"10.{second}.0.0/16") for second in range(201, 255)]
    free = [pool for pool in pools if not any(pool.overlaps(route) for route in taken)]
    return str((free or pools)[0])


def stop(notes: Notes) -> None:
    if notes.spinney is not None:
        end(notes.spinney, SECONDS_TO_STOP)


def _serves(notes: Notes) -> bool:
    try:
        with urllib.request.urlopen(notes.url.removesuffix("v1"), timeout=5):
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _free_port(wished: int) -> int:
    """The port of the last time, or the first free one from the usual one on."""
    candidates: list[int] = [wished or FIRST_PORT, *range(FIRST_PORT, FIRST_PORT + PORTS_TRIED)]
    for port in candidates:
        if _free(port):
            return port
    raise Trouble(f"none of the ports {FIRST_PORT} to {FIRST_PORT + PORTS_TRIED - 1} is free on 127.0.0.1")


def _free(port: int) -> bool:
    with sockets.socket() as probe:
        probe.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def deployment(notes: Notes) -> str:
    """The label by which containers and networks are known as this service's, from its database; empty if unknown."""
    file = notes.state / "spinney.db"
    if not file.exists():
        return ""
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db,
    ):
        row = db.execute("SELECT value FROM meta WHERE key = 'deployment'").fetchone()
        return str(row[0]) if row else ""
    return ""


def environment(notes: Notes) -> dict[str, str]:
    """For the CLI: this service, whatever other clouds the reader's environment names."""
    mine = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
    return mine | {"SPINNEY_STATE_DIR": str(notes.state)}


def cli(notes: Notes, *arguments: str, quiet: bool = False) -> int:
    """Run a command of the CLI, before the reader's eyes unless ``quiet``; its exit code."""
    output = subprocess.DEVNULL if quiet else None
    command = [str(SPINNEY), *arguments]
    return subprocess.run(command, check=False, env=environment(notes), stdout=output, stderr=output).returncode


def ask(notes: Notes, *arguments: str) -> Any:
    """What a command of the CLI answers, as data."""
    command = [str(SPINNEY), *arguments, "-o", "json"]
    said = subprocess.run(command, check=False, capture_output=True, text=True, env=environment(notes))
    if said.returncode != 0:
        raise Trouble(f"spinney {' '.join(arguments)}: {said.stderr.strip() or said.stdout.strip()}")
    return json.loads(said.stdout)
