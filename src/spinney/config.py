"""Every setting, once: as a field of a frozen dataclass with its help, from which the oslo.config options are made.

``Settings`` is made at the top of a process and passed in. Nothing imports a global configuration. Each group of fields is a
section of the configuration file; ``load`` reads files, ``options`` lists every option.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from oslo_config import cfg

T = TypeVar("T")


def _option(default: T, text: str) -> T:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True, slots=True)
class ApiSettings:
    host: str = _option("127.0.0.1", "Address to serve at.")
    port: int = _option(8777, "TCP port to serve at; 0 takes any free one.")
    max_body_bytes: int = _option(1048576, "Greatest size of a JSON request body, in bytes.")
    max_nodes_per_cluster: int = _option(1000, "Greatest number of nodes in one cluster.")
    max_clusters_per_project: int = _option(100, "Greatest number of clusters of one project.")
    default_action_timeout: int = _option(3600, "Seconds an action may take when its cluster does not say.")


@dataclass(frozen=True, slots=True)
class EngineSettings:
    concurrency: int = _option(512, "Actions carried out at a time by one engine process.")
    host_concurrency: int = _option(
        6, "Docker calls at a time on one host; more makes a Docker engine slower, not faster."
    )
    lease: float = _option(20.0, "Seconds for which an engine's claims outlive its last heartbeat.")
    poll_interval: float = _option(2.0, "Seconds between looks at the queue when nobody rings the bell.")
    retries: int = _option(5, "How often an action is put off after a failure that may pass, before it fails.")
    retry_delay: float = _option(1.0, "Seconds before the first such repeat; doubles each time.")
    retry_ceiling: float = _option(30.0, "Greatest number of seconds before such a repeat.")


@dataclass(frozen=True, slots=True)
class HealthSettings:
    repair_delay: float = _option(1.0, "Seconds before the second repair in a row of one node; doubles each time.")
    repair_ceiling: float = _option(120.0, "Greatest number of seconds between two repairs of one node.")
    good_period: float = _option(
        120.0, "Seconds without a failure after which a node's repairs in a row are forgotten."
    )
    restarts_before_recreate: int = _option(3, "Repairs in a row by restart, before the container is made anew.")
    listing_interval: float = _option(60.0, "Seconds between full listings of a host, the net under its events.")
    suspect_after: float = _option(5.0, "Seconds without an answer after which a host is suspect.")
    reap_after: float = _option(
        30.0, "Seconds for which a container of ours that no row owns must have been known before it is removed."
    )


@dataclass(frozen=True, slots=True)
class HostSettings:
    facts_interval: float = _option(300.0, "Seconds between looks at what a host's Docker engine says about itself.")
    image_high_watermark: float = _option(
        0.85, "Share of a host's disk in use above which images that nobody needs are removed from it; 0: never."
    )
    image_low_watermark: float = _option(0.75, "Share of a host's disk in use at which that ends.")
    image_interval: float = _option(60.0, "Seconds between looks whether a host's disk fills up.")
    helper: str = _option(
        "plain",
        "The host helper of host clusters whose configuration has no spinney.helper: plain measures hosts, full their "
        "containers too, none leaves hosts as they are.",
    )
    sample_interval: float = _option(5.0, "Seconds between two readings of a host, from 0.1 to 30.")
    average_over: float = _option(
        60.0, "Seconds after which a load that is over counts for a third of an average; at least 1."
    )


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    preemption: bool = _option(
        False, "Whether members of clusters with a higher spinney.priority push out those of lower ones."
    )


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    actions: float = _option(7 * 86400.0, "Seconds for which finished actions are kept; 0 keeps them for ever.")
    events: float = _option(30 * 86400.0, "Seconds for which events are kept; 0 keeps them for ever.")
    interval: float = _option(300.0, "Seconds between looks for old actions and events.")


@dataclass(frozen=True, slots=True)
class DriverSettings:
    unix_sockets: tuple[str, ...] = _option(
        ("/var/run/docker.sock", "/run/docker.sock"), "Patterns of the paths that a unix:// endpoint may have."
    )
    credentials_dir: Path = _option(
        Path("/etc/spinney/credentials"),
        "Folder with one folder per named credential (TLS, SSH, registry), for those that are kept as files.",
    )
    key_file: str = _option(
        "", "File with the key that credentials are sealed for; without one, secret.key in the state directory."
    )
    default_tls_credential: str = _option("", "Credential of tcp:// endpoints that name none.")
    default_ssh_credential: str = _option("", "Credential of ssh:// endpoints that name none.")
    call_timeout: float = _option(60.0, "Seconds an ordinary call to a Docker engine may take.")
    pull_silence: float = _option(300.0, "Seconds without progress after which a pull has failed.")


@dataclass(frozen=True, slots=True)
class ContainerSettings:
    """What a container gets when its profile does not say."""

    cpu_reservation: float = _option(0.05, "Cores set aside on the host for each container.")
    cpu_limit: float = _option(1.0, "Cores a container may use.")
    memory_reservation: int = _option(32 * 2**20, "Bytes set aside on the host for each container.")
    memory_limit: int = _option(512 * 2**20, "Bytes a container may use.")
    pids_limit: int = _option(512, "Processes a container may have.")
    stop_timeout: int = _option(10, "Seconds between asking a container to end and ending it.")
    log_max_size: str = _option("10m", "Size at which a container's log file is rotated.")
    log_max_file: int = _option(3, "Rotated log files kept per container.")


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    pool: str = _option("10.201.0.0/16", "Addresses out of which each project's bridge on a host gets its subnet.")
    prefix: int = _option(24, "Prefix length of such a subnet.")


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    connection: str = _option("", "SQLAlchemy URL; without one, a SQLite file in the state directory.")


@dataclass(frozen=True, slots=True)
class Settings:
    state_dir: Path
    database: DatabaseSettings = field(default_factory=DatabaseSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    engine: EngineSettings = field(default_factory=EngineSettings)
    health: HealthSettings = field(default_factory=HealthSettings)
    hosts: HostSettings = field(default_factory=HostSettings)
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    driver: DriverSettings = field(default_factory=DriverSettings)
    container: ContainerSettings = field(default_factory=ContainerSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)

    @property
    def database_url(self) -> str:
        return self.database.connection or f"sqlite:///{self.state_dir / 'spinney.db'}"


_GROUPS: dict[str, type[Any]] = {
    "database": DatabaseSettings,
    "api": ApiSettings,
    "engine": EngineSettings,
    "health": HealthSettings,
    "hosts": HostSettings,
    "scheduler": SchedulerSettings,
    "retention": RetentionSettings,
    "driver": DriverSettings,
    "container": ContainerSettings,
    "network": NetworkSettings,
}


def options() -> dict[str, list[cfg.Opt]]:
    """oslo.config options by section."""
    from oslo_config import cfg  # only processes that read files pay for it

    kinds: dict[type, Any] = {
        str: cfg.StrOpt,
        bool: cfg.BoolOpt,
        int: cfg.IntOpt,
        float: cfg.FloatOpt,
        tuple: cfg.ListOpt,
    }

    def option(item: Any) -> Any:
        kind = kinds.get(type(item.default), cfg.StrOpt)
        default = list(item.default) if isinstance(item.default, tuple) else item.default
        return kind(
            item.name, default=str(default) if isinstance(default, Path) else default, help=item.metadata["help"]
        )

    return {section: [option(item) for item in fields(group)] for section, group in _GROUPS.items()}


def load(state_dir: Path, files: Sequence[Path] = (), overrides: Iterable[tuple[str, str, Any]] = ()) -> Settings:
    """Settings from files, with ``(section, option, value)`` on top. Raises ValueError with a sentence for the user."""
    from oslo_config import cfg

    conf = cfg.ConfigOpts()
    for section, found in options().items():
        conf.register_opts(found, group=section)
    try:
        conf([], project="spinney", default_config_files=[str(file) for file in files], default_config_dirs=[])
        for file in files:
            _check_known(file)
        for section, name, value in overrides:
            conf.set_override(name, value, group=section)
        groups = {section: _group(conf, section, kind) for section, kind in _GROUPS.items()}
        _check_network(groups["network"])
        _check_watermarks(groups["hosts"])
        _check_measuring(groups["hosts"])
    except (cfg.Error, ValueError) as error:
        raise ValueError(f"configuration: {error}") from error
    return Settings(state_dir=state_dir, **groups)


def _check_known(file: Path) -> None:
    """oslo.config passes over what it does not know, so that a misspelt option would keep its default in silence."""
    from oslo_config import cfg

    known = {section: [item.name for item in fields(group)] for section, group in _GROUPS.items()}
    found: dict[str, dict[str, Any]] = {}
    cfg.ConfigParser(str(file), found).parse()
    for written, options_of in found.items():
        section = written.lower()
        if section not in known:
            raise ValueError(f"{file}: [{written}] is no section{_nearest(section, known)}")
        for option in options_of:
            if option not in known[section]:
                elsewhere = next((other for other, names in known.items() if option in names), None)
                hint = f"; it belongs into [{elsewhere}]" if elsewhere else _nearest(option, known[section])
                raise ValueError(f"{file}: [{section}] has no option {option}{hint}")


def _nearest(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close else f"; there are {', '.join(names)}"


def _check_network(network: NetworkSettings) -> None:
    try:
        pool = ip_network(network.pool)
    except ValueError as error:
        raise ValueError(
            f"[network] pool: {network.pool} is no subnet ({error}); give one such as 10.201.0.0/16"
        ) from error
    if not pool.prefixlen <= network.prefix <= pool.max_prefixlen - 3:
        raise ValueError(
            f"[network] prefix: {network.prefix} does not cut {network.pool} into subnets with room for containers; "
            f"give {pool.prefixlen} to {pool.max_prefixlen - 3}"
        )


def _check_watermarks(settings: HostSettings) -> None:
    low, high = settings.image_low_watermark, settings.image_high_watermark
    if high and not 0 < low <= high <= 1:
        raise ValueError(
            f"[hosts] image_high_watermark: {high:g} above image_low_watermark {low:g} is not possible; give shares of the "
            f"disk between 0 and 1, the low one below the high one, or 0 as image_high_watermark to remove no images"
        )


def _check_measuring(settings: HostSettings) -> None:
    if settings.helper not in ("none", "plain", "full"):
        raise ValueError(f"[hosts] helper: {settings.helper} is no mode of the host helper; give none, plain or full")
    if not 0.1 <= settings.sample_interval <= 30:
        raise ValueError(
            f"[hosts] sample_interval: {settings.sample_interval:g} is not possible; give 0.1 to 30 seconds"
        )
    if settings.average_over < 1:
        raise ValueError(f"[hosts] average_over: {settings.average_over:g} is not possible; give at least 1 second")


def _group(conf: cfg.ConfigOpts, section: str, kind: type[Any]) -> Any:
    values = {}
    for item in fields(kind):
        value = conf[section][item.name]
        values[item.name] = type(item.default)(value) if isinstance(item.default, (tuple, Path)) else value
    return kind(**values)
