"""The Docker engine as its owner sees it: what the service made there, and what happens behind the service's back."""

from __future__ import annotations

import json
from typing import Any

import docker_engine

DEPLOYMENT = "io.spinney.deployment"
PROJECT = "io.spinney.project"
HELPER = "io.spinney.helper"
NODE = "io.spinney.node"
GENERATION = "io.spinney.generation"


class DockerSide:
    def __init__(self, socket: str, deployment: str = "") -> None:
        self.socket = socket
        self.deployment = deployment

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Any:
        status, answer = docker_engine.call(self.socket, method, path, body, query=query)
        assert status < 400, f"{method} {path}: {status} {answer}"
        return answer

    # -- what is there -----------------------------------------------------------------------------------------------

    def _filter(self) -> str:
        return json.dumps({"label": [f"{DEPLOYMENT}={self.deployment}"]})

    def everything(self) -> list[dict[str, Any]]:
        """Every container of the deployment, whatever its state, the host helper too."""
        return list(self.call("GET", "/containers/json", all="1", filters=self._filter()))

    def ours(self) -> list[dict[str, Any]]:
        """Every container of the deployment that is not the host helper."""
        return [found for found in self.everything() if HELPER not in found["Labels"]]

    def networks(self) -> list[dict[str, Any]]:
        return list(self.call("GET", "/networks", filters=self._filter()))

    def of_node(self, node_id: str) -> list[dict[str, Any]]:
        return [found for found in self.ours() if found["Labels"].get(NODE) == node_id]

    def inspect(self, container: str) -> Any:
        return self.call("GET", f"/containers/{container}/json")

    def state(self, container: str) -> str:
        return str(self.inspect(container)["State"]["Status"])

    def address(self, container: str) -> str:
        (network,) = self.inspect(container)["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])

    def name(self, container: str) -> str:
        return str(self.inspect(container)["Name"]).removeprefix("/")

    # -- behind the service's back -------------------------------------------------------------------------------------

    def kill(self, container: str) -> None:
        self.call("POST", f"/containers/{container}/kill", signal="KILL")

    def pause(self, container: str) -> None:
        self.call("POST", f"/containers/{container}/pause")

    def remove(self, container: str) -> None:
        self.call("DELETE", f"/containers/{container}", force="1", v="1")

    def run(self, name: str, *command: str, labels: dict[str, str] | None = None, **host_config: Any) -> str:
        """A container that the service did not make; its id."""
        body = {
            "Image": docker_engine.IMAGE,
            "Cmd": list(command) or ["sleep", "600"],
            "Labels": labels or {},
            "HostConfig": {"Init": True, "NetworkMode": "none", **host_config},
        }
        ports = host_config.get("PortBindings")
        if ports:
            body["ExposedPorts"] = {port: {} for port in ports}
        made = str(self.call("POST", "/containers/create", body, name=name)["Id"])
        self.call("POST", f"/containers/{made}/start")
        return made

    def execute(self, container: str, *command: str) -> tuple[int, str]:
        """Run a command in a container: its exit code and all it printed."""
        asked = {"AttachStdout": True, "AttachStderr": True, "Tty": True, "Cmd": list(command)}
        made = self.call("POST", f"/containers/{container}/exec", asked)["Id"]
        said = self.call("POST", f"/exec/{made}/start", {"Detach": False, "Tty": True})
        return int(self.call("GET", f"/exec/{made}/json")["ExitCode"]), str(said)

    def sweep(self) -> None:
        """Remove everything of the deployment."""
        for container in self.everything():
            self.remove(container["Id"])
        for network in self.networks():
            self.call("DELETE", f"/networks/{network['Id']}")
