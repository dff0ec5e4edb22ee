"""Specifications for profiles: read from a file, or built from the options of the quick form.

Pure but for ``read``. What is built is not checked here: the service knows its rules, and says which one was broken.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from spinney.cli import yaml_file
from spinney.cli.faults import CliError

CONTAINER_TYPE = "container.dockerinc.docker"
CONTAINER_VERSION = "1.0"
_PLAIN_SIZE = re.compile(r"[0-9]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class QuickContainer:
    """A container in the words of the command line; what is empty is left out of the specification."""

    image: str | None = None
    host_cluster: str | None = None
    host_node: str | None = None
    command: str | None = None
    entrypoint: str | None = None
    ports: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    cpu: float | None = None
    memory: str | None = None
    user: str | None = None
    restart: str | None = None
    health: str | None = None
    pull: str | None = None
    credential: str | None = None

    @property
    def is_empty(self) -> bool:
        return not self.properties()

    def properties(self) -> dict[str, Any]:
        memory = int(self.memory) if self.memory and _PLAIN_SIZE.fullmatch(self.memory) else self.memory
        found: dict[str, Any] = {
            "image": self.image,
            "host_cluster": self.host_cluster,
            "host_node": self.host_node,
            "command": self.command,
            "entrypoint": self.entrypoint,
            "ports": list(self.ports),
            "environment": dict(self.environment),
            "labels": dict(self.labels),
            "cpu": self.cpu,
            "memory": memory,
            "user": self.user,
            "restart_policy": self.restart,
            "healthcheck": {"test": self.health} if self.health else None,
            "pull_policy": self.pull,
            "registry_credential": self.credential,
        }
        return {key: value for key, value in found.items() if value not in (None, [], {}, "")}


def from_options(quick: QuickContainer) -> dict[str, Any]:
    if quick.image is None:
        raise CliError("a container needs an image: add --image, for example --image nginx:alpine, or give --spec-file")
    if quick.host_cluster is None and quick.host_node is None:
        raise CliError(
            "a container needs hosts: add --host-cluster NAME (or --host-node NAME), see `spinney host list`"
        )
    if quick.cpu is not None and not math.isfinite(quick.cpu):
        raise CliError(f"--cpu {quick.cpu} is no number of cores: write a finite one, such as --cpu 0.5")
    return {"type": CONTAINER_TYPE, "version": CONTAINER_VERSION, "properties": quick.properties()}


def read(path: str) -> dict[str, Any]:
    """A specification as YAML or JSON; ``-`` is standard input."""
    what = f"--spec-file {path!r}"
    found = yaml_file.read(path, what)
    if not isinstance(found, dict):
        raise CliError(f"{what} holds no map: write the keys type, version and properties")
    return found
