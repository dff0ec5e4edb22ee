"""Every setting, as oslo.config options for files and as one frozen ``Settings`` for the code.

``Settings`` is made once, at the top, and passed in. Nothing imports a global configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ApiSettings:
    host: str = "127.0.0.1"
    port: int = 8777
    max_body_bytes: int = 1048576
    max_nodes_per_cluster: int = 1000
    max_clusters_per_project: int = 100
    default_action_timeout: int = 3600


@dataclass(frozen=True, slots=True)
class EngineSettings:
    #: Actions carried out at a time by one engine process.
    concurrency: int = 512
    #: Docker calls at a time on one host; more makes a Docker engine slower, not faster.
    host_concurrency: int = 6
    #: Seconds a claim outlives its engine's last heartbeat.
    lease: float = 20.0
    #: Seconds between looks at the queue when nobody rings the bell.
    poll_interval: float = 2.0
    #: How often an action is put off after a failure that may pass, before it fails.
    retries: int = 5
    #: Seconds before the first such repeat; doubles each time up to ``retry_ceiling``.
    retry_delay: float = 1.0
    retry_ceiling: float = 30.0


@dataclass(frozen=True, slots=True)
class HealthSettings:
    #: Seconds before the second repair in a row of one node; doubles each time up to ``repair_ceiling``.
    repair_delay: float = 1.0
    repair_ceiling: float = 120.0
    #: A member that ran this long without a failure is good again, and its count of repairs forgotten.
    good_period: float = 120.0
    #: After so many repairs in a row by restart, the container is made anew.
    restarts_before_recreate: int = 3
    #: Seconds between full listings of a host, the net under its events.
    listing_interval: float = 60.0
    #: Seconds without an answer after which a host is suspect.
    suspect_after: float = 5.0
    #: A container of ours that no row owns must be seen twice and be known for this long before it is removed.
    reap_after: float = 30.0


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    #: Seconds for which finished actions and events are kept; 0 keeps them for ever.
    actions: float = 7 * 86400.0
    events: float = 30 * 86400.0
    interval: float = 300.0


@dataclass(frozen=True, slots=True)
class DriverSettings:
    #: Patterns of paths a ``unix://`` endpoint may have.
    unix_sockets: tuple[str, ...] = ("/var/run/docker.sock", "/run/docker.sock")
    credentials_dir: Path = Path("/etc/spinney/credentials")
    #: Seconds for ordinary calls; pulls are limited by silence instead.
    call_timeout: float = 60.0
    pull_silence: float = 300.0


@dataclass(frozen=True, slots=True)
class ContainerSettings:
    """What a container gets when its profile does not say. Cores, bytes, seconds."""

    cpu_reservation: float = 0.05
    cpu_limit: float = 1.0
    memory_reservation: int = 32 * 2**20
    memory_limit: int = 512 * 2**20
    pids_limit: int = 512
    stop_timeout: int = 10
    log_max_size: str = "10m"
    log_max_files: int = 3


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """Each project has a bridge of its own on each host, with a subnet out of this pool."""

    pool: str = "10.201.0.0/16"
    prefix: int = 24


@dataclass(frozen=True, slots=True)
class Settings:
    state_dir: Path
    database: str
    api: ApiSettings = field(default_factory=ApiSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    health: HealthSettings = field(default_factory=HealthSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    driver: DriverSettings = field(default_factory=DriverSettings)
    container: ContainerSettings = field(default_factory=ContainerSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
