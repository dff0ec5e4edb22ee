"""The service as its operator runs it: processes of their own, on a state directory, with a configuration file."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

import docker_engine
from system.docker_side import DockerSide
from system.http_api import Api

T = TypeVar("T")

SPINNEY = (sys.executable, "-m", "spinney.cli.main")
#: Seconds, on a busy machine.
PATIENCE = 40.0
FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")
CONFIGURATION = """
[engine]
retry_delay = 0.1
retry_ceiling = 0.5
retries = 3
"""


class Program:
    """One process of the service. What it says is kept in files beside its state directory."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        environment: dict[str, str] | None = None,
        command: tuple[str, ...] = SPINNEY,
    ) -> None:
        name = uuid.uuid4().hex[:8]
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                (*command, *arguments), stdout=out, stderr=err, env={**os.environ, **(environment or {})}
            )

    @property
    def output(self) -> str:
        return self._out.read_text() + self._err.read_text()

    def until(self, look: Callable[[], T], holds: Callable[[T], object] = bool, *, seconds: float = PATIENCE) -> T:
        """What ``look`` sees as soon as ``holds`` says so of it; fails when time is up or the process ends."""
        deadline = time.monotonic() + seconds
        while True:
            seen = look()
            if holds(seen):
                return seen
            if self.process.poll() is not None:
                pytest.fail(f"the process ended with {self.process.returncode}; it said:\n{self.output}")
            if time.monotonic() > deadline:
                pytest.fail(f"not within {seconds} s; last seen: {seen}\nthe process said:\n{self.output[-3000:]}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.1)

    def until_says(self, pattern: str) -> str:
        found = self.until(lambda: re.search(pattern, self.output))
        assert found is not None
        return found[1] if found.groups() else found[0]

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def terminate(self) -> int:
        """Ask it to end, as init does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            pytest.fail(f"the process did not end; it said:\n{self.output}")


class Service:
    """A deployment: its state directory, its API, what it has on its Docker engine. ``start`` brings it to life."""

    def __init__(
        self, folder: Path, socket: str, configuration: str = CONFIGURATION, command: tuple[str, ...] = SPINNEY
    ) -> None:
        self._command = command
        self.folder = folder
        self.state_dir = folder / "state"
        self.config_file = folder / "spinney.conf"
        self.config_file.write_text(configuration)
        self.docker = DockerSide(socket)
        self.api: Api
        self.program: Program

    def arguments(self, *more: str) -> tuple[str, ...]:
        return (f"--state-dir={self.state_dir}", f"--config-file={self.config_file}", *more)

    def start(self, *more: str) -> None:
        environment = {"DOCKER_HOST": f"unix://{self.docker.socket}"}
        asked = ("standalone", *self.arguments("--port=0", "--verbose", *more))
        self.program = Program(self.folder, *asked, environment=environment, command=self._command)
        self.connect()

    def connect(self) -> None:
        """Wait until the program serves, and meet its API."""
        port = self.program.until_says(r"spinney ready: http://127\.0\.0\.1:(\d+)/v1\n")
        self.api = Api(int(port), (self.state_dir / "password").read_text().strip())
        self.docker.deployment = self.fact("deployment")

    def fact(self, key: str) -> str:
        with contextlib.closing(sqlite3.connect(self.state_dir / "spinney.db")) as database:
            return str(database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()[0])

    def until_host_is(self, state: str, name: str = "local") -> dict[str, Any]:
        def host() -> dict[str, Any]:
            return next((h for h in self.api.get("/hosts") if h["name"] == name), {})

        return self.until(host, lambda found: found.get("state") == state)

    def until(self, look: Callable[[], T], holds: Callable[[T], object] = bool, *, seconds: float = PATIENCE) -> T:
        return self.program.until(look, holds, seconds=seconds)

    # -- making ------------------------------------------------------------------------------------------------------

    def profile(self, *command: str, **properties: Any) -> str:
        """A profile of containers that run the command (else sleep) and end when asked; its id."""
        given = {
            "image": docker_engine.IMAGE,
            "pull_policy": "never",
            "command": list(command) or ["sleep", "600"],
            "host_cluster": "local",
            "stop_timeout": 1,
            **properties,
        }
        spec = {"type": "container.dockerinc.docker", "version": "1.0", "properties": given}
        return str(self.api.create("profile", name=fresh("profile"), spec=spec)["id"])

    def cluster(self, profile: str, size: int = 1, **more: Any) -> str:
        """A cluster as it is asked for; its id."""
        made = self.api.create("cluster", name=fresh("cluster"), profile_id=profile, desired_capacity=size, **more)
        return str(made["id"])

    def active_cluster(self, profile: str, size: int = 1, **more: Any) -> str:
        made = self.cluster(profile, size, **more)
        self.until_cluster_is("ACTIVE", made)
        return made

    def node(self, profile: str, **more: Any) -> str:
        return str(self.api.create("node", name=fresh("node"), profile_id=profile, **more)["id"])

    # -- looking -----------------------------------------------------------------------------------------------------

    def until_cluster_is(self, status: str, cluster: str) -> dict[str, Any]:
        return self.until(lambda: self.api.get(f"/clusters/{cluster}"), lambda found: found["status"] == status)

    def until_node_is(self, status: str, node: str) -> dict[str, Any]:
        return self.until(lambda: self.api.get(f"/nodes/{node}"), lambda found: found["status"] == status)

    def members(self, cluster: str) -> list[dict[str, Any]]:
        return list(self.api.get(f"/nodes?cluster_id={cluster}&sort=init_at"))

    def finished(self, action: str) -> dict[str, Any]:
        return self.until(lambda: self.api.get(f"/actions/{action}"), lambda found: found["status"] in FINAL)

    def last_action(self, target: str) -> dict[str, Any]:
        return dict(self.api.get(f"/actions?target={target}&sort=created_at:desc&limit=1")[0])

    def until_healed(self, node: str, before: dict[str, Any]) -> dict[str, Any]:
        """The node once it is well again after something that was noticed."""
        return self.until(
            lambda: self.api.get(f"/nodes/{node}"),
            lambda found: found["status"] == "ACTIVE" and found["status_reason"] != before["status_reason"],
        )

    # -- ending ------------------------------------------------------------------------------------------------------

    def delete(self, kind: str, identity: str, *, force: bool = False) -> None:
        """Delete a cluster or node and wait until it is gone."""
        path = f"/{kind}s/{identity}"
        reply = self.api.call("DELETE", path, {"force": True} if force else None)
        assert reply.status in (202, 404, 409), reply.body
        self.until(lambda: self.api.call("GET", path).status, lambda status: status == 404)

    def clear(self) -> None:
        """Delete every cluster and node but those of hosts."""
        for cluster in self.api.get("/clusters"):
            if cluster["name"] != "local":
                self.delete("cluster", cluster["id"], force=True)
        hosts = {host["id"] for host in self.api.get("/hosts")}
        for node in self.api.get("/nodes"):
            if node["id"] not in hosts and node["name"] != "local":
                self.delete("node", node["id"], force=True)

    def expect_nothing_left(self) -> None:
        self.until(lambda: (self.docker.ours(), self.docker.networks()), lambda found: found == ([], []), seconds=5)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self.program.process.poll() is None:
                self.program.terminate()
        if docker_engine.answers(self.docker.socket):
            self.docker.sweep()


def fresh(kind: str) -> str:
    return f"{kind}-{uuid.uuid4().hex[:8]}"


@contextlib.contextmanager
def standalone(folder: Path, socket: str, configuration: str = CONFIGURATION, *more: str) -> Iterator[Service]:
    """A standalone service on a state directory of its own, with its host ready."""
    service = Service(folder, socket, configuration)
    service.start(*more)
    try:
        service.until_host_is("ready")
        yield service
    finally:
        service.close()


def spinney(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The public command, as the user of the machine types it."""
    environment = {**os.environ, "SPINNEY_STATE_DIR": str(service.state_dir)}
    return subprocess.run(
        (*SPINNEY, *arguments), env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
