"""What clients send to the Docker Engine API, as values of ours.

Guaranteed: a body of the wrong shape is a ``Refusal`` with status 400, never an accident. What a ``ContainerRequest`` has no
field for (privileged mode, binds) changes nothing here; the body is kept so that inspect shows it as posted.
"""

from __future__ import annotations

import io
import posixpath
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from spinney.domain.container import (
    ContainerLimits,
    ContainerRequest,
    Healthcheck,
    ImageRequest,
    LogQuery,
    NetworkRequest,
    PublishedPort,
    SecretFile,
)
from spinney.drivers.simulated.values import Refusal
from spinney.errors import ContainerRefused

#: Docker takes a maximum retry count of 0 as "for ever".
_FOR_EVER = 2**31
_DEFAULT_NETWORK = frozenset({"", "default"})


@dataclass(frozen=True, slots=True)
class Creation:
    """All that a container is created from."""

    request: ContainerRequest
    network: str
    always_restart: bool
    auto_remove: bool
    volumes_from: tuple[str, ...] = ()


def refuse(message: str) -> Refusal:
    return Refusal(400, message, ContainerRefused)


def decoded(body: bytes) -> Mapping[str, Any]:
    try:
        value = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise refuse(f"invalid JSON: {error}") from None
    if not isinstance(value, dict):
        raise refuse("invalid JSON: an object was expected")
    return value


def creation(name: str, body: Mapping[str, Any]) -> Creation:
    try:
        return _creation(name, body)
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise refuse(f"invalid container configuration: {error}") from None


def _creation(name: str, body: Mapping[str, Any]) -> Creation:
    host = body.get("HostConfig") or {}
    policy = host.get("RestartPolicy") or {}
    request = ContainerRequest(
        name=name,
        labels=dict(body.get("Labels") or {}),
        image=ImageRequest(str(body.get("Image") or "")),
        command=_words(body.get("Cmd")),
        entrypoint=_words(body.get("Entrypoint")),
        environment=dict(item.partition("=")[::2] for item in body.get("Env") or ()),
        secret_directories=_volumes(host.get("Mounts") or ()),
        hostname=body.get("Hostname") or None,
        cpu_limit=host["NanoCpus"] / 1e9 if host.get("NanoCpus") else None,
        memory_limit=host.get("Memory") or None,
        gpus=sum(int(device.get("Count") or 0) for device in host.get("DeviceRequests") or ()),
        restart_on_failure=_retries(policy),
        healthcheck=_healthcheck(body.get("Healthcheck") or {}),
        stop_signal=body.get("StopSignal") or None,
        stop_timeout=int(body.get("StopTimeout") or 10),
        init=bool(host.get("Init")),
        ports=_ports(host.get("PortBindings") or {}, body.get("ExposedPorts") or {}),
    )
    endpoints = (body.get("NetworkingConfig") or {}).get("EndpointsConfig") or {}
    mode = str(host.get("NetworkMode") or "")
    network = next(iter(endpoints), "") if mode in _DEFAULT_NETWORK else mode
    network = "bridge" if network in _DEFAULT_NETWORK else network
    always = policy.get("Name") in ("always", "unless-stopped")
    others = tuple(host.get("VolumesFrom") or ())
    return Creation(request, network, always, bool(host.get("AutoRemove")), others)


def limits(body: Mapping[str, Any]) -> ContainerLimits:
    """Of a change; what a simulated Docker engine does nothing with is left out."""
    try:
        return ContainerLimits(
            cpu_limit=body["NanoCpus"] / 1e9 if body.get("NanoCpus") else None,
            memory_limit=body.get("Memory") or None,
            pids_limit=body.get("PidsLimit") or None,
            restart_on_failure=_retries(body.get("RestartPolicy") or {}),
        )
    except (TypeError, ValueError, AttributeError) as error:
        raise refuse(f"invalid change: {error}") from None


def _retries(policy: Mapping[str, Any]) -> int | None:
    retries = int(policy.get("MaximumRetryCount") or 0)
    return (retries or _FOR_EVER) if policy.get("Name") == "on-failure" else None


def _volumes(mounts: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Where file systems in memory are."""
    found = []
    for mount in mounts:
        driver = (mount.get("VolumeOptions") or {}).get("DriverConfig") or {}
        if mount.get("Type") == "volume" and (driver.get("Options") or {}).get("type") == "tmpfs":
            found.append(str(mount["Target"]))
    return tuple(found)


def archived(directory: str, content: bytes) -> list[SecretFile]:
    """The files of an archive that is put into a directory."""
    try:
        with tarfile.open(fileobj=io.BytesIO(content)) as packed:
            members = [(member, packed.extractfile(member)) for member in packed if member.isfile()]
            return [
                SecretFile(posixpath.join(directory, one.name), file.read(), one.mode, one.uid, one.gid)
                for one, file in members
                if file is not None
            ]
    except tarfile.TarError as error:
        raise refuse(f"invalid archive: {error}") from None


def _words(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    return ("/bin/sh", "-c", value) if isinstance(value, str) else tuple(str(word) for word in value)


def _healthcheck(check: Mapping[str, Any]) -> Healthcheck | None:
    if not check.get("Test"):
        return None
    interval, timeout, start = ((check.get(key) or 0) / 1e9 for key in ("Interval", "Timeout", "StartPeriod"))
    return Healthcheck(tuple(check["Test"]), interval or 30.0, timeout or 30.0, start, int(check.get("Retries") or 3))


def _ports(bindings: Mapping[str, Any], exposed: Mapping[str, Any]) -> tuple[PublishedPort, ...]:
    """A binding of a port that is not exposed is ignored, as Docker does."""
    found = []
    for key in (key for key in bindings if key in exposed):
        number, _, protocol = key.partition("/")
        wanted: list[Mapping[str, Any]] = bindings[key] or [{}]
        for binding in wanted:
            host_port = int(binding.get("HostPort") or 0) or None
            found.append(PublishedPort(int(number), host_port, protocol or "tcp", binding.get("HostIp") or "0.0.0.0"))
    return tuple(found)


def network_creation(body: Mapping[str, Any]) -> tuple[NetworkRequest, dict[str, Any]]:
    """The network and its further options."""
    try:
        pools: list[Mapping[str, Any]] = (body.get("IPAM") or {}).get("Config") or [{}]
        request = NetworkRequest(str(body["Name"]), str(pools[0].get("Subnet") or ""), dict(body.get("Labels") or {}))
        options = {"driver": body.get("Driver") or "bridge", "options": dict(body.get("Options") or {})}
        return request, options | {"internal": bool(body.get("Internal"))}
    except (TypeError, ValueError, AttributeError, KeyError) as error:
        raise refuse(f"invalid network configuration: {error}") from None


def filters(text: str | None) -> dict[str, list[str]]:
    """Both notations of Docker: lists, and objects whose values are true."""
    try:
        return {key: list(values) for key, values in decoded((text or "").encode()).items()}
    except TypeError:
        raise refuse(f"invalid filter: {text}") from None


def label_pairs(wanted: list[str]) -> list[tuple[str, str | None]]:
    """A filter ``a=b`` asks for a value, ``a`` for any."""
    return [(name, value if equals else None) for name, equals, value in (item.partition("=") for item in wanted)]


def labels_match(wanted: list[tuple[str, str | None]], labels: Mapping[str, str]) -> bool:
    return all(name in labels and (value is None or labels[name] == value) for name, value in wanted)


def moment(text: str | None) -> float | None:
    """Seconds since the epoch, with a fraction; 0 and nothing mean no bound."""
    try:
        return float(text) or None if text else None
    except ValueError:
        raise refuse(f"invalid timestamp: {text}") from None


def number(query: Mapping[str, str], name: str, default: float | None) -> float | None:
    text = query.get(name)
    try:
        return float(text) if text else default
    except ValueError:
        raise refuse(f"invalid value of {name}: {text}") from None


def truth(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "").lower() not in ("", "0", "no", "false", "none")


def log_query(query: Mapping[str, str]) -> LogQuery:
    streams = truth(query, "stdout"), truth(query, "stderr")
    if not any(streams):
        raise refuse("Bad parameters: you must choose at least one stream")
    tail = query.get("tail", "all")
    return LogQuery(
        tail=int(tail) if tail.isdigit() else None,
        since=moment(query.get("since")),
        until=moment(query.get("until")),
        follow=truth(query, "follow"),
        timestamps=truth(query, "timestamps"),
        stdout=streams[0],
        stderr=streams[1],
    )
