"""Profile type ``container.dockerinc.docker-1.0``: nodes that are containers.

Guaranteed: every specification that Senlin's type of this name took is taken (but an engine port of the user's choice), and
the properties are a closed list without anything that reaches outside the container. What Docker is asked for is built from
them in ``container_request`` alone. Not guaranteed: that image, host and registry credential exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from spinney.domain.schema import (
    Boolean,
    Contradiction,
    Integer,
    Kind,
    Line,
    NotAllowed,
    Rule,
    Text,
    at_most,
    between,
    matching,
    one_of,
    to_map,
)
from spinney.profiles.base import Operation, OperationParameters, ProfileProperties, ProfileType, Support
from spinney.profiles.container_parts import (
    Cpu,
    HealthcheckPart,
    LogPart,
    MemoryShare,
    PortPart,
    RestartPolicy,
    TmpfsMap,
    UlimitValue,
    check_ulimits,
)
from spinney.profiles.container_probes import ProbesPart
from spinney.profiles.container_refusals import CONTAINER_REFUSALS
from spinney.profiles.container_secrets import MOST_SECRETS, SecretPart, check_secrets
from spinney.profiles.container_values import (
    ULIMIT_CEILINGS,
    AbsolutePath,
    AddedCapability,
    Argv,
    DroppedCapability,
    EnvironmentName,
    EnvironmentValue,
    Hostname,
    Image,
    LabelKey,
    LabelValue,
    Platform,
    Signal,
    StopTimeout,
    User,
)

#: Senlin let a profile name the TCP port of the host's Docker engine. Here the host's own endpoint decides.
ENGINE_PORTS = (2375, 2376)


def _check_engine_port(value: int) -> int:
    if value not in ENGINE_PORTS:
        raise Contradiction(
            f"{value} is not allowed: the port of a Docker engine belongs to its host's endpoint, which the operator sets; "
            "leave port out, and publish ports of the container with ports"
        )
    return value


def _check_network(value: str) -> str:
    if value.lower() not in NETWORK_MODES:
        raise NotAllowed("bridge or none; no container shares the network of its host or of another container")
    return value.lower()


NETWORK_MODES = ("bridge", "none")
NetworkMode = Annotated[Text, Rule("one of bridge, none", _check_network, NETWORK_MODES)]
GrantName = Annotated[Text, matching(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?", "the name of a grant")]
EnginePort = Annotated[Integer, Rule("2375 or 2376, and without effect", _check_engine_port)]
UlimitMap = Annotated[
    Mapping[Annotated[Text, one_of(*ULIMIT_CEILINGS)], UlimitValue],
    Kind("Map", to_map),
    Rule("at most " + ", ".join(f"{name} {most}" for name, most in ULIMIT_CEILINGS.items()), check_ulimits),
]


class ContainerProperties(ProfileProperties):
    in_place: ClassVar[frozenset[str]] = frozenset(
        {"cpu", "memory", "pids_limit", "restart_policy", "pull_policy", "registry_credential", "probes"}
    )
    fixed: ClassVar[frozenset[str]] = frozenset({"context", "port"})
    nullable: ClassVar[frozenset[str]] = frozenset({"host_node", "host_cluster"})
    refusals: ClassVar[Mapping[str, str]] = CONTAINER_REFUSALS

    image: Image = Field(description="The image to run, by its name in a registry; without tag or digest: latest.")
    pull_policy: Annotated[Text, one_of("always", "missing", "never")] = Field(
        "missing", description="When the host pulls the image before a container is made."
    )
    registry_credential: Line | None = Field(
        None, description="Name or id of a registry credential held by the service, for private images."
    )
    platform: Platform | None = Field(None, description="Platform of the image where it has several.")

    name: Line | None = Field(
        None,
        description="Prefix of the containers' names; each name also has the node's name, part of its id and a number.",
    )
    command: Argv | None = Field(
        None,
        description="Command, or arguments of the entry point: a list of words, or a string split as a shell does.",
    )
    entrypoint: Argv | None = Field(
        None,
        description="Replaces the image's entry point; list or string as for command. An empty list takes it away.",
    )
    environment: Annotated[
        Mapping[EnvironmentName, EnvironmentValue], Kind("Map", to_map), at_most(1000, "variables")
    ] = Field(default_factory=dict, description="Environment variables, names to values.")
    secrets: Annotated[tuple[SecretPart, ...], at_most(MOST_SECRETS, "secrets")] = Field(
        (), description="Values of the project's secrets, as environment variables or as files in memory."
    )
    working_dir: AbsolutePath | None = Field(None, description="Working directory of the command.")
    user: User | None = Field(None, description="User, or user:group, to run as.")
    hostname: Hostname | None = Field(None, description="Host name in the container.")
    labels: Annotated[Mapping[LabelKey, LabelValue], Kind("Map", to_map), at_most(100, "labels")] = Field(
        default_factory=dict, description="Labels of the containers; keys below io.spinney. are kept for the service."
    )
    stop_signal: Signal | None = Field(None, description="Signal that asks the command to end; default: the image's.")
    stop_timeout: StopTimeout | None = Field(
        None, description="Seconds between asking it to end and ending it; default: the operator's."
    )
    init: Boolean = Field(True, description="Run a small init process that forwards signals and reaps children.")

    restart_policy: RestartPolicy = Field(
        default_factory=lambda: RestartPolicy(condition="always"),
        description="always: Spinney starts it again whenever it has ended; on-failure: the Docker engine does, after a "
        "failure and up to max_retries times; none: it stays ended.",
    )
    healthcheck: HealthcheckPart | None = Field(None, description="How the Docker engine tells that it works.")
    probes: ProbesPart | None = Field(
        None,
        description="How Spinney tells whether it has started, may be given work, and lives. All of them are asked from "
        "inside the container.",
    )

    cpu: Cpu = Field(
        default_factory=Cpu, description="CPU in cores: a map, or one number for both; default: the operator's."
    )
    memory: MemoryShare = Field(
        default_factory=MemoryShare,
        description="Memory as in 512m or 2g (powers of 1024): a map, or one size for both; default: the operator's.",
    )
    pids_limit: Annotated[Integer, between(1, 4194304, "a number of processes")] | None = Field(
        None, description="Processes and threads it can have; default: the operator's."
    )
    ulimits: UlimitMap = Field(
        default_factory=dict, description="Kernel resource limits: name to a map of soft and hard, or to one number."
    )
    gpu: Annotated[Text, matching("all|[0-9]{1,2}", "a number of GPUs, or all")] = Field(
        "0", description="GPUs of the host that it gets: a number, or all."
    )

    read_only: Boolean = Field(False, description="Whether its root file system is read-only.")
    tmpfs: Annotated[TmpfsMap, at_most(16, "mounts")] = Field(
        default_factory=dict,
        description="File systems in memory: path to a map of options, to a size or to options as in size=64m,exec; "
        "or a list of paths.",
    )
    cap_add: Annotated[tuple[AddedCapability, ...], at_most(20, "names")] = Field(
        (), description="Capabilities beyond the default ones, with or without CAP_, in any case."
    )
    cap_drop: Annotated[tuple[DroppedCapability, ...], at_most(50, "names")] = Field(
        (), description="Capabilities to take away; ALL: all that cap_add does not name."
    )
    grants: Annotated[tuple[GrantName, ...], at_most(20, "names")] = Field(
        (), description="Names of extra rights that the operator gives: `spinney grant list` shows those you may use."
    )

    network: NetworkMode = Field(
        "bridge", description="bridge: the project's own bridge on the host; none: no network at all."
    )
    ports: Annotated[tuple[PortPart, ...], at_most(100, "ports")] = Field(
        (), description="Published ports: maps, or strings as in 8080:80/udp or 80."
    )
    log: LogPart = Field(default_factory=LogPart, description="Where the Docker engine keeps its output.")

    host_node: Line | None = Field(
        None, description="Name or id of the host to run on. At least one of host_node and host_cluster is needed."
    )
    host_cluster: Line | None = Field(
        None, description="Name or id of the host cluster to run on. With host_node, that host has to be its member."
    )
    port: EnginePort = Field(
        ENGINE_PORTS[0],
        description="Accepted for old specifications and without effect: a host knows its own endpoint.",
    )

    @model_validator(mode="after")
    def _named_hosts(self) -> ContainerProperties:
        if self.host_node is None and self.host_cluster is None:
            raise Contradiction(
                "host_node and host_cluster are both missing: name a host, or a host cluster to have one chosen from"
            )
        return self

    @model_validator(mode="after")
    def _ports_fit(self) -> ContainerProperties:
        if self.network == "none" and self.ports:
            raise Contradiction("network none publishes nothing: leave ports out, or use network bridge", at=".ports")
        for index, port in enumerate(self.ports):
            for earlier, other in enumerate(self.ports[:index]):
                if port.clashes(other):
                    raise Contradiction(
                        f"this publishes the same as ports[{earlier}]: use another port of the host, or leave one out",
                        at=f".ports[{index}]",
                    )
        return self

    @model_validator(mode="after")
    def _capabilities_fit(self) -> ContainerProperties:
        both = sorted(set(self.cap_add) & set(self.cap_drop))
        if both:
            raise Contradiction(f"{', '.join(both)} is in cap_drop too: leave it out of one", at=".cap_add")
        return self

    @model_validator(mode="after")
    def _secrets_fit(self) -> ContainerProperties:
        docker_restarts = self.restart_policy.condition == "on-failure"
        check_secrets(self.secrets, self.environment, self.tmpfs, docker_restarts=docker_restarts)
        return self


class StopParameters(OperationParameters):
    timeout: StopTimeout | None = Field(
        None, description="Seconds before it is ended by force; default: the profile's stop_timeout."
    )


class RestartParameters(OperationParameters):
    wait_time: StopTimeout | None = Field(None, description="The same as timeout, under its older name.")
    timeout: StopTimeout | None = Field(
        None, description="Seconds before it is ended by force; default: the profile's stop_timeout."
    )

    @model_validator(mode="after")
    def _one_name(self) -> RestartParameters:
        if None not in (self.wait_time, self.timeout) and self.wait_time != self.timeout:
            raise Contradiction("wait_time and timeout are two names of one thing and differ: give one of them")
        return self

    def inputs(self) -> dict[str, Any]:
        timeout = self.wait_time if self.timeout is None else self.timeout
        return {} if timeout is None else {"timeout": timeout}


class KillParameters(OperationParameters):
    signal: Signal = Field("SIGKILL", description="The signal to send.")


CONTAINER = ProfileType(
    name="container.dockerinc.docker",
    version="1.0",
    summary="A Docker container on one of the hosts that its owner may use.",
    properties=ContainerProperties,
    support_status=(Support("EXPERIMENTAL", "2017.02"),),
    operations={
        "start": Operation("Start the container, and keep it running from now on."),
        "stop": Operation("Stop the container, and leave it stopped until it is started.", StopParameters),
        "restart": Operation("Stop and start the container.", RestartParameters),
        "pause": Operation("Freeze all processes of the container, and leave them frozen."),
        "unpause": Operation("Let the processes of a paused container go on."),
        "kill": Operation("Send a signal to the container's main process.", KillParameters),
    },
    contained=True,
)
