"""What a Docker engine reports, as values.

Pure. The engine may be untrusted: whatever has not the shape it should have raises HostBroken. Names differ between
cgroup v1 and v2 and between Docker versions; both are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from spinney.domain.container import (
    LABEL_PREFIX,
    Address,
    Container,
    ContainerEvent,
    ContainerEventKind,
    ContainerState,
    ContainerStats,
    HostFacts,
    PublishedPort,
)
from spinney.domain.images import HostImage
from spinney.domain.utilization import ContainerCounters, ContainerReading
from spinney.drivers.docker.shapes import decode, flag, integer, mapping, moment, required, sequence, text, texts
from spinney.errors import HostBroken

T = TypeVar("T")

_EXITED = re.compile(r"^Exited \((-?\d+)\)")
_HEALTH_IN_STATUS = re.compile(r"\((?:health: )?(healthy|unhealthy|starting)\)$")
_FULL_ID = re.compile(r"[0-9a-f]{64}")
_NVIDIA_DEVICE = re.compile(r"nvidia\.com/gpu=\d+")

_EVENTS = {
    "die": ContainerEventKind.DIED,
    "oom": ContainerEventKind.OOM,
    "destroy": ContainerEventKind.DESTROYED,
    "remove": ContainerEventKind.DESTROYED,  # Podman
    "start": ContainerEventKind.STARTED,
    "pause": ContainerEventKind.PAUSED,
    "unpause": ContainerEventKind.UNPAUSED,
    "health_status: healthy": ContainerEventKind.HEALTHY,
    "health_status: unhealthy": ContainerEventKind.UNHEALTHY,
}
#: What Podman calls states that Docker does not tell apart.
_STATES_OF_PODMAN = {"configured": "created", "initialized": "created", "stopping": "running", "stopped": "exited"}


def container_id(value: Any, what: str) -> str:
    found = text(value, what)
    if not _FULL_ID.fullmatch(found):
        raise HostBroken(f"the Docker engine's answer has in {what} no container id")
    return found


def container(body: bytes) -> Container:
    """From ``GET /containers/{id}/json``."""
    answer = mapping(decode(body, "container"), "container")
    config = mapping(answer.get("Config"), "Config")
    state = mapping(answer.get("State"), "State")
    network = mapping(answer.get("NetworkSettings"), "NetworkSettings")
    status = _state(state.get("Status"))
    started_at = moment(state.get("StartedAt"), "State.StartedAt")
    return Container(
        id=container_id(answer.get("Id"), "Id"),
        name=required(text(answer.get("Name"), "Name").removeprefix("/"), "Name"),
        labels=texts(config.get("Labels"), "Config.Labels"),
        state=status,
        image=text(config.get("Image"), "Config.Image"),
        health=_health(mapping(state.get("Health"), "State.Health").get("Status")),
        exit_code=_exit_code(status, integer(state.get("ExitCode"), "State.ExitCode"), started_at),
        oom_killed=flag(state.get("OOMKilled"), "State.OOMKilled"),
        error=text(state.get("Error"), "State.Error"),
        started_at=started_at,
        finished_at=moment(state.get("FinishedAt"), "State.FinishedAt"),
        restart_count=integer(answer.get("RestartCount"), "RestartCount") or 0,
        addresses=_addresses(network.get("Networks")),
        ports=_bound_ports(network.get("Ports")),
    )


def process_id(body: bytes) -> int:
    """Of the first process of a container that runs, from ``GET /containers/{id}/json``."""
    state = mapping(mapping(decode(body, "container"), "container").get("State"), "State")
    found = integer(state.get("Pid"), "State.Pid")
    if found is None or not 0 < found < 1 << 31:
        raise HostBroken("the Docker engine's answer has in State.Pid no number of a process")
    return found


def _state(value: Any) -> ContainerState:
    state = text(value, "State")
    try:
        return ContainerState(_STATES_OF_PODMAN.get(state, state))
    except ValueError as error:
        raise HostBroken("the Docker engine's answer has in State no state of a container") from error


def _health(value: Any) -> str | None:
    status = text(value, "Health.Status")
    return status if status in ("healthy", "unhealthy", "starting") else None


def _exit_code(state: ContainerState, code: int | None, started_at: float | None) -> int | None:
    if state in (ContainerState.RUNNING, ContainerState.PAUSED):
        return None
    # One that was never started has 0, or the code of the failure to start it.
    return code if started_at is not None or code else None


def _addresses(networks: Any) -> tuple[Address, ...]:
    found = []
    for name, value in mapping(networks, "Networks").items():
        endpoint = mapping(value, f"Networks.{name}")
        for key, version in (("IPAddress", 4), ("GlobalIPv6Address", 6)):
            address = text(endpoint.get(key), f"Networks.{name}.{key}")
            if address:
                found.append(Address(name, address, version))
    return tuple(found)


def _bound_ports(ports: Any) -> tuple[PublishedPort, ...]:
    found = []
    for key, bindings in mapping(ports, "Ports").items():
        number, _, protocol = key.partition("/")
        for value in sequence(bindings, f"Ports.{key}"):
            binding = mapping(value, f"Ports.{key}")
            host_port = _port(text(binding.get("HostPort"), f"Ports.{key}.HostPort"))
            host_ip = text(binding.get("HostIp"), f"Ports.{key}.HostIp")
            found.append(PublishedPort(_port(number), host_port, protocol or "tcp", host_ip))
    return tuple(found)


def _port(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 5 and int(value) <= 65535):
        raise HostBroken("the Docker engine's answer has in Ports something that is no port")
    return int(value)


def listing(body: bytes) -> list[Container]:
    """From ``GET /containers/json``. Times, error and restart count are not told there."""
    return [_listed(mapping(one, "containers[]")) for one in sequence(decode(body, "list of containers"), "containers")]


def _listed(entry: Mapping[str, Any]) -> Container:
    names = [text(name, "Names").removeprefix("/") for name in sequence(entry.get("Names"), "Names")]
    status = text(entry.get("Status"), "Status")
    exited, health = _EXITED.match(status), _HEALTH_IN_STATUS.search(status)
    network = mapping(entry.get("NetworkSettings"), "NetworkSettings")
    return Container(
        id=container_id(entry.get("Id"), "Id"),
        # Other names are links, which hold a slash.
        name=required(next((name for name in names if "/" not in name), ""), "Names"),
        labels=texts(entry.get("Labels"), "Labels"),
        state=_state(entry.get("State")),
        image=text(entry.get("Image"), "Image"),
        health=health[1] if health else None,
        exit_code=int(exited[1]) if exited and len(exited[1]) <= 10 else None,
        addresses=_addresses(network.get("Networks")),
        ports=_listed_ports(entry.get("Ports")),
    )


def _listed_ports(ports: Any) -> tuple[PublishedPort, ...]:
    found = []
    for value in sequence(ports, "Ports"):
        port = mapping(value, "Ports[]")
        inside, outside = (integer(port.get(key), f"Ports.{key}") for key in ("PrivatePort", "PublicPort"))
        if inside and outside:
            found.append(
                PublishedPort(inside, outside, text(port.get("Type"), "Ports.Type"), text(port.get("IP"), "Ports.IP"))
            )
    return tuple(found)


def event(line: bytes) -> ContainerEvent | None:
    """From one line of ``GET /events``; None for what we do not follow. Of the labels only those with our prefix."""
    answer = mapping(decode(line, "event"), "event")
    kind = _EVENTS.get(text(answer.get("Action") or answer.get("status"), "Action"))
    if kind is None or text(answer.get("Type"), "Type") not in ("container", ""):
        return None
    actor = mapping(answer.get("Actor"), "Actor")
    attributes = texts(actor.get("Attributes"), "Actor.Attributes")
    nanoseconds = integer(answer.get("timeNano"), "timeNano")
    seconds = integer(answer.get("time"), "time") or 0
    code = attributes.get("exitCode", "")
    return ContainerEvent(
        kind=kind,
        container_id=container_id(actor.get("ID") or answer.get("id"), "Actor.ID"),
        labels={name: value for name, value in attributes.items() if name.startswith(LABEL_PREFIX)},
        at=nanoseconds / 1e9 if nanoseconds else float(seconds),
        exit_code=int(code) if code.isascii() and code.isdigit() and len(code) <= 10 else None,
    )


def memory_limit(body: bytes) -> int | None:
    """From ``GET /containers/{id}/json``; None: it has none."""
    answer = mapping(decode(body, "container"), "container")
    return integer(mapping(answer.get("HostConfig"), "HostConfig").get("Memory"), "HostConfig.Memory") or None


def stats(body: bytes) -> ContainerStats:
    """From ``GET /containers/{id}/stats``. CPU is what was used between the two samples in the answer."""
    answer = mapping(decode(body, "statistics"), "statistics")
    memory = mapping(answer.get("memory_stats"), "memory_stats")
    networks = mapping(answer.get("networks"), "networks")
    disks = sequence(mapping(answer.get("blkio_stats"), "blkio_stats").get("io_service_bytes_recursive"), "blkio_stats")
    return ContainerStats(
        cpu=_cpu(answer),
        memory=_memory(memory),
        memory_limit=integer(memory.get("limit"), "memory_stats.limit"),
        pids=integer(mapping(answer.get("pids_stats"), "pids_stats").get("current"), "pids_stats.current"),
        rx_bytes=_total(networks.values(), lambda one: _counter(one, "rx_bytes")),
        tx_bytes=_total(networks.values(), lambda one: _counter(one, "tx_bytes")),
        read_bytes=_total(disks, lambda one: _disk_counter(one, "read")),
        write_bytes=_total(disks, lambda one: _disk_counter(one, "write")),
        sampled_at=moment(answer.get("read"), "read"),
    )


def counters(body: bytes) -> ContainerReading:
    """From the same, asked for one sample alone."""
    answer, sample = mapping(decode(body, "statistics"), "statistics"), stats(body)
    used = _counter(mapping(answer.get("cpu_stats"), "cpu_stats").get("cpu_usage"), "total_usage")
    if sample.sampled_at is None:
        return ContainerReading(None, ContainerCounters())
    return ContainerReading(
        sample.sampled_at,
        ContainerCounters(
            cpu=None if used is None else used / 1e9,
            memory=sample.memory,
            memory_limit=sample.memory_limit,
            pids=sample.pids,
            read_bytes=sample.read_bytes,
            write_bytes=sample.write_bytes,
            rx_bytes=sample.rx_bytes,
            tx_bytes=sample.tx_bytes,
        ),
    )


def _cpu(answer: Mapping[str, Any]) -> float | None:
    until, since = (moment(answer.get(key), key) for key in ("read", "preread"))
    used, before = (
        _counter(mapping(answer.get(key), key).get("cpu_usage"), "total_usage") for key in ("cpu_stats", "precpu_stats")
    )
    if until is None or since is None or used is None or before is None or until <= since or used < before:
        return None
    return (used - before) / 1e9 / (until - since)


def _memory(memory: Mapping[str, Any]) -> int | None:
    """Usage without what the kernel would drop first."""
    usage = integer(memory.get("usage"), "memory_stats.usage")
    if usage is None:
        return None
    detail = mapping(memory.get("stats"), "memory_stats.stats")
    cache = detail.get("total_inactive_file", detail.get("inactive_file"))
    return max(0, usage - (integer(cache, "inactive_file") or 0))


def _counter(holder: Any, name: str) -> int | None:
    return integer(mapping(holder, name).get(name), name)


def _disk_counter(holder: Any, operation: str) -> int | None:
    entry = mapping(holder, "blkio_stats[]")
    return integer(entry.get("value"), "blkio_stats") if text(entry.get("op"), "op").lower() == operation else None


def _total(holders: Any, counter: Callable[[Any], int | None]) -> int | None:
    """The sum of what is known; None when nothing is."""
    counts = [count for holder in holders if (count := counter(holder)) is not None]
    return sum(counts) if counts else None


def images(body: bytes) -> list[HostImage]:
    """From ``GET /images/json``. Untagged ones, which old Docker engines list under ``<none>``, are left out."""
    found = []
    for one in sequence(decode(body, "list of images"), "images"):
        image = mapping(one, "image")
        tags = _references(image.get("RepoTags"), "RepoTags")
        digests = _references(image.get("RepoDigests"), "RepoDigests")
        if tags or digests:
            size = integer(image.get("Size"), "Size") or 0
            found.append(HostImage(required(text(image.get("Id"), "Id"), "Id"), tags, digests, size))
    return found


def _references(value: Any, what: str) -> tuple[str, ...]:
    return tuple(one for one in (text(one, what) for one in sequence(value, what)) if "<none>" not in one)


def facts(body: bytes, api_version: str) -> HostFacts:
    """From ``GET /info``."""
    info = mapping(decode(body, "description"), "description")
    plugins = mapping(info.get("Plugins"), "Plugins")
    labels = (text(label, "Labels").partition("=") for label in sequence(info.get("Labels"), "Labels"))
    options = [text(option, "SecurityOptions") for option in sequence(info.get("SecurityOptions"), "SecurityOptions")]
    return HostFacts(
        engine_id=required(text(info.get("ID"), "ID"), "ID"),
        version=text(info.get("ServerVersion"), "ServerVersion"),
        api_version=api_version,
        os=text(info.get("OSType"), "OSType"),
        arch=text(info.get("Architecture"), "Architecture"),
        kernel=text(info.get("KernelVersion"), "KernelVersion"),
        cpu=float(integer(info.get("NCPU"), "NCPU") or 0),
        memory=integer(info.get("MemTotal"), "MemTotal") or 0,
        hostname=text(info.get("Name"), "Name"),
        storage_driver=text(info.get("Driver"), "Driver"),
        cgroup=text(info.get("CgroupVersion"), "CgroupVersion"),
        cgroup_driver=text(info.get("CgroupDriver"), "CgroupDriver"),
        rootless=any("name=rootless" in option.split(",") for option in options),
        live_restore=flag(info.get("LiveRestoreEnabled"), "LiveRestoreEnabled"),
        runtimes=tuple(sorted(mapping(info.get("Runtimes"), "Runtimes"))),
        network_plugins=_names(plugins.get("Network")),
        volume_plugins=_names(plugins.get("Volume")),
        log_drivers=_names(plugins.get("Log")),
        gpus=_gpus(info),
        labels={name: value for name, _, value in labels},
    )


def _names(value: Any) -> tuple[str, ...]:
    # In an order of ours: Docker engines tell them in any order, which is no change.
    return tuple(sorted(text(name, "Plugins") for name in sequence(value, "Plugins")))


def _gpus(info: Mapping[str, Any]) -> int:
    """GPUs as newer Docker engines discover them, or as the operator of an older one has declared them."""
    devices = (
        mapping(one, "DiscoveredDevices") for one in sequence(info.get("DiscoveredDevices"), "DiscoveredDevices")
    )
    discovered = sum(1 for one in devices if _NVIDIA_DEVICE.fullmatch(text(one.get("ID"), "DiscoveredDevices.ID")))
    return discovered or sum(
        _declared_gpus(mapping(one, "GenericResources"))
        for one in sequence(info.get("GenericResources"), "GenericResources")
    )


def _declared_gpus(resource: Mapping[str, Any]) -> int:
    named = mapping(resource.get("NamedResourceSpec"), "NamedResourceSpec")
    counted = mapping(resource.get("DiscreteResourceSpec"), "DiscreteResourceSpec")
    if "GPU" in text(named.get("Kind"), "Kind").upper():
        return 1
    if "GPU" in text(counted.get("Kind"), "Kind").upper():
        return max(0, integer(counted.get("Value"), "Value") or 0)
    return 0
