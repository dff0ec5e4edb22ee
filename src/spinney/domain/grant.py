"""Grants: extra rights that an operator defines by name and gives to roles. Pure.

A grant gives exactly one thing: a device of the host, a capability beyond those a profile may add, or a path of the host,
read-only. Guaranteed of what ``load`` returns: nothing in it is the same as being root on the host (see ``REFUSED_PATHS``,
``REFUSED_DEVICES`` and ``REFUSED_CAPABILITIES``), as far as names can tell. Not guaranteed: what a path of the host leads to;
a symbolic link there is the operator's to know.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from spinney.domain.identity import Caller

#: Nothing at, below or around these is given.
REFUSED_PATHS = (
    "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/tmp", "/usr",
    "/var/backups", "/var/cache", "/var/lib/containerd", "/var/lib/containers", "/var/lib/docker", "/var/lib/kubelet",
    "/var/lib/systemd", "/var/log", "/var/run", "/var/spool", "/var/tmp",
)  # fmt: skip
#: Patterns of devices below ``/dev`` through which a host's memory, disks, consoles or kernel are reached.
REFUSED_DEVICES = (
    r"mem|kmem|port|kmsg|kcore|nvram|oldmem|vmcore|snapshot|autofs|btrfs-control|device-mapper|initctl|log|watchdog\d*",
    r"(sd|hd|vd|xvd|nvme|mmcblk|loop|md|dm-|nbd|rbd|zd|sr|sg|bsg|ram|zram|pmem|dasd|fd)[a-z0-9p-]*",
    r"(disk|mapper|block|char|cpu|input|pts|shm|mqueue|hugepages|vfio|bsg|fd|raw|zvol|drbd|vhost-[a-z-]+)(/.*)?",
    r"console|tty|ttyS\d+|tty\d+|vcs[au]?\d*|ptmx|uinput|uhid|userfaultfd|rtc\d*|hwrng|vfio|ppp|loop-control|cuse|mei\d*",
    r"ipmi.*|tpm.*|userio|rfkill|vhci|vga_arbiter|full/.*|mtd.*|i2c-.*|gpiomem|mem.*",
)
#: With each of these a container can become root on its host, or change what all of its containers see.
REFUSED_CAPABILITIES = (
    "ALL", "AUDIT_CONTROL", "AUDIT_READ", "BPF", "CHECKPOINT_RESTORE", "DAC_READ_SEARCH", "MAC_ADMIN", "MAC_OVERRIDE",
    "MKNOD", "PERFMON", "SYSLOG", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_RAWIO", "SYS_TIME",
)  # fmt: skip
CAPABILITIES = (
    "AUDIT_WRITE", "BLOCK_SUSPEND", "IPC_LOCK", "IPC_OWNER", "LEASE", "LINUX_IMMUTABLE", "NET_ADMIN", "NET_BROADCAST",
    "NET_RAW", "SETFCAP", "SETPCAP", "SYS_CHROOT", "SYS_NICE", "SYS_PACCT", "SYS_PTRACE", "SYS_RESOURCE",
    "SYS_TTY_CONFIG", "WAKE_ALARM",
)  # fmt: skip
PERMISSIONS = ("r", "w", "rw")
MOST_GRANTS = 500

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
_PATH = re.compile(r"/[A-Za-z0-9._@+:-][A-Za-z0-9._@+:/-]{0,253}")
_DEVICES = [re.compile(one) for one in REFUSED_DEVICES]
_GIVES = ("device", "capability", "host_path")
_KEYS = ("description", "roles", "projects", "host_labels", *_GIVES)


class BadGrants(ValueError):
    """The grants cannot be used; the text says where and why."""


@dataclass(frozen=True, slots=True)
class Device:
    path: str  # on the host
    container_path: str
    permissions: str  # r, w or rw


@dataclass(frozen=True, slots=True)
class HostPath:
    """Mounted read-only."""

    path: str
    container_path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Exactly one of ``device``, ``capability`` and ``host_path`` is set."""

    name: str
    roles: frozenset[str]
    description: str = ""
    device: Device | None = None
    capability: str | None = None
    host_path: HostPath | None = None
    #: Ids of the projects that may use it; empty: all.
    projects: frozenset[str] = frozenset()
    #: What the labels of a host must be for containers with the grant to go there.
    host_labels: Mapping[str, str] = field(default_factory=dict)

    def open_to(self, project: str) -> bool:
        return not self.projects or project in self.projects

    def given_to(self, caller: Caller) -> bool:
        return self.open_to(caller.project) and not self.roles.isdisjoint(caller.roles)


Grants = Mapping[str, Grant]


def load(document: Any) -> dict[str, Grant]:
    """The grants of a file, by name. Raises: BadGrants naming the place, the value and the remedy."""
    if document is None:
        return {}
    if not isinstance(document, Mapping) or set(document) != {"grants"} or not isinstance(document["grants"], Mapping):
        raise BadGrants("the file needs one key, grants: a map of names to what each gives")
    found = document["grants"]
    if len(found) > MOST_GRANTS:
        raise BadGrants(f"grants: {len(found)} are too many; {MOST_GRANTS} are allowed")
    return {str(name): _grant(name, body) for name, body in found.items()}


def _grant(name: Any, body: Any) -> Grant:
    where = f"grants.{str(name)[:80]}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadGrants(f"{where}: a name has 1 to 64 small letters, digits and dashes, not at its ends")
    given = _map(where, body, _KEYS)
    gives = [key for key in _GIVES if key in given]
    if len(gives) != 1:
        said = ", ".join(gives) or "none"
        raise BadGrants(f"{where}: exactly one of {', '.join(_GIVES)} is needed, and there is {said}; split it up")
    roles = _words(f"{where}.roles", given.get("roles"))
    if not roles:
        raise BadGrants(f"{where}.roles: a list of at least one role is needed, as in [member]")
    description = given.get("description", "")
    if not isinstance(description, str) or len(description) > 255:
        raise BadGrants(f"{where}.description: text of at most 255 characters is needed")
    return Grant(
        name=name,
        description=description,
        roles=roles,
        projects=_words(f"{where}.projects", given.get("projects", [])),
        host_labels=_labels(f"{where}.host_labels", given.get("host_labels", {})),
        device=_device(f"{where}.device", given["device"]) if "device" in given else None,
        capability=_capability(f"{where}.capability", given["capability"]) if "capability" in given else None,
        host_path=_host_path(f"{where}.host_path", given["host_path"]) if "host_path" in given else None,
    )


def _map(where: str, value: Any, keys: Collection[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BadGrants(f"{where}: a map is needed, with some of {', '.join(keys)}")
    unknown = sorted(str(key)[:80] for key in value if key not in keys)
    if unknown:
        raise BadGrants(f"{where}.{unknown[0]}: there is no such key; there are {', '.join(keys)}")
    return value


def _words(where: str, value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one.strip() == one != "" for one in value):
        raise BadGrants(f"{where}: a list of words is needed, as in [member]")
    return frozenset(value)


def _labels(where: str, value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(k, str) and isinstance(v, str) for k, v in value.items()):
        raise BadGrants(f'{where}: a map of labels to text is needed; write true as "true"')
    return dict(value)


def _device(where: str, value: Any) -> Device:
    given = _map(where, value, ("path", "container_path", "permissions"))
    path = _path(f"{where}.path", given.get("path"))
    if not path.startswith("/dev/"):
        raise BadGrants(f"{where}.path: {path} is not below /dev; give a host_path for what is no device")
    if any(one.fullmatch(path.removeprefix("/dev/")) for one in _DEVICES):
        raise BadGrants(
            f"{where}.path: {path} is never granted: whoever has it reaches the host's memory, disks, consoles or kernel"
        )
    target = _target(f"{where}.container_path", given.get("container_path", path))
    if not target.startswith("/dev/"):
        raise BadGrants(f"{where}.container_path: {target} is not below /dev; devices stay there")
    permissions = given.get("permissions", "rw")
    if permissions not in PERMISSIONS:
        raise BadGrants(
            f"{where}.permissions: {permissions!r} is not allowed: one of {', '.join(PERMISSIONS)} (making devices is never "
            f"granted)"
        )
    return Device(path, target, permissions)


def _capability(where: str, value: Any) -> str:
    name = value.strip().upper().removeprefix("CAP_") if isinstance(value, str) else str(value)
    if name in REFUSED_CAPABILITIES:
        raise BadGrants(
            f"{where}: {name} is never granted: whoever has it can take over the host or all of its containers"
        )
    if name not in CAPABILITIES:
        raise BadGrants(f"{where}: {name[:80]} is not allowed: one of {', '.join(CAPABILITIES)}")
    return name


def _host_path(where: str, value: Any) -> HostPath:
    given = _map(where, value, ("path", "container_path"))
    path = _path(f"{where}.path", given.get("path"))
    if path.endswith(".sock"):
        raise BadGrants(f"{where}.path: {path} is never granted: a socket, read-only or not, obeys whoever opens it")
    for refused in REFUSED_PATHS:
        if path == refused or path.startswith(f"{refused}/") or refused.startswith(f"{path}/"):
            raise BadGrants(
                f"{where}.path: {path} is never granted, because of {refused}: put what containers may read into a folder of "
                f"its own, as in /srv/{posixpath.basename(path)}"
            )
    target = _target(f"{where}.container_path", given.get("container_path", path))
    for refused in ("/dev", "/proc", "/sys"):
        if target == refused or target.startswith(f"{refused}/"):
            raise BadGrants(f"{where}.container_path: {target} is not possible: choose a path outside {refused}")
    return HostPath(path, target)


def _path(where: str, value: Any) -> str:
    if value is None:
        raise BadGrants(f"{where}: this is required: an absolute path of the host")
    return _target(where, value)


def _target(where: str, value: Any) -> str:
    if not isinstance(value, str) or not _PATH.fullmatch(value) or posixpath.normpath(value) != value:
        raise BadGrants(
            f"{where}: {str(value)[:80]!r} is not allowed: an absolute path other than /, of letters, digits and ._@+:-, "
            f"without '..', '.', double slashes and a slash at its end"
        )
    return value
