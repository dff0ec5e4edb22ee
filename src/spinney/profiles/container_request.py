"""From a container's properties to what a Docker engine is asked for.

Guaranteed, whatever the properties say: memory, CPU and process limits are set and within the operator's ceilings; logs that
go to files are rotated; a tmpfs has a size and is nosuid and nodev; capabilities come from the allowed list, devices and paths
of the host from nowhere, but from the grants that the profile names and that exist; our labels win;
equal arguments give equal requests. Not guaranteed: that a host has room; ``reservation`` says what to look for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from types import MappingProxyType

from spinney.domain.container import (
    LABEL_CLUSTER,
    LABEL_DEPLOYMENT,
    LABEL_GENERATION,
    LABEL_NODE,
    LABEL_PROJECT,
    ContainerLimits,
    ContainerRequest,
    Healthcheck,
    ImageRequest,
    NetworkRequest,
    PublishedPort,
    PullPolicy,
    Ulimit,
)
from spinney.domain.grant import Grant, Grants
from spinney.errors import ContainerRefused, InvalidSpec
from spinney.profiles.base import ProfileProperties
from spinney.profiles.container import ContainerProperties
from spinney.profiles.container_parts import LOG_OPTIONS
from spinney.profiles.container_secrets import directories
from spinney.profiles.container_values import DEFAULT_CAPABILITIES, MIB, exact_reference

ALL_GPUS = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerDefaults:
    """What the operator gives where a profile is silent, and the most a profile may ask for."""

    cpu_limit: float = 1.0
    cpu_reservation: float = 0.1
    memory_limit: int = 512 * MIB
    memory_reservation: int = 64 * MIB
    pids_limit: int = 512
    stop_timeout: int = 10
    log_max_size: str = "10m"
    log_max_file: int = 3
    max_cpu: float = 64.0
    max_memory: int = 256 * 1024 * MIB
    max_pids: int = 32768
    max_gpus: int = 16


@dataclass(frozen=True, slots=True)
class NodeIdentity:
    """The node and the placement a container is made for."""

    node_id: str
    node_name: str
    cluster_id: str
    project: str
    generation: int


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a container takes of its host when one is chosen. CPU in cores, memory in bytes."""

    cpu: float
    memory: int


@dataclass(frozen=True, slots=True)
class _Resources:
    cpu_limit: float
    cpu_reservation: float
    memory_limit: int
    memory_reservation: int


def check_ceilings(properties: ContainerProperties, defaults: ContainerDefaults) -> None:
    """Raises InvalidSpec when the profile asks for more than the operator allows."""
    asked = (
        ("cpu.reservation", properties.cpu.reservation, defaults.max_cpu, "cores"),
        ("cpu.limit", properties.cpu.limit, defaults.max_cpu, "cores"),
        ("memory.reservation", properties.memory.reservation, defaults.max_memory, "bytes"),
        ("memory.limit", properties.memory.limit, defaults.max_memory, "bytes"),
        ("pids_limit", properties.pids_limit, defaults.max_pids, "processes"),
        ("gpu", None if properties.gpu == "all" else int(properties.gpu), defaults.max_gpus, "GPUs"),
    )
    for name, value, ceiling, unit in asked:
        if value is not None and value > ceiling:
            raise InvalidSpec(
                f"properties.{name}: {value} is not allowed: the operator allows {ceiling} {unit} at most"
            )


def set_aside(properties: ProfileProperties, defaults: ContainerDefaults) -> tuple[float | None, int | None]:
    """Cores and bytes, as a profile's row has them; None: it makes no containers."""
    if not isinstance(properties, ContainerProperties):
        return None, None
    found = reservation(properties, defaults)
    return found.cpu, found.memory


def reservation(properties: ContainerProperties, defaults: ContainerDefaults) -> Reservation:
    resources = _resources(properties, defaults)
    return Reservation(resources.cpu_reservation, resources.memory_reservation)


def limits(properties: ContainerProperties, defaults: ContainerDefaults) -> ContainerLimits:
    """What the Docker engine is told of all that it can change while the container lives."""
    resources = _resources(properties, defaults)
    return ContainerLimits(
        cpu_limit=resources.cpu_limit,
        cpu_reservation=resources.cpu_reservation,
        memory_limit=resources.memory_limit,
        memory_reservation=resources.memory_reservation,
        pids_limit=_pids_limit(properties, defaults),
        restart_on_failure=_restarts(properties),
    )


def fixed_ports(properties: ContainerProperties) -> tuple[PublishedPort, ...]:
    """Those that need one certain port of the host."""
    return tuple(port for port in _ports(properties) if port.host_port is not None)


def container_name(properties: ContainerProperties, node: NodeIdentity) -> str:
    """Unlike for unlike nodes and generations, always the same for the same."""
    prefix = "" if properties.name is None else f"{properties.name}-"
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", f"{prefix}{node.node_name}.{node.node_id[:8]}.{node.generation}")
    # Docker wants a letter or digit first.
    return name if name[0].isalnum() else f"c{name}"


def image_of(properties: ContainerProperties, project: str) -> ImageRequest:
    return ImageRequest(
        reference=exact_reference(properties.image),
        policy=PullPolicy(properties.pull_policy),
        platform=properties.platform,
        credential=properties.registry_credential,
        project=project,
    )


def container_request(
    properties: ContainerProperties,
    *,
    node: NodeIdentity,
    deployment: str,
    network: NetworkRequest | None,
    defaults: ContainerDefaults,
    grants: Grants = MappingProxyType({}),
) -> ContainerRequest:
    """``network`` is the project's bridge on the chosen host; without one the container has no network and no ports.

    ``grants`` are those that exist. Raises: ContainerRefused when the profile names another.
    """
    granted = [_granted(name, grants) for name in properties.grants]
    cap_add = {*properties.cap_add, *(one.capability for one in granted if one.capability is not None)}
    resources = _resources(properties, defaults)
    connected = network if properties.network != "none" else None
    dropped = DEFAULT_CAPABILITIES if "ALL" in properties.cap_drop else properties.cap_drop
    return ContainerRequest(
        name=container_name(properties, node),
        labels={**properties.labels, **_own_labels(node, deployment)},
        image=image_of(properties, node.project),
        command=properties.command or None,
        entrypoint=properties.entrypoint,
        environment=dict(properties.environment),
        secret_directories=directories(properties.secrets),
        working_dir=properties.working_dir,
        user=properties.user,
        hostname=properties.hostname,
        cpu_limit=resources.cpu_limit,
        cpu_reservation=resources.cpu_reservation,
        memory_limit=resources.memory_limit,
        memory_reservation=resources.memory_reservation,
        pids_limit=_pids_limit(properties, defaults),
        ulimits=tuple(Ulimit(name, value.soft, value.hard) for name, value in sorted(properties.ulimits.items())),
        gpus=ALL_GPUS if properties.gpu == "all" else min(int(properties.gpu), defaults.max_gpus),
        restart_on_failure=_restarts(properties),
        healthcheck=_healthcheck(properties),
        stop_signal=properties.stop_signal,
        stop_timeout=defaults.stop_timeout if properties.stop_timeout is None else properties.stop_timeout,
        init=properties.init,
        read_only=properties.read_only,
        tmpfs={path: mount.options() for path, mount in properties.tmpfs.items()},
        cap_add=_unique(cap_add),
        cap_drop=_unique(name for name in dropped if name not in cap_add),
        devices=tuple(one.device for one in granted if one.device is not None),
        host_paths=tuple(one.host_path for one in granted if one.host_path is not None),
        network=connected,
        ports=_ports(properties) if connected is not None else (),
        log_driver=properties.log.driver,
        log_options=_log_options(properties, defaults),
    )


def for_node(
    template: ContainerRequest,
    properties: ContainerProperties,
    *,
    node: NodeIdentity,
    deployment: str,
    network: NetworkRequest | None,
) -> ContainerRequest:
    """The request for another node of the same profile and project, much cheaper than a new one and equal to it.

    ``template`` was made with a network if, and only if, ``network`` is one.
    """
    return replace(
        template,
        name=container_name(properties, node),
        labels={**properties.labels, **_own_labels(node, deployment)},
        network=network if template.network is not None else None,
    )


def _granted(name: str, grants: Grants) -> Grant:
    found = grants.get(name)
    if found is None:
        raise ContainerRefused(f"there is no grant {name} any more: use a profile without it, or ask an operator")
    return found


def _resources(properties: ContainerProperties, defaults: ContainerDefaults) -> _Resources:
    """A limit that is not given grows with the reservation; a reservation that is not given stays within the limit."""
    cpu, memory = properties.cpu, properties.memory
    cpu_limit = min(cpu.limit or max(defaults.cpu_limit, cpu.reservation or 0.0), defaults.max_cpu)
    memory_limit = min(memory.limit or max(defaults.memory_limit, memory.reservation or 0), defaults.max_memory)
    return _Resources(
        cpu_limit=cpu_limit,
        cpu_reservation=min(cpu.reservation or defaults.cpu_reservation, cpu_limit),
        memory_limit=memory_limit,
        memory_reservation=min(memory.reservation or defaults.memory_reservation, memory_limit),
    )


def _pids_limit(properties: ContainerProperties, defaults: ContainerDefaults) -> int:
    return min(properties.pids_limit or defaults.pids_limit, defaults.max_pids)


def _own_labels(node: NodeIdentity, deployment: str) -> dict[str, str]:
    return {
        LABEL_DEPLOYMENT: deployment,
        LABEL_PROJECT: node.project,
        LABEL_CLUSTER: node.cluster_id,
        LABEL_NODE: node.node_id,
        LABEL_GENERATION: str(node.generation),
    }


def _ports(properties: ContainerProperties) -> tuple[PublishedPort, ...]:
    return tuple(PublishedPort(port.container, port.host, port.protocol, port.host_ip) for port in properties.ports)


def _restarts(properties: ContainerProperties) -> int | None:
    """``always`` is ours to do: the Docker engine would also revive containers when it boots, behind our back."""
    policy = properties.restart_policy
    return policy.max_retries if policy.condition == "on-failure" else None


def _healthcheck(properties: ContainerProperties) -> Healthcheck | None:
    part = properties.healthcheck
    if part is None:
        return None
    if part.test is None:
        return Healthcheck(("NONE",))
    return Healthcheck(part.test, part.interval, part.timeout, part.start_period, part.retries)


def _log_options(properties: ContainerProperties, defaults: ContainerDefaults) -> dict[str, str]:
    if not LOG_OPTIONS[properties.log.driver]:
        return {}
    rotation = {"max-size": defaults.log_max_size, "max-file": str(defaults.log_max_file)}
    return {**rotation, **properties.log.options}


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))
