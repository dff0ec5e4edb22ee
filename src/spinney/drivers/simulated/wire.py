"""What the Docker Engine API answers, made from the records of the core. Pure."""

from __future__ import annotations

from typing import Any

from spinney.domain.container import ContainerState, ContainerStats, PublishedPort
from spinney.drivers.simulated.core import EngineCore
from spinney.drivers.simulated.images import IMAGE_SIZE, image_id
from spinney.drivers.simulated.networks import Network
from spinney.drivers.simulated.values import ContainerRecord, EngineEvent
from spinney.drivers.simulated.views import KERNEL, LOG_DRIVERS, OPERATING_SYSTEM, runtimes, stamp

Json = dict[str, Any]

_NEVER = "0001-01-01T00:00:00Z"


def _time(moment: float | None) -> str:
    return _NEVER if moment is None else stamp(moment)


def version(core: EngineCore) -> Json:
    settings = core.settings
    details = {
        "ApiVersion": settings.api_version,
        "MinAPIVersion": settings.min_api_version,
        "Os": "linux",
        "Arch": "amd64",
        "KernelVersion": KERNEL,
        "Experimental": "false",
    }
    return {
        "Platform": {"Name": "Spinney simulated Docker Engine"},
        "Version": settings.version,
        "ApiVersion": settings.api_version,
        "MinAPIVersion": settings.min_api_version,
        "Os": "linux",
        "Arch": "amd64",
        "KernelVersion": KERNEL,
        "Components": [{"Name": "Engine", "Version": settings.version, "Details": details}],
    }


def info(core: EngineCore, now: float) -> Json:
    settings = core.settings
    states = [record.state for record in core]
    running, paused = states.count(ContainerState.RUNNING), states.count(ContainerState.PAUSED)
    gpus = [{"Source": "cdi", "ID": f"nvidia.com/gpu={index}"} for index in range(settings.gpus)]
    return {
        "ID": core.engine_id,
        "Name": settings.name,
        "Containers": len(states),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(states) - running - paused,
        "Images": len(core.images.local),
        "Driver": "overlay2",
        "Plugins": {"Volume": ["local"], "Network": ["bridge", "host", "null"], "Log": list(LOG_DRIVERS)},
        "SystemTime": stamp(now),
        "LoggingDriver": "json-file",
        "CgroupDriver": "systemd",
        "CgroupVersion": "2",
        "KernelVersion": KERNEL,
        "OperatingSystem": OPERATING_SYSTEM,
        "OSType": "linux",
        "Architecture": "x86_64",
        "NCPU": int(settings.cpu),
        "MemTotal": settings.memory,
        "DockerRootDir": "/var/lib/docker",
        "ServerVersion": settings.version,
        "Labels": [f"{name}={value}" for name, value in settings.labels.items()],
        "Runtimes": {name: {"path": name} for name in runtimes(settings)},
        "DefaultRuntime": "runc",
        "Swarm": {"LocalNodeState": "inactive"},
        "LiveRestoreEnabled": settings.live_restore,
        "SecurityOptions": ["name=seccomp,profile=builtin"] + ["name=rootless"] * settings.rootless,
        "DiscoveredDevices": gpus,
        "Warnings": [],
    }


def inspected(core: EngineCore, record: ContainerRecord) -> Json:
    request = record.request
    posted = dict(record.extra or {})
    host_config = posted.pop("HostConfig", None) or {}
    posted.pop("NetworkingConfig", None)
    words = (*(request.entrypoint or ()), *(request.command or ())) or (record.program.name,)
    return {
        "Id": record.id,
        "Created": stamp(record.created_at),
        "Path": words[0],
        "Args": list(words[1:]),
        "State": _state(record),
        "Image": image_id(request.image.reference),
        "Name": f"/{record.name}",
        "RestartCount": record.restart_count,
        "Driver": "overlay2",
        "Platform": "linux",
        "HostConfig": {"NetworkMode": record.network, **host_config},
        "Config": {
            "Cmd": None if request.command is None else list(request.command),
            **posted,
            "Hostname": request.hostname or record.id[:12],
            "Image": request.image.reference,
            "Labels": dict(request.labels),
            "Env": [f"{name}={value}" for name, value in request.environment.items()],
            "Tty": bool(posted.get("Tty")),
        },
        "Mounts": [],
        "NetworkSettings": {"Ports": _port_map(record), "Networks": _endpoints(core, record)},
    }


def _state(record: ContainerRecord) -> Json:
    state = record.state
    shown: Json = {
        "Status": state,
        "Running": record.is_up,
        "Paused": state is ContainerState.PAUSED,
        "Restarting": state is ContainerState.RESTARTING,
        "OOMKilled": record.oom_killed,
        "Dead": state is ContainerState.DEAD,
        "Pid": record.pid if record.is_up else 0,
        "ExitCode": record.exit_code or 0,
        "Error": record.error,
        "StartedAt": _time(record.started_at),
        "FinishedAt": _time(record.finished_at),
    }
    if record.health is not None:
        failing = 1 if record.health == "unhealthy" else 0
        shown["Health"] = {"Status": record.health, "FailingStreak": failing, "Log": []}
    return shown


def _binding(port: PublishedPort) -> Json:
    return {"HostIp": port.host_ip, "HostPort": str(port.host_port or "")}


def _port_map(record: ContainerRecord) -> Json:
    shown: Json = {}
    for port in record.ports:
        shown.setdefault(f"{port.container_port}/{port.protocol}", []).append(_binding(port))
    return shown


def _endpoints(core: EngineCore, record: ContainerRecord) -> Json:
    if record.network == "none":
        return {"none": {"IPAddress": "", "NetworkID": ""}}
    network = core.networks.find(record.network_id or record.network)
    address = record.address
    prefix = network.subnet.prefixlen if network is not None and network.subnet is not None and address else 0
    return {
        record.network: {
            "NetworkID": network.id if network is not None else "",
            "EndpointID": record.id if address else "",
            "Gateway": network.gateway if network is not None and address else "",
            "IPAddress": address.addr if address and address.version == 4 else "",
            "IPPrefixLen": prefix,
            "GlobalIPv6Address": address.addr if address and address.version == 6 else "",
            "MacAddress": "",
        }
    }


def listed(core: EngineCore, record: ContainerRecord, now: float) -> Json:
    request = record.request
    words = (*(request.entrypoint or ()), *(request.command or ())) or (record.program.name,)
    ports = [
        {"IP": port.host_ip, "PrivatePort": port.container_port, "PublicPort": port.host_port, "Type": port.protocol}
        for port in record.ports
    ]
    return {
        "Id": record.id,
        "Names": [f"/{record.name}"],
        "Image": request.image.reference,
        "ImageID": image_id(request.image.reference),
        "Command": " ".join(words),
        "Created": int(record.created_at),
        "Ports": ports,
        "Labels": dict(request.labels),
        "State": record.state,
        "Status": _status(record, now),
        "HostConfig": {"NetworkMode": record.network},
        "NetworkSettings": {"Networks": _endpoints(core, record)},
        "Mounts": [],
    }


def _status(record: ContainerRecord, now: float) -> str:
    """The sentence that ``docker ps`` shows; part of the API, since only here a listing tells health and exit code."""
    state, code = record.state, record.exit_code or 0
    if state is ContainerState.CREATED:
        return "Created"
    if state is ContainerState.EXITED:
        return f"Exited ({code}) {_span(now - (record.finished_at or now))} ago"
    if state is ContainerState.RESTARTING:
        return f"Restarting ({code}) {_span(now - (record.finished_at or now))} ago"
    text = f"Up {_span(now - (record.started_at or now))}"
    if state is ContainerState.PAUSED:
        return f"{text} (Paused)"
    if record.health is not None:
        return f"{text} ({'health: ' if record.health == 'starting' else ''}{record.health})"
    return text


def _span(seconds: float) -> str:
    whole = max(0, int(seconds))
    if whole < 1:
        return "Less than a second"
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if whole >= size:
            count = whole // size
            return f"{count} {name}{'s' * (count != 1)}"
    raise AssertionError("a whole second is at least one second")


def event(happened: EngineEvent) -> Json:
    attributes = {**happened.labels, "image": happened.image, "name": happened.name}
    if happened.exit_code is not None:
        attributes["exitCode"] = str(happened.exit_code)
    if happened.signal is not None:
        attributes["signal"] = happened.signal
    return {
        "status": happened.action,
        "id": happened.container_id,
        "from": happened.image,
        "Type": "container",
        "Action": happened.action,
        "Actor": {"ID": happened.container_id, "Attributes": attributes},
        "scope": "local",
        "time": int(happened.at),
        "timeNano": round(happened.at * 1e9),
    }


def image(core: EngineCore, reference: str, found: str) -> Json:
    loaded = core.images.loaded.get(found, {})
    return {
        "Id": found,
        "RepoTags": [] if "@" in reference else [reference],
        "RepoDigests": list(core.images.digests(reference, found)),
        "Parent": "",
        "Created": "2024-01-01T00:00:00Z",
        "Architecture": "amd64",
        "Os": "linux",
        "Size": core.images.sizes.get(reference, IMAGE_SIZE),
        "Config": {"Env": [], "Cmd": None, "Labels": loaded.get("config", {}).get("Labels", {})},
        "RootFS": {"Type": "layers", "Layers": loaded.get("rootfs", {}).get("diff_ids", [found])},
    }


def image_listed(core: EngineCore, reference: str, found: str) -> Json:
    shown = image(core, reference, found)
    kept = {key: shown[key] for key in ("Id", "RepoTags", "RepoDigests", "Size")}
    labels = shown["Config"]["Labels"]
    return kept | {"ParentId": "", "Created": 1_704_067_200, "SharedSize": -1, "Labels": labels, "Containers": -1}


def network(core: EngineCore, one: Network, *, containers: bool) -> Json:
    subnet = one.subnet
    config = [] if subnet is None else [{"Subnet": str(subnet), "Gateway": one.gateway}]
    shown: Json = {
        "Name": one.name,
        "Id": one.id,
        "Created": stamp(one.created_at),
        "Scope": "local",
        "Driver": one.driver,
        "EnableIPv6": subnet is not None and subnet.version == 6,
        "IPAM": {"Driver": "default", "Options": {}, "Config": config},
        "Internal": one.internal,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": dict(one.options),
        "Labels": dict(one.labels),
    }
    if containers:
        prefix = "" if subnet is None else f"/{subnet.prefixlen}"
        for container_id, addr in one.endpoints.items():
            name = core.require(container_id).name
            shown["Containers"][container_id] = {"Name": name, "IPv4Address": addr + prefix if addr else ""}
    return shown


def stats(core: EngineCore, record: ContainerRecord, sample: ContainerStats) -> Json:
    """One sample; of a container that is down nearly empty, as Docker has it."""
    shown: Json = {"id": record.id, "name": f"/{record.name}", "read": _NEVER, "preread": _NEVER}
    now, cpu = sample.sampled_at or 0.0, sample.cpu
    if cpu is None or record.started_at is None:
        empty = {"cpu_usage": {"total_usage": 0}, "throttling_data": {}}
        nothing = {"pids_stats": {}, "memory_stats": {}, "blkio_stats": {"io_service_bytes_recursive": None}}
        return shown | nothing | {"cpu_stats": empty, "precpu_stats": empty}
    before = max(record.started_at, now - 1.0)
    shown |= {
        "read": stamp(now),
        "preread": stamp(before),
        "pids_stats": {"current": sample.pids},
        "memory_stats": {"usage": sample.memory, "limit": sample.memory_limit, "stats": {"inactive_file": 0}},
        "blkio_stats": {"io_service_bytes_recursive": _disk(sample)},
        "cpu_stats": _cpu(core, cpu, record.started_at, now),
        "precpu_stats": _cpu(core, cpu, record.started_at, before),
        "num_procs": 0,
    }
    if sample.rx_bytes is not None:
        shown["networks"] = {"eth0": {"rx_bytes": sample.rx_bytes, "tx_bytes": sample.tx_bytes}}
    return shown


def _disk(sample: ContainerStats) -> list[Json]:
    amounts = (("read", sample.read_bytes), ("write", sample.write_bytes))
    return [{"major": 8, "minor": 0, "op": op, "value": amount} for op, amount in amounts]


def _cpu(core: EngineCore, cores: float, since: float, until: float) -> Json:
    count = int(core.settings.cpu)
    return {
        "cpu_usage": {"total_usage": round(cores * (until - since) * 1e9)},
        "system_cpu_usage": round(until * count * 1e9),
        "online_cpus": count,
        "throttling_data": {},
    }
