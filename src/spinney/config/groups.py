"""What can be set: each group of fields is a section of the configuration file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spinney.config.option import option


@dataclass(frozen=True, slots=True)
class ApiSettings:
    host: str = option("127.0.0.1", "Address to serve at.")
    port: int = option(8777, "TCP port to serve at; 0 takes any free one.", least=0)
    max_body_bytes: int = option(1048576, "Greatest size of a JSON request body, in bytes.", least=1)
    max_nodes_per_cluster: int = option(1000, "Greatest number of nodes in one cluster.", least=1)
    key_file: str = option(
        "", "File with the keys that all API processes share; without one, api.keys in the state directory."
    )
    health_check_interval_min: int = option(
        60, "Least number of seconds between looks that a health policy may ask for.", least=1
    )
    default_action_timeout: int = option(3600, "Seconds an action may take when its cluster does not say.", least=1)
    revisions_kept: int = option(
        20,
        "Revisions of a cluster that can be rolled back to, at least 10; its present one is always kept.",
        least=10,
    )
    tls_certificate: str = option(
        "", "File with the certificate to serve with and those that lead to its authority, as PEM."
    )
    tls_key: str = option("", "File with the key of tls_certificate, as PEM, not encrypted.")
    tls_authority: str = option(
        "",
        "File with the authority that clients know tls_certificate by, where it is not a public one; for clouds.yaml.",
    )
    unix_socket: str = option("", "Path of a unix socket to serve at instead of host and port: behind a proxy.")
    unix_socket_mode: str = option("660", "Permissions of that socket, octal.")
    public_url: str = option("", "URL by which clients reach the service, where that is not what it serves at.")
    trusted_proxies: tuple[str, ...] = option(
        (), "Addresses and subnets of proxies whose X-Forwarded headers are believed; a unix socket's peer always is."
    )
    max_header_bytes: int = option(65536, "Greatest size of a request's first line and headers together, in bytes.")
    request_timeout: float = option(20.0, "Seconds in which a whole request must have arrived.")
    idle_timeout: float = option(30.0, "Seconds for which a connection without a request is kept.")
    handler_timeout: float = option(60.0, "Seconds after which a request that is still at work is answered with 503.")
    max_connections: int = option(2000, "Greatest number of open connections.")
    max_connections_per_address: int = option(
        500, "Greatest number of open connections from one address that is no trusted proxy."
    )


@dataclass(frozen=True, slots=True)
class LimitSettings:
    """What one project may ask for at a time, of each API process; 0 is no limit."""

    rate: float = option(500.0, "Requests a second of one project, once its burst is used up.")
    burst: int = option(1000, "Requests of one project that may come at once.")
    shared_rate: float = option(
        50.0,
        "The same while other projects use the service too, so that none slows another; a request that changes something "
        "counts for five, and one for each two milliseconds that the database works for it.",
    )
    shared_burst: int = option(200, "The burst that belongs to it.")
    shared_after: float = option(
        60.0, "Seconds after which a project that asks for nothing no longer uses the service."
    )
    concurrent: int = option(16, "Requests of one project at work at a time in one API process; more wait.")
    queue: int = option(100, "Requests of one project that may wait; more are answered with 429.")
    streams: int = option(50, "Log followers and terminals of one project that may be open in one API process.")
    terminal_time: float = option(43200.0, "Seconds that a command which somebody watches may run.")
    failed_authentications: int = option(
        30,
        "Failed authentications in a row from one address, before it has to wait; one is forgiven every two seconds.",
    )


@dataclass(frozen=True, slots=True)
class AuditSettings:
    file: str = option(
        "", "File that the audit log is appended to, - for standard error; without one it is not written."
    )


@dataclass(frozen=True, slots=True)
class AuthSettings:
    strategy: str = option(
        "http_basic",
        "How callers are known: keystone by tokens, http_basic by passwords, none not at all (only on a loopback address or "
        "a unix socket).",
    )
    token_cache_time: float = option(
        30.0,
        "Seconds for which a token found valid is not asked about again, so that a revoked one is refused that much "
        "later at most; 0 asks for each request.",
    )
    token_cache_size: int = option(10000, "Greatest number of tokens remembered so.")
    htpasswd_file: str = option(
        "",
        "File of http_basic with users and their bcrypt hashes; without one, the one user admin with a made password.",
    )
    delegated_roles: tuple[str, ...] = option(
        ("member",),
        "Roles in which users of keystone let the service act for them later, where another OpenStack service has to be "
        "called; only with a section [service_user], which is the user that they trust.",
    )
    users_file: str = option(
        "",
        "YAML file of http_basic with the project and the roles of each user; those not in it are members of default.",
    )


@dataclass(frozen=True, slots=True)
class EngineSettings:
    concurrency: int = option(512, "Actions carried out at a time by one engine process.", least=1)
    host_concurrency: int = option(
        6, "Docker calls at a time on one host; more makes a Docker engine slower, not faster.", least=1
    )
    lease: float = option(20.0, "Seconds for which an engine's claims outlive its last heartbeat.", least=1)
    poll_interval: float = option(2.0, "Seconds between looks at the queue when nobody rings the bell.", least=0.05)
    retries: int = option(5, "How often an action is put off after a failure that may pass, before it fails.", least=0)
    retry_delay: float = option(1.0, "Seconds before the first such repeat; doubles each time.", least=0.01)
    retry_ceiling: float = option(30.0, "Greatest number of seconds before such a repeat.", least=0.01)


@dataclass(frozen=True, slots=True)
class HealthSettings:
    repair_delay: float = option(
        1.0, "Seconds before the second repair in a row of one node; doubles each time.", least=0
    )
    repair_ceiling: float = option(120.0, "Greatest number of seconds between two repairs of one node.", least=0)
    good_period: float = option(
        120.0, "Seconds without a failure after which a node's repairs in a row are forgotten.", least=0
    )
    restarts_before_recreate: int = option(
        3, "Repairs in a row by restart, before the container is made anew.", least=0
    )
    listing_interval: float = option(
        60.0, "Seconds between full listings of a host, the net under its events.", least=1
    )
    suspect_after: float = option(5.0, "Seconds without an answer after which a host is suspect.", least=0.1)
    reap_after: float = option(
        30.0,
        "Seconds for which a container of ours that no row owns must have been known before it is removed.",
        least=0,
    )
    ready_within: float = option(
        300.0,
        "Seconds in which a container that is to take the place of another must be ready, where nobody says more.",
        least=1,
    )


@dataclass(frozen=True, slots=True)
class HostSettings:
    facts_interval: float = option(
        300.0, "Seconds between looks at what a host's Docker engine says about itself.", least=1
    )
    image_high_watermark: float = option(
        0.85, "Share of a host's disk in use above which images that nobody needs are removed from it; 0: never."
    )
    image_low_watermark: float = option(0.75, "Share of a host's disk in use at which that ends.")
    image_interval: float = option(60.0, "Seconds between looks whether a host's disk fills up.", least=1)
    helper: str = option(
        "plain",
        "The host helper of host clusters whose configuration has no spinney.helper: plain measures hosts, full their "
        "containers too and probes these from inside (which takes rights like those of root), none leaves hosts as they "
        "are.",
    )
    sample_interval: float = option(5.0, "Seconds between two readings of a host, from 0.1 to 30.")
    average_over: float = option(
        60.0,
        "Seconds after which a load that is over counts for a third of an average; at least 1.",
        least=1,
    )


@dataclass(frozen=True, slots=True)
class SchedulerSettings:
    preemption: bool = option(
        False, "Whether members of clusters with a higher spinney.priority push out those of lower ones."
    )


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    actions: float = option(7 * 86400.0, "Seconds for which finished actions are kept; 0 keeps them for ever.", least=0)
    events: float = option(30 * 86400.0, "Seconds for which events are kept; 0 keeps them for ever.", least=0)
    scaling: float = option(
        14 * 86400.0,
        "Seconds for which autoscaling's decisions and the metrics they were made from are kept; 0 keeps them for ever.",
        least=0,
    )
    interval: float = option(300.0, "Seconds between looks for old actions and events.", least=1)


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """Between API processes and engines on other machines."""

    address: str = option(
        "",
        "HOST:PORT at which an engine serves API processes of other machines, by mutual TLS, and by which they reach it; "
        "without one it serves a unix socket in its state directory.",
    )
    tls_ca: str = option("", "File with the authority of the other side's certificate, in PEM; one for this use alone.")
    tls_certificate: str = option(
        "", "File with the certificate to show, in PEM: a server's for engines, a client's for APIs."
    )
    tls_key: str = option("", "File with the key of tls_certificate, in PEM, without a passphrase.")

    @property
    def place(self) -> tuple[str, int]:
        """Host and port of the address; empty and 0 where it has none."""
        host, _, port = self.address.rpartition(":")
        bare = host[1:-1] if host.startswith("[") and host.endswith("]") else "" if ":" in host else host
        return bare, int(port) if port.isascii() and port.isdigit() else 0


@dataclass(frozen=True, slots=True)
class DriverSettings:
    unix_sockets: tuple[str, ...] = option(
        ("/var/run/docker.sock", "/run/docker.sock"), "Patterns of the paths that a unix:// endpoint may have."
    )
    credentials_dir: Path = option(
        Path("/etc/spinney/credentials"),
        "Folder with one folder per named credential (TLS, SSH, registry), for those that are kept as files.",
    )
    key_file: str = option(
        "", "File with the key that credentials are sealed for; without one, secret.key in the state directory."
    )
    default_tls_credential: str = option("", "Credential of tcp:// endpoints that name none.")
    default_ssh_credential: str = option("", "Credential of ssh:// endpoints that name none.")
    call_timeout: float = option(60.0, "Seconds an ordinary call to a Docker engine may take.", least=1)
    pull_silence: float = option(300.0, "Seconds without progress after which a pull has failed.", least=1)


@dataclass(frozen=True, slots=True)
class ContainerSettings:
    """What a container gets when its profile does not say."""

    cpu_reservation: float = option(0.05, "Cores set aside on the host for each container.", least=0)
    cpu_limit: float = option(1.0, "Cores a container may use.", least=0.01)
    memory_reservation: int = option(32 * 2**20, "Bytes set aside on the host for each container.", least=0)
    memory_limit: int = option(512 * 2**20, "Bytes a container may use.", least=6 * 2**20)
    pids_limit: int = option(512, "Processes a container may have.", least=1)
    stop_timeout: int = option(10, "Seconds between asking a container to end and ending it.", least=0)
    log_max_size: str = option("10m", "Size at which a container's log file is rotated.")
    log_max_file: int = option(3, "Rotated log files kept per container.", least=1)
    grants_file: str = option("", "YAML file with the grants that profiles may name; without one there are none.")


@dataclass(frozen=True, slots=True)
class QuotaSettings:
    """What a project may have at most when nothing else is set for it; -1 is no limit."""

    driver: str = option(
        "local",
        "Who keeps the limits of single projects: local is this service, unified is Keystone, which keeps these too.",
    )
    clusters: int = option(100, "Clusters of one project.")
    nodes: int = option(-1, "Nodes of one project, hosts included.")
    cpu: float = option(-1.0, "Cores that all containers of one project may set aside together.")
    memory: int = option(-1, "Bytes of memory that all containers of one project may set aside together.")
    receivers: int = option(100, "Receivers of one project.")
    secrets: int = option(100, "Secrets of one project.")
    volumes: int = option(-1, "Volumes of one project; nothing counts against it yet.")
    cache_time: float = option(
        10.0, "Seconds for which limits that Keystone keeps are believed before it is asked again."
    )


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """Which images containers may be made of where no image rule says otherwise."""

    allow: tuple[str, ...] = option(
        (), "Patterns of the repositories that images may come from, as in registry.example.org/team/*; empty: any."
    )
    require_digest: bool = option(False, "Whether profiles must name images by digest.")
    pin: bool = option(False, "Whether a tag is resolved once for a whole cluster.")


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    pool: str = option("10.201.0.0/16", "Addresses out of which each project's bridge on a host gets its subnet.")
    prefix: int = option(24, "Prefix length of such a subnet.")


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    base_url: str = option(
        "", "Root of the URLs of receivers, such as https://clusters.example.org; without one, that of the request."
    )
    allow_open_urls: bool = option(
        False,
        "Whether receivers may be started by their URL alone, without a secret, as Senlin's are: whoever learns an id then "
        "starts the action.",
    )
    rate_limit: int = option(60, "How often a minute a receiver may be used that does not say.")


@dataclass(frozen=True, slots=True)
class EgressSettings:
    """Where the service may connect to when somebody outside chose the address."""

    allow: tuple[str, ...] = option(
        (),
        "Ranges of addresses that are permitted although they would be refused, such as 127.0.0.0/8; counts before deny.",
    )
    deny: tuple[str, ...] = option((), "Ranges of addresses that are refused besides those that always are.")


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    connection: str = option("", "SQLAlchemy URL; without one, a SQLite file in the state directory.")
