"""Is a request to create a container one that a tenant may have made? Judged from the JSON alone.

Imports nothing of Spinney's: it was written from Docker's own API and from what no tenant may ever have, so that it errs
independently. What it does not know is bad.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

#: Beyond what Docker gives by default nothing but these; and SYS_CHROOT and the like reach no further than the container.
CAPABILITIES = {
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "NET_BIND_SERVICE",
    "NET_RAW",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
}
ULIMITS = {
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nofile",
    "nproc",
    "rss",
    "sigpending",
    "stack",
}
LOG_DRIVERS = {"json-file", "local", "none"}
#: Of options of drivers that stay on the host none names a path, an address or a program.
LOG_OPTIONS = {"max-size", "max-file", "compress", "mode", "max-buffer-size"}
_NETWORK = re.compile(r"none|spinney-[A-Za-z0-9_.-]+")
_PATH = re.compile(r"/[^\x00-\x1f\x7f:,]*")

Judge = Callable[[Any], bool]


def _is(*allowed: Any) -> Judge:
    return lambda value: any(value == one and type(value) is type(one) for one in allowed)


def _number(low: float, high: float) -> Judge:
    return lambda value: type(value) is int and low <= value <= high


def _text(longest: int = 70_000) -> Judge:
    return lambda value: isinstance(value, str) and "\x00" not in value and len(value) <= longest


def _texts(value: Any) -> bool:
    return isinstance(value, list) and all(_text()(one) for one in value)


def _environment(value: Any) -> bool:
    return _texts(value) and all(re.match(r"[A-Za-z_][A-Za-z0-9_.-]*=", one) for one in value)


def _ports(value: Any) -> bool:
    return isinstance(value, dict) and all(re.fullmatch(r"[0-9]{1,5}/(tcp|udp|sctp)", key) for key in value)


def _bindings(value: Any) -> bool:
    return _ports(value) and all(
        set(one) <= {"HostIp", "HostPort"} and re.fullmatch(r"([0-9]{1,5})?", one["HostPort"])
        for many in value.values()
        for one in many
    )


def _capabilities(value: Any) -> bool:
    return isinstance(value, list) and set(value) <= CAPABILITIES


def _tmpfs(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    for path, options in value.items():
        words = options.split(",")
        top = path.split("/")[1] if path.startswith("/") else ""
        if not _PATH.fullmatch(path) or posixpath.normpath(path) != path or path == "/":
            return False
        if top in ("proc", "sys") or (top == "dev" and path != "/dev/shm"):
            return False
        if not {"nosuid", "nodev"} <= set(words) or {"suid", "dev"} & set(words):
            return False
        if not all(
            re.fullmatch(r"rw|ro|exec|noexec|nosuid|nodev|size=[0-9]+|mode=[0-7]+|[ug]id=[0-9]+", one) for one in words
        ):
            return False
        if not any(one.startswith("size=") for one in words):
            return False
    return True


def _ulimits(value: Any) -> bool:
    return all(
        set(one) == {"Name", "Soft", "Hard"} and one["Name"] in ULIMITS and 0 <= one["Soft"] <= one["Hard"]
        for one in value
    )


def _restart(value: Any) -> bool:
    """Never one that outlives a restart of the Docker engine."""
    counts = {"no": range(1), "on-failure": range(1, 101)}
    return set(value) == {"Name", "MaximumRetryCount"} and value["MaximumRetryCount"] in counts.get(value["Name"], ())


def _log(value: Any) -> bool:
    return set(value) == {"Type", "Config"} and value["Type"] in LOG_DRIVERS and set(value["Config"]) <= LOG_OPTIONS


def _health(value: Any) -> bool:
    known = {"Test", "Interval", "Timeout", "StartPeriod", "Retries"}
    return set(value) <= known and _texts(value["Test"]) and value["Test"][0] in ("NONE", "CMD", "CMD-SHELL")


def _gpus(value: Any) -> bool:
    return all(
        set(one) == {"Driver", "Count", "Capabilities"} and one["Driver"] == "" and one["Capabilities"] == [["gpu"]]
        for one in value
    )


def _mounts(value: Any) -> bool:
    """Volumes in memory that the service made for one container, and nothing of the host."""
    return isinstance(value, list) and all(
        one.get("Type") == "volume"
        and set(one) <= {"Type", "Source", "Target", "ReadOnly", "VolumeOptions"}
        and re.fullmatch(r"spinney-[A-Za-z0-9_.-]+", one.get("Source", "")) is not None
        and _PATH.fullmatch(one.get("Target", "")) is not None
        and set(one.get("VolumeOptions", {})) <= {"NoCopy"}
        for one in value
    )


_CONFIG: Mapping[str, Judge] = {
    "Image": lambda value: _text(1024)(value) and not re.fullmatch(r"(sha256:)?[0-9a-f]{12,64}", value),
    "Labels": lambda value: (
        isinstance(value, dict) and all(_text()(key) and _text()(one) for key, one in value.items())
    ),
    "Env": _environment,
    "Tty": _is(False),
    "OpenStdin": _is(False),
    "StopTimeout": _number(0, 3600),
    "ExposedPorts": _ports,
    "Cmd": _texts,
    "Entrypoint": _texts,
    "WorkingDir": lambda value: bool(re.fullmatch(r"/[^\x00-\x1f\x7f]*", value)) and ".." not in value.split("/"),
    "User": lambda value: bool(re.fullmatch(r"[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)?", value)),
    "Hostname": lambda value: bool(re.fullmatch(r"[A-Za-z0-9.-]{1,63}", value)),
    "StopSignal": lambda value: bool(re.fullmatch(r"SIG[A-Z0-9+]+", value)) and value not in ("SIGSTOP", "SIGCONT"),
    "Healthcheck": _health,
    "HostConfig": lambda value: isinstance(value, dict),
}
_HOST_CONFIG: Mapping[str, Judge] = {
    "Privileged": _is(False),
    "PublishAllPorts": _is(False),
    "AutoRemove": _is(False),
    "IpcMode": _is("private"),
    "NetworkMode": lambda value: bool(_NETWORK.fullmatch(value)),
    "CapDrop": _is(["ALL"]),
    "CapAdd": _capabilities,
    "SecurityOpt": _is(["no-new-privileges:true"]),
    "PidsLimit": _number(1, 1_000_000),
    "Init": lambda value: isinstance(value, bool),
    "ReadonlyRootfs": lambda value: isinstance(value, bool),
    "RestartPolicy": _restart,
    "LogConfig": _log,
    "PortBindings": _bindings,
    "Ulimits": _ulimits,
    "Tmpfs": _tmpfs,
    "Mounts": _mounts,
    "NanoCpus": _number(1_000_000, 2**50),
    "CpuShares": _number(2, 2**31),
    "Memory": _number(1, 2**50),
    "MemorySwap": _number(1, 2**50),
    "MemoryReservation": _number(1, 2**50),
    "DeviceRequests": _gpus,
}
#: Without these there is no limit, or a default that gives more.
_NEEDED = (
    "Privileged",
    "IpcMode",
    "NetworkMode",
    "CapDrop",
    "CapAdd",
    "SecurityOpt",
    "PidsLimit",
    "NanoCpus",
    "Memory",
)


def faults(body: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the body of ``POST /containers/create``; nothing: it is harmless."""
    yield from _judged(body, _CONFIG, "")
    host = body.get("HostConfig", {})
    yield from _judged(host, _HOST_CONFIG, "HostConfig.")
    for key in _NEEDED:
        if key not in host:
            yield f"HostConfig.{key} is missing"
    if host.get("MemorySwap") != host.get("Memory"):
        yield "HostConfig.MemorySwap lets it use more than its memory"
    if set(host.get("PortBindings", {})) - set(body.get("ExposedPorts", {})):
        yield "HostConfig.PortBindings names a port that is not exposed"


def _judged(body: Mapping[str, Any], known: Mapping[str, Judge], place: str) -> Iterator[str]:
    for key, value in body.items():
        judge = known.get(key)
        if judge is None:
            yield f"{place}{key} is not known: {value!r}"
            continue
        try:
            good = judge(value)
        except (TypeError, AttributeError, KeyError, IndexError) as error:
            good = False
            value = f"{value!r} ({error!r})"
        if not good:
            yield f"{place}{key}: {value!r}"
