"""What a Docker engine's refusal means: (operation, status, text) becomes one of our errors, with a message for a user.

Pure. The texts are what Docker engines 20.10 to 29 say; where they say something unknown, a status below 500 means that the
request is at fault (final) and one from 500 that the Docker engine is (worth another try). Messages never hold an address
of the host; what the Docker engine said is cut to one bounded line.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import StrEnum

from spinney.errors import (
    AddressPoolOverlap,
    CommandNotFound,
    ContainerGone,
    ContainerRefused,
    DiskFull,
    HostBroken,
    HostError,
    HostRefused,
    ImageNotFound,
    ImagePullFailed,
    NetworkMissing,
    PortTaken,
)

LONGEST_QUOTE = 300


class Operation(StrEnum):
    """What was asked of the Docker engine; the value reads after "could not"."""

    INSPECT_IMAGE = "look up image"
    PULL = "pull image"
    CREATE = "create container"
    START = "start container"
    INSPECT = "inspect container"
    STOP = "stop container"
    RESTART = "restart container"
    KILL = "send a signal to container"
    PAUSE = "pause container"
    UNPAUSE = "unpause container"
    UPDATE = "change container"
    REMOVE = "remove container"
    LOGS = "read the logs of container"
    STATS = "read the statistics of container"
    LIST = "list containers"
    IMAGES = "list images"
    REMOVE_IMAGE = "remove image"
    EVENTS = "watch events"
    FACTS = "describe the host"
    NETWORK = "set up network"
    LOAD = "load image"
    ATTACH = "attach to container"
    SECRETS = "bring secret files to container"
    EXEC = "run a command in container"
    PROBE = "probe container"


_STARTING = (Operation.START, Operation.RESTART)
_ABOUT_THE_HOST = (Operation.LIST, Operation.IMAGES, Operation.EVENTS, Operation.FACTS)

_FULL_ID = re.compile(r"[0-9a-f]{64}")
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?\b|\[[0-9a-fA-F:]*:[0-9a-fA-F:]*(?:%\w+)?\](?::\d{1,5})?")
_NO_PROGRAM = re.compile(
    r'exec: \\?"(?P<program>[^"\\]*)\\?": '
    r"(?:stat [^:]*: )?(?P<why>executable file not found|no such file or directory|permission denied|is a directory)"
)
_HOST_PORT = r"(?:\[[^\]]*\]|[\d.]+):(?P<port>\d{1,5})"
_PORTS = (
    re.compile(rf"Bind for {_HOST_PORT} failed: port is already allocated"),
    re.compile(rf"listen \w+ {_HOST_PORT}: bind: address already in use"),
    re.compile(rf"failed to bind host port (?:for )?{_HOST_PORT}"),
)
_PORT_UNSAID = re.compile(r"port is already allocated|bind: address already in use|failed to bind host port")
_REFUSED_AT_START = re.compile(
    r"unable to find (?:user|group)|no matching entries in passwd|chdir to cwd|could not select device driver"
    r"|rlimit|minimum memory|not a directory|read-only file system|unknown or invalid runtime|invalid tmpfs option",
    re.IGNORECASE,
)
_NO_NETWORK = re.compile(
    r"network \S+ (?:not found|is ambiguous)|could not find a network|unable to find network", re.IGNORECASE
)

_UNAUTHORIZED = ("unauthorized", "incorrect username or password", "no basic auth", "authentication required")

_NAME_IN_USE = re.compile(r"container name \S+ is already in use")


def name_in_use(status: int, text: str) -> bool:
    """Does the answer to a creation say that a container of the name is there? Podman says it as a failure of its own."""
    return status == 409 or (status == 500 and _NAME_IN_USE.search(text) is not None)


def quoted(text: str) -> str:
    """What the Docker engine said, as one bounded line without the network addresses it knows."""
    line = _ADDRESS.sub("(address)", " ".join(text.split()))
    return line if len(line) <= LONGEST_QUOTE else line[: LONGEST_QUOTE - 1] + "…"


def docker_error(operation: Operation, subject: str, status: int, text: str) -> HostError:
    """The error for an answer that is not success. ``subject`` names the container, image or network asked about."""
    if _FULL_ID.fullmatch(subject):
        subject = subject[:12]
    if "no space left on device" in text:
        return DiskFull(
            f"could not {operation} {subject}: the host has no disk space left; "
            "free some there (unused images), or use another host"
        )
    special = _SPECIAL.get(operation)
    found = special(operation, subject, status, text) if special else None
    return found or _general(operation, subject, status, text)


def _general(operation: Operation, subject: str, status: int, text: str) -> HostError:
    said = quoted(text) or f"HTTP status {status}"
    if status in (401, 403):
        return HostRefused(
            f"could not {operation}{subject and f' {subject}'}: the Docker engine does not allow it ({said})"
        )
    if (status == 404 and "no such container" in text.lower()) or "marked for removal" in text:
        return ContainerGone(f"container {subject} does not exist on the host")
    if status in range(400, 500) and operation not in _ABOUT_THE_HOST:
        return ContainerRefused(f"could not {operation} {subject}: the Docker engine refused: {said}")
    return HostBroken(f"could not {operation}{subject and f' {subject}'}: the Docker engine failed: {said}")


def _on_start(operation: Operation, subject: str, status: int, text: str) -> HostError | None:
    program = _NO_PROGRAM.search(text)
    if program:
        return CommandNotFound(
            f"could not {operation} {subject}: its image cannot run {program['program']!r} ({program['why']}); "
            "correct command or entrypoint, or use an image that contains this program"
        )
    port = next((found for pattern in _PORTS if (found := pattern.search(text))), None)
    if port or _PORT_UNSAID.search(text):
        which = f"port {port['port']}" if port else "a published port"
        return PortTaken(
            f"could not {operation} {subject}: {which} is already in use on the host; "
            "choose another host port, leave it out to get a free one, or use another host"
        )
    if _NO_NETWORK.search(text):
        return NetworkMissing(
            f"could not {operation} {subject}: its network has vanished from the host and is made again with the next try"
        )
    if _REFUSED_AT_START.search(text):
        return ContainerRefused(f"could not {operation} {subject}: the Docker engine refused: {quoted(text)}")
    return None


def _on_create(operation: Operation, subject: str, status: int, text: str) -> HostError | None:
    if status == 404 and "no such image" in text.lower():
        image = re.search(r"no such image: (\S+)", text, re.IGNORECASE)
        name = image[1] if image else "asked for"
        return ImageNotFound(f"could not {operation} {subject}: the host has no image {name}; have it pulled first")
    if "does not match the specified platform" in text:
        return ImageNotFound(
            f"could not {operation} {subject}: {quoted(text)}; name a platform the image is made for, or have it pulled"
        )
    return _on_start(operation, subject, status, text)


def _on_kill(operation: Operation, subject: str, status: int, text: str) -> HostError | None:
    if "is not running" in text or "can only kill running" in text:
        return ContainerRefused(f"could not {operation} {subject}: it is not running; start it first")
    if "invalid signal" in text.lower():
        return ContainerRefused(
            f"could not {operation} {subject}: {quoted(text)}; use a name such as SIGTERM, or a number"
        )
    return None


def _on_pause(operation: Operation, subject: str, status: int, text: str) -> HostError | None:
    if "is not running" in text:
        return ContainerRefused(f"could not {operation} {subject}: it is not running; start it first")
    return None


def _on_exec(operation: Operation, subject: str, status: int, text: str) -> HostError | None:
    if "is not running" in text or "container not running" in text:
        return ContainerRefused(f"could not {operation} {subject}: it is not running; start it first")
    if "is paused" in text:
        return ContainerRefused(f"could not {operation} {subject}: it is paused; unpause it first")
    return None


def _on_logs(operation: Operation, subject: str, status: int, text: str) -> HostError | None:
    if "does not support reading" in text or "cannot read logs" in text:
        return ContainerRefused(
            f"could not {operation} {subject}: its log driver cannot be read from; "
            "use log driver json-file or local, or read the logs where the driver sends them"
        )
    return None


def _on_image(operation: Operation, subject: str, status: int, text: str) -> HostError | None:
    lower = text.lower()
    if "invalid reference format" in lower or "invalid repository name" in lower:
        return ImageNotFound(f"{subject} is no valid image reference; write [registry/]name[:tag] in lower case")
    if "no matching manifest" in lower or "does not match the specified platform" in lower:
        return ImageNotFound(
            f"image {subject} is not made for the platform of the host ({quoted(text)}); name a platform it is made for"
        )
    if status == 401 or any(sign in lower for sign in _UNAUTHORIZED):
        return HostRefused(
            f"could not pull image {subject}: its registry wants another password than the one it got, or one at all; "
            "name a registry credential that may read it"
        )
    if any(sign in lower for sign in ("denied", "manifest unknown", "not found", "no such image")) or status == 404:
        return ImageNotFound(
            f"image {subject} exists neither on the host nor in its registry, or needs a registry credential to be seen; "
            "correct its name and tag, or name a registry credential"
        )
    return ImagePullFailed(
        f"could not pull image {subject}: {quoted(text) or f'HTTP status {status}'}; "
        "check that the host reaches the registry"
    )


def _on_network(operation: Operation, subject: str, status: int, text: str) -> HostError | None:
    lower = text.lower()
    if "overlap" in lower or "already allocated" in lower or "already used on the host" in lower:
        return AddressPoolOverlap(
            f"could not {operation} {subject}: another network of the host uses these addresses; give a free subnet"
        )
    if "no available network" in lower:
        return AddressPoolOverlap(f"could not {operation} {subject}: the host has no network left: {quoted(text)}")
    if "invalid subnet" in lower or "invalid cidr" in lower:
        return ContainerRefused(f"could not {operation} {subject}: this is no subnet; write one such as 10.1.2.0/24")
    return None


def _on_update(operation: Operation, subject: str, status: int, text: str) -> HostError | None:
    if "unable to set memory limit" in text or "device or resource busy" in text:
        return memory_in_use(subject, quoted(text))
    return None


def memory_in_use(subject: str, said: str) -> ContainerRefused:
    """Lowering its limit that far would end processes of the container, or is refused by the kernel."""
    return ContainerRefused(
        f"could not {Operation.UPDATE} {subject[:12]}: it uses more memory than it is to have ({said}); raise the limit"
    )


_Special = Callable[[Operation, str, int, str], HostError | None]
_SPECIAL: dict[Operation, _Special] = {
    Operation.INSPECT_IMAGE: _on_image,
    Operation.PULL: _on_image,
    Operation.CREATE: _on_create,
    Operation.START: _on_start,
    Operation.RESTART: _on_start,
    Operation.KILL: _on_kill,
    Operation.PAUSE: _on_pause,
    Operation.UPDATE: _on_update,
    Operation.EXEC: _on_exec,
    Operation.LOGS: _on_logs,
    Operation.NETWORK: _on_network,
}
