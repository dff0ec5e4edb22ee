"""Containers as values: what may be asked of a Docker engine, and what it says.

``ContainerRequest`` is closed: whatever it cannot express can never reach a Docker engine. There is no field for privileged
mode, namespaces of the host, or security profiles, and paths and devices of the host are in it only as an operator's grants
give them; a driver adds to it only the hardening that is the same for every container.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from spinney.domain.grant import Device, HostPath

LABEL_DEPLOYMENT = "io.spinney.deployment"
LABEL_PROJECT = "io.spinney.project"
LABEL_CLUSTER = "io.spinney.cluster"
LABEL_NODE = "io.spinney.node"
LABEL_GENERATION = "io.spinney.generation"
#: The host helper's own: its version, and what it may do. A container with the first belongs to no node.
LABEL_HELPER = "io.spinney.helper"
LABEL_HELPER_MODE = "io.spinney.helper.mode"
#: A container that keeps another one's secret files in memory until that one runs. It bears the other's node too.
LABEL_KEEPER = "io.spinney.keeper"
#: A container that probes inside another one's network namespace, with that one's id. It bears the other's node too.
LABEL_PROBER = "io.spinney.prober"
#: A volume in memory for secret files.
LABEL_SECRETS = "io.spinney.secrets"
LABEL_PREFIX = "io.spinney."


class ContainerState(StrEnum):
    """What the Docker engine calls it."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


class PullPolicy(StrEnum):
    ALWAYS = "always"
    MISSING = "missing"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class ImageRequest:
    reference: str
    policy: PullPolicy = PullPolicy.MISSING
    platform: str | None = None
    #: Name of a registry credential held by the service, resolved by the driver at pull time.
    credential: str | None = None
    #: On whose behalf: a credential may be kept for certain projects.
    project: str = ""


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """A project's own bridge on one host."""

    name: str
    subnet: str  # CIDR
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class PublishedPort:
    container_port: int
    host_port: int | None = None  # None: the Docker engine picks one
    protocol: str = "tcp"  # tcp | udp | sctp
    host_ip: str = "0.0.0.0"


@dataclass(frozen=True, slots=True)
class Ulimit:
    name: str
    soft: int
    hard: int


@dataclass(frozen=True, slots=True)
class Healthcheck:
    """Times in seconds; ``test`` as Docker takes it (``["CMD", …]``, ``["CMD-SHELL", "…"]`` or ``["NONE"]``)."""

    test: tuple[str, ...]
    interval: float = 30.0
    timeout: float = 30.0
    start_period: float = 0.0
    retries: int = 3


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file in memory: there before the command starts, gone when it has ended."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o444
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class ContainerRequest:
    """Everything that decides how one container is made. CPU in cores, sizes in bytes, durations in seconds."""

    name: str
    labels: Mapping[str, str]
    image: ImageRequest
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    #: Variables whose values are secrets; the Docker engine knows them, nobody is shown them.
    secret_environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: File systems in memory for the files that ``start`` brings, one below each path.
    secret_directories: tuple[str, ...] = ()
    working_dir: str | None = None
    user: str | None = None
    hostname: str | None = None
    cpu_limit: float | None = None
    cpu_reservation: float | None = None
    memory_limit: int | None = None
    memory_reservation: int | None = None
    pids_limit: int = 512
    ulimits: tuple[Ulimit, ...] = ()
    gpus: int = 0  # -1: all
    #: None: Docker never restarts it; N: Docker restarts it up to N times when it fails.
    restart_on_failure: int | None = None
    healthcheck: Healthcheck | None = None
    stop_signal: str | None = None
    stop_timeout: int = 10
    init: bool = True
    read_only: bool = False
    tmpfs: Mapping[str, str] = field(default_factory=dict)  # path -> mount options
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    #: What operators' grants give, and nothing else does; paths are mounted read-only.
    devices: tuple[Device, ...] = ()
    host_paths: tuple[HostPath, ...] = ()
    #: None: no network at all.
    network: NetworkRequest | None = None
    ports: tuple[PublishedPort, ...] = ()
    log_driver: str = "json-file"
    log_options: Mapping[str, str] = field(default_factory=dict)

    @property
    def limits(self) -> ContainerLimits:
        return ContainerLimits(
            self.cpu_limit,
            self.cpu_reservation,
            self.memory_limit,
            self.memory_reservation,
            self.pids_limit,
            self.restart_on_failure,
        )


@dataclass(frozen=True, slots=True)
class ContainerLimits:
    """What can be changed of a container while it lives, as in ``ContainerRequest``; limits of None stay as they are."""

    cpu_limit: float | None = None
    cpu_reservation: float | None = None
    memory_limit: int | None = None
    memory_reservation: int | None = None
    pids_limit: int | None = None
    #: None: Docker never restarts it from now on.
    restart_on_failure: int | None = None


@dataclass(frozen=True, slots=True)
class Address:
    network: str
    addr: str
    version: int = 4


@dataclass(frozen=True, slots=True)
class Container:
    """One container as a Docker engine reports it. Times are seconds since the epoch."""

    id: str  # all 64 characters
    name: str
    labels: Mapping[str, str]
    state: ContainerState
    image: str
    #: healthy, unhealthy, starting, or None where there is no health check or a mere listing does not tell.
    health: str | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    restart_count: int = 0
    addresses: tuple[Address, ...] = ()
    ports: tuple[PublishedPort, ...] = ()  # with the host ports really bound

    @property
    def node_id(self) -> str | None:
        return self.labels.get(LABEL_NODE)

    @property
    def generation(self) -> int:
        """The placement generation it was made for; 0 when its label is absent or no number."""
        text = self.labels.get(LABEL_GENERATION, "")
        return int(text) if text.isdigit() else 0


class ContainerEventKind(StrEnum):
    DIED = "die"
    OOM = "oom"
    DESTROYED = "destroy"
    UNHEALTHY = "unhealthy"
    HEALTHY = "healthy"
    STARTED = "start"
    PAUSED = "pause"
    UNPAUSED = "unpause"
    #: Not from Docker: the stream was (re)opened, anything may have happened before; list everything.
    GAP = "gap"


@dataclass(frozen=True, slots=True)
class ContainerEvent:
    kind: ContainerEventKind
    container_id: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    at: float = 0.0
    exit_code: int | None = None


@dataclass(frozen=True, slots=True)
class ContainerStats:
    """One sample. None means unknown, never zero. CPU in cores, sizes in bytes, counters since the start."""

    cpu: float | None = None
    memory: int | None = None
    memory_limit: int | None = None
    pids: int | None = None
    rx_bytes: int | None = None
    tx_bytes: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None
    sampled_at: float | None = None


@dataclass(frozen=True, slots=True)
class LogQuery:
    tail: int | None = None  # None: all
    since: float | None = None
    until: float | None = None
    follow: bool = False
    timestamps: bool = False
    stdout: bool = True
    stderr: bool = True


@dataclass(frozen=True, slots=True)
class LogChunk:
    """A piece of one stream, not necessarily whole lines."""

    stream: str  # stdout | stderr
    data: bytes


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What a Docker engine says about itself and its machine. Sizes in bytes, CPU in cores."""

    engine_id: str
    version: str
    api_version: str
    os: str
    arch: str
    kernel: str
    cpu: float
    memory: int
    hostname: str
    storage_driver: str = ""
    cgroup: str = ""
    cgroup_driver: str = ""
    rootless: bool = False
    live_restore: bool = False
    runtimes: tuple[str, ...] = ()
    network_plugins: tuple[str, ...] = ()
    volume_plugins: tuple[str, ...] = ()
    log_drivers: tuple[str, ...] = ()
    gpus: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """For storing as JSON."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> HostFacts:
        known = {name: stored[name] for name in cls.__slots__ if name in stored}
        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in known.items()}
        return cls(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value
