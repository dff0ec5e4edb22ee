"""The values of the simulated Docker engine: its settings, its records, its events and its refusals.

Guaranteed: a ``Refusal`` carries both what a real Docker engine would say over HTTP (status and text) and what it means
to Spinney (a ``HostError`` class), so that the in-process front and the HTTP front cannot disagree. Not guaranteed: that the
texts are letter for letter those of one particular release.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from spinney.domain.container import Address, Container, ContainerRequest, ContainerState, PublishedPort, SecretFile
from spinney.drivers.simulated.haproxy import Haproxy
from spinney.drivers.simulated.programs import Process, Program
from spinney.errors import HostError

GIB = 1024**3
MINIMUM_MEMORY = 6 * 1024**2


class Refusal(Exception):
    """The simulated Docker engine says no; it has changed nothing beyond what the real one changes."""

    def __init__(self, status: int, message: str, meaning: type[HostError]) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.meaning = meaning


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What one simulated Docker engine is like. Sizes in bytes, CPU in cores."""

    name: str
    cpu: float = 4.0
    memory: int = 8 * GIB
    gpus: int = 0
    seed: int = 0
    version: str = "27.5.1"
    api_version: str = "1.47"
    min_api_version: str = "1.24"
    live_restore: bool = False
    rootless: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    #: Of which it is one: engines of one name in two fleets are two Docker engines, with ids of their own.
    fleet: str = ""

    @property
    def duplicate_networks(self) -> bool:
        """Engines before API 1.44 let two networks bear one name."""
        major, _, minor = self.api_version.partition(".")
        return (int(major), int(minor)) < (1, 44)


class EngineEvent(NamedTuple):
    """One line of the event stream, in Docker's own words (``action`` may carry a suffix: ``health_status: healthy``)."""

    action: str
    container_id: str
    name: str
    image: str
    labels: Mapping[str, str]
    at: float
    exit_code: int | None = None
    signal: str | None = None


class LogLine(NamedTuple):
    at: float
    stream: str  # stdout | stderr
    data: bytes


Listener = Callable[[EngineEvent], None]
Watcher = Callable[[], None]


@dataclass(slots=True, eq=False)
class Tmpfs:
    """A volume in memory: it holds files for as long as a running container has it."""

    holders: int = 0
    files: dict[str, SecretFile] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class ContainerRecord:
    """One container inside the core. Mutable; only ``core.EngineCore`` changes it."""

    id: str
    name: str
    request: ContainerRequest
    network: str  # the Docker network's name; "none" when there is none
    created_at: float
    program: Program
    extra: Mapping[str, Any] | None = None  # the body of the HTTP request, for inspect to show as posted
    always_restart: bool = False
    auto_remove: bool = False
    state: ContainerState = ContainerState.CREATED
    health: str | None = None
    exit_code: int | None = None
    oom_killed: bool = False
    error: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    restart_count: int = 0
    address: Address | None = None
    network_id: str | None = None
    #: Whose network namespace it shares, and which run's of that one.
    joined: tuple[ContainerRecord, int] | None = None
    ports: tuple[PublishedPort, ...] = ()
    #: Counts runs and ends: a timer set for an earlier run is void.
    run: int = 0
    stop_asked: bool = False
    start_after_stop: bool = False
    waking_late: bool = False
    volumes: Mapping[str, Tmpfs] = field(default_factory=dict)  # by path
    process: Process | None = None
    logs: deque[LogLine] | None = None  # the last ones
    printed: int = 0  # lines ever
    watchers: list[Watcher] | None = None
    cpu_used: float | None = None
    memory_used: int | None = None
    balancer: Haproxy | None = None  # in a container of the load balancers' image
    seen: Container | None = None  # what inspect answers, until something changes
    listed: Container | None = None  # what a listing answers, until something changes

    @property
    def pid(self) -> int:
        """Of its first process while it is up: another one with each run."""
        return 1000 + int(self.id[:4], 16) + self.run

    @property
    def is_up(self) -> bool:
        """Docker's ``Running``: true as well while it is paused or about to be restarted."""
        return self.state in _UP


_UP = frozenset({ContainerState.RUNNING, ContainerState.PAUSED, ContainerState.RESTARTING})
