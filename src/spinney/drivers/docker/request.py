"""A ``ContainerRequest`` as the JSON that creates it, with the hardening that is the same for every container.

Pure. Guaranteed of every result: never privileged, no namespace of the host, no link, no path and no device of the host
but what an operator's grants give (paths read-only), no foreign
cgroup parent, all capabilities dropped but a short list, no new privileges, a limit on processes, a restart policy that
does not outlive a reboot of the Docker engine, and each published port exposed too (without that a Docker engine
ignores it silently).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spinney.domain.container import (
    LABEL_SECRETS,
    ContainerLimits,
    ContainerRequest,
    Healthcheck,
    NetworkRequest,
    PublishedPort,
)
from spinney.domain.grant import Device, HostPath
from spinney.drivers.docker.shapes import mapping, sequence, text, texts
from spinney.errors import ContainerRefused

DEFAULT_CAPABILITIES = (
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "SETGID",
    "SETUID",
)
#: The smallest weight Docker takes.
_LEAST_CPU_SHARES = 2


def create_body(request: ContainerRequest, secret_mount: str = "") -> dict[str, Any]:
    """The body of ``POST /containers/create``. ``secret_mount``: how the file systems of secret files are mounted.

    Raises ContainerRefused for ``cap_add`` of ALL.
    """
    environment = {**request.environment, **request.secret_environment}
    body: dict[str, Any] = {
        "Image": request.image.reference,
        "Labels": dict(request.labels),
        "Env": [f"{name}={value}" for name, value in environment.items()],
        "Tty": False,
        "OpenStdin": False,
        "StopTimeout": request.stop_timeout,
        "ExposedPorts": {_port_key(port): {} for port in request.ports},
        "HostConfig": _host_config(request, secret_mount),
    }
    optional = {
        "Cmd": None if request.command is None else list(request.command),
        "Entrypoint": None if request.entrypoint is None else list(request.entrypoint),
        "WorkingDir": request.working_dir,
        "User": request.user,
        "Hostname": request.hostname,
        "StopSignal": request.stop_signal,
        "Healthcheck": None if request.healthcheck is None else _healthcheck(request.healthcheck),
    }
    return body | {key: value for key, value in optional.items() if value is not None}


def _host_config(request: ContainerRequest, secret_mount: str) -> dict[str, Any]:
    config: dict[str, Any] = {
        "Privileged": False,
        "PublishAllPorts": False,
        "AutoRemove": False,
        "IpcMode": "private",
        "NetworkMode": "none" if request.network is None else request.network.name,
        "CapDrop": ["ALL"],
        "CapAdd": capabilities(request.cap_add, request.cap_drop),
        "SecurityOpt": ["no-new-privileges:true"],
        "Init": request.init,
        "ReadonlyRootfs": request.read_only,
        "LogConfig": {"Type": request.log_driver, "Config": dict(request.log_options)},
        "PortBindings": _port_bindings(request.ports),
        "Ulimits": [{"Name": one.name, "Soft": one.soft, "Hard": one.hard} for one in request.ulimits],
        "Tmpfs": dict(request.tmpfs),
        **limits_body(request.limits),
    }
    mounts = [_secret_volume(path, secret_mount) for path in request.secret_directories]
    mounts += [_host_path(one) for one in request.host_paths]
    if mounts:
        config["Mounts"] = mounts
    if request.devices:
        config["Devices"] = [_device(one) for one in request.devices]
    if request.gpus:
        config["DeviceRequests"] = [{"Driver": "", "Count": request.gpus, "Capabilities": [["gpu"]]}]
    return config


def limits_body(limits: ContainerLimits) -> dict[str, Any]:
    """The body of ``POST /containers/{id}/update``, and that part of a creation."""
    config: dict[str, Any] = {"RestartPolicy": _restart_policy(limits.restart_on_failure)}
    if limits.cpu_limit is not None:
        config["NanoCpus"] = round(limits.cpu_limit * 1e9)
    if limits.cpu_reservation is not None:
        config["CpuShares"] = max(_LEAST_CPU_SHARES, round(limits.cpu_reservation * 1024))
    if limits.memory_limit is not None:
        # Docker would grant as much swap again if the sum were left out.
        config["Memory"] = config["MemorySwap"] = limits.memory_limit
    if limits.memory_reservation is not None:
        config["MemoryReservation"] = limits.memory_reservation
    if limits.pids_limit is not None:
        config["PidsLimit"] = limits.pids_limit
    return config


def _host_path(granted: HostPath) -> dict[str, Any]:
    """Without what else is mounted below it on the host, which would not be read-only on every kernel."""
    options = {"Propagation": "rprivate", "NonRecursive": True}
    mount = {"Type": "bind", "Source": granted.path, "Target": granted.container_path}
    return {**mount, "ReadOnly": True, "BindOptions": options}


def _device(granted: Device) -> dict[str, str]:
    return {
        "PathOnHost": granted.path,
        "PathInContainer": granted.container_path,
        "CgroupPermissions": granted.permissions,
    }


def _secret_volume(path: str, mount: str) -> dict[str, Any]:
    """Anonymous, so that it goes with the container; nothing of the image is copied into it."""
    options = {"type": "tmpfs", "device": "tmpfs", "o": mount}
    return {
        "Type": "volume",
        "Target": path,
        "VolumeOptions": {
            "NoCopy": True,
            "Labels": {LABEL_SECRETS: ""},
            "DriverConfig": {"Name": "local", "Options": options},
        },
    }


def secret_volumes_of(host_config: Mapping[str, Any]) -> tuple[str, ...]:
    """The paths of those in the ``HostConfig`` of a container."""
    found = []
    for one in sequence(host_config.get("Mounts"), "Mounts"):
        entry = mapping(one, "Mounts[]")
        if LABEL_SECRETS in texts(mapping(entry.get("VolumeOptions"), "VolumeOptions").get("Labels"), "Labels"):
            found.append(text(entry.get("Target"), "Target"))
    return tuple(found)


def capabilities(add: tuple[str, ...], drop: tuple[str, ...]) -> list[str]:
    """What is added after all has been dropped: the default list without ``drop``, and ``add``."""
    added, dropped = ({name.upper().removeprefix("CAP_") for name in names} for names in (add, drop))
    if "ALL" in added:
        raise ContainerRefused("cap_add: ALL is never given to a container; name the capabilities it needs")
    kept = set() if "ALL" in dropped else set(DEFAULT_CAPABILITIES) - dropped
    return sorted(kept | added)


def _restart_policy(retries: int | None) -> dict[str, Any]:
    # To Docker, on-failure with a count of 0 means "for ever".
    if not retries:
        return {"Name": "no", "MaximumRetryCount": 0}
    return {"Name": "on-failure", "MaximumRetryCount": retries}


def _port_key(port: PublishedPort) -> str:
    return f"{port.container_port}/{port.protocol}"


def _port_bindings(ports: tuple[PublishedPort, ...]) -> dict[str, list[dict[str, str]]]:
    bindings: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        host_port = "" if port.host_port is None else str(port.host_port)
        bindings.setdefault(_port_key(port), []).append({"HostIp": port.host_ip, "HostPort": host_port})
    return bindings


def _healthcheck(check: Healthcheck) -> dict[str, Any]:
    if check.test == ("NONE",):
        return {"Test": ["NONE"]}
    return {
        "Test": list(check.test),
        "Interval": _nanoseconds(check.interval),
        "Timeout": _nanoseconds(check.timeout),
        "StartPeriod": _nanoseconds(check.start_period),
        "Retries": check.retries,
    }


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1e9)


def network_body(network: NetworkRequest) -> dict[str, Any]:
    """The body of ``POST /networks/create``: a bridge whose members reach each other."""
    return {
        "Name": network.name,
        "Driver": "bridge",
        "CheckDuplicate": True,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Config": [{"Subnet": network.subnet}]},
        "Options": {"com.docker.network.bridge.enable_icc": "true"},
        "Labels": dict(network.labels),
    }
