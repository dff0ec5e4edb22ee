"""The values a container's properties are made of, each read into one canonical form.

Guaranteed: every reader is total over JSON values (a value or a refusal), and reading a canonical value again gives the same.
Closed lists are closed: signals, capabilities, resource limits, tmpfs options, log drivers and their options, platforms.
"""

from __future__ import annotations

import ipaddress
import posixpath
import re
import shlex
from typing import Annotated, Any

from spinney.domain.schema import (
    Integer,
    Kind,
    NotAllowed,
    Number,
    Rule,
    Text,
    between,
    matching,
    one_of,
    to_number,
    to_text,
)

MIB = 1024**2

# --- sizes, durations, cores ------------------------------------------------------------------------------------------

_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,6})?) ?(?:([kmgt])i?)?b?", re.ASCII | re.IGNORECASE)
_FACTORS = {"": 1, "k": 1024, "m": MIB, "g": 1024**3, "t": 1024**4}
_DURATION = re.compile(
    r"(?=[0-9])(?:([0-9]{1,6})h)?(?:([0-9]{1,6})m)?(?:([0-9]{1,6}(?:\.[0-9]{1,6})?)s)?(?:([0-9]{1,6})ms)?"
)
SIZE_SAYS = "a size in bytes, or with a unit as in 512m, 1.5g or 2Gi (units are powers of 1024)"


def to_size(value: Any) -> int:
    """Bytes; ``k``, ``m``, ``g``, ``t`` with or without ``i`` and ``b`` are powers of 1024, as Docker counts."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        number = to_number(value)
        if number.is_integer():
            return int(value)
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise NotAllowed(SIZE_SAYS)
    amount, unit = found.groups()
    factor = _FACTORS[(unit or "").lower()]
    return int(amount) * factor if amount.isdigit() else int(float(amount) * factor)


def to_seconds(value: Any) -> float:
    """A number of seconds, or as Docker writes it: ``1m30s``, ``500ms``."""
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        try:
            return to_number(value)
        except NotAllowed:
            raise NotAllowed("seconds as a number, or a duration as in 90s, 1m30s or 500ms") from None
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _size_between(low: int, high: int, says: str) -> Rule:
    def check(value: int) -> int:
        if not low <= value <= high:
            raise NotAllowed(f"{says}: {SIZE_SAYS}")
        return value

    return Rule(says, check)


Memory = Annotated[int, Kind("String", to_size), _size_between(6 * MIB, 64 * 1024**4, "a size from 6m to 64t")]
TmpfsSize = Annotated[int, Kind("String", to_size), _size_between(4096, 1024**4, "a size from 4k to 1t")]
Cores = Annotated[Number, between(0.01, 1024, "a number of cores")]
Seconds = Annotated[float, Kind("Number", to_seconds), between(0, 86400, "seconds")]
Interval = Annotated[float, Kind("Number", to_seconds), between(1, 86400, "seconds")]
StopTimeout = Annotated[Integer, between(0, 3600, "whole seconds")]

# --- programs ---------------------------------------------------------------------------------------------------------

_ARGV_LIMIT = 65536


def to_argv(value: Any) -> tuple[str, ...]:
    """A list of words, or a string split as a POSIX shell splits words (nothing is expanded)."""
    if isinstance(value, list | tuple):
        words = tuple(item_text(item, index) for index, item in enumerate(value))
    else:
        text = to_text(value)
        if len(text) > _ARGV_LIMIT:
            raise NotAllowed(f"at most {_ARGV_LIMIT} characters")
        try:
            words = tuple(shlex.split(text))
        except ValueError as error:
            raise NotAllowed(
                f"words with closed quotes ({str(error).lower()}); a list of words needs no quoting"
            ) from None
    if sum(map(len, words)) + len(words) > _ARGV_LIMIT:
        raise NotAllowed(f"at most {_ARGV_LIMIT} characters in all")
    return words


def to_test(value: Any) -> tuple[str, ...]:
    """As Docker takes it: a string is for the shell; a list is a program, unless it says CMD, CMD-SHELL or NONE itself."""
    if not isinstance(value, list | tuple):
        text = to_text(value)
        words: tuple[str, ...] = ("CMD-SHELL", text)
    else:
        words = tuple(item_text(item, index) for index, item in enumerate(value))
        if words and words[0] not in ("CMD", "CMD-SHELL", "NONE"):
            words = ("CMD", *words)
    sizes = {"CMD-SHELL": len(words) == 2 and bool(words[-1].strip()), "NONE": len(words) == 1, "CMD": len(words) >= 2}
    if not words or not sizes[words[0]]:
        raise NotAllowed("a shell command as one string, or a program with its arguments as a list")
    if sum(map(len, words)) > _ARGV_LIMIT:
        raise NotAllowed(f"at most {_ARGV_LIMIT} characters in all")
    return words


def item_text(item: Any, index: int) -> str:
    """One item of a list of texts; a refusal names its place."""
    try:
        return to_text(item)
    except NotAllowed as refused:
        raise NotAllowed(refused.allowed, at=f"[{index}]", value=item) from None


Argv = Annotated[tuple[str, ...], Kind("String", to_argv)]
HealthTest = Annotated[tuple[str, ...], Kind("String", to_test)]

# --- signals and capabilities -----------------------------------------------------------------------------------------

#: Those a program may reasonably be told by; SIGSTOP and SIGCONT are left to pause and unpause.
SIGNALS = {
    "SIGHUP": 1,
    "SIGINT": 2,
    "SIGQUIT": 3,
    "SIGABRT": 6,
    "SIGKILL": 9,
    "SIGUSR1": 10,
    "SIGUSR2": 12,
    "SIGTERM": 15,
    "SIGWINCH": 28,
    "SIGPWR": 30,
    "SIGRTMIN+3": 37,
}
_SIGNAL_OF_NUMBER = {str(number): name for name, number in SIGNALS.items()}

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
ADDABLE_CAPABILITIES = (*DEFAULT_CAPABILITIES, "AUDIT_WRITE", "NET_RAW", "SETFCAP", "SETPCAP", "SYS_CHROOT")
#: Never given, so dropping them is allowed and changes nothing.
_NEVER_GIVEN = (
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "DAC_READ_SEARCH",
    "IPC_LOCK",
    "IPC_OWNER",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BROADCAST",
    "PERFMON",
    "SYSLOG",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "WAKE_ALARM",
)


def _signal(text: str) -> str:
    word = text.strip().upper()
    return _SIGNAL_OF_NUMBER.get(word) or (word if word.startswith("SIG") else f"SIG{word}")


def _capability(text: str) -> str:
    return text.strip().upper().removeprefix("CAP_")


Signal = Annotated[Text, one_of(*SIGNALS, fold=_signal)]
AddedCapability = Annotated[Text, one_of(*ADDABLE_CAPABILITIES, fold=_capability)]
DroppedCapability = Annotated[Text, one_of("ALL", *ADDABLE_CAPABILITIES, *_NEVER_GIVEN, fold=_capability)]

#: Kernel resource limits a container may set, each with its highest value. Those that reach other containers of the host
#: through scheduling (nice, rtprio, rttime) are left out.
ULIMIT_CEILINGS = {
    "core": 1024**4,
    "cpu": 10**9,
    "data": 1024**5,
    "fsize": 1024**5,
    "locks": 65536,
    "memlock": 1024**3,
    "msgqueue": 64 * MIB,
    "nofile": 1048576,
    "nproc": 65536,
    "rss": 1024**5,
    "sigpending": 1048576,
    "stack": 1024**3,
}

# --- names ------------------------------------------------------------------------------------------------------------

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?P<name>(?:(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?/)?{_PART}(?:/{_PART})*)"
    r"(?P<tag>:\w[\w.-]{0,127})?"
    r"(?P<digest>@[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,128})?",
    re.ASCII,
)
_IMAGE_ID = re.compile(r"(sha256:)?[0-9a-f]{64}")
IMAGE_SAYS = "an image's name in a registry as in nginx, nginx:1.27 or registry.example.org:5000/team/app@sha256:…"


def check_image(value: str) -> str:
    found = _IMAGE.fullmatch(value) if len(value) <= 512 else None
    if found is None or len(found["name"]) > 255:
        raise NotAllowed(IMAGE_SAYS)
    if _IMAGE_ID.fullmatch(value):
        raise NotAllowed(f"no image id, which would reach images that others pulled, but {IMAGE_SAYS}")
    return value


def exact_reference(image: str) -> str:
    """With the tag that Docker would assume. Without any, a pull fetches every tag and a name may be taken for an id."""
    found = _IMAGE.fullmatch(image)
    return image if found is None or found["tag"] or found["digest"] else f"{image}:latest"


def check_absolute(value: str) -> str:
    if len(value) > 255 or not value.startswith("/") or not value.isprintable() or ".." in value.split("/"):
        raise NotAllowed("an absolute path without '..'")
    return value


def check_tmpfs_path(value: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._@+/-]{1,254}", value) or posixpath.normpath(value) != value:
        raise NotAllowed(
            "an absolute path other than /, of letters, digits and ._@+-, without '..', '.' and double slashes"
        )
    top = value.split("/")[1]
    if top in ("proc", "sys") or (top == "dev" and value != "/dev/shm"):
        raise NotAllowed("a path outside /proc, /sys and /dev (/dev/shm is allowed)")
    return value


def to_private_text(value: Any) -> str:
    """Text that no message repeats."""
    try:
        return to_text(value)
    except NotAllowed as refused:
        raise NotAllowed(refused.allowed, secret=True) from None


def check_label_key(value: str) -> str:
    if value.lower() == "io.spinney" or value.lower().startswith("io.spinney."):
        raise NotAllowed("a key that does not begin with io.spinney., which Spinney keeps for its own labels")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}", value):
        raise NotAllowed("1 to 128 letters, digits and ._/-, beginning with a letter or digit")
    return value


def check_address(value: str) -> str:
    try:
        if "%" not in value:
            return str(ipaddress.ip_address(value))
    except ValueError:
        pass
    raise NotAllowed("an IP address of the host, as in 127.0.0.1 (0.0.0.0: all of them)")


Image = Annotated[Text, Rule(IMAGE_SAYS, check_image)]
AbsolutePath = Annotated[Text, Rule("an absolute path without '..'", check_absolute)]
TmpfsPath = Annotated[Text, Rule("an absolute path", check_tmpfs_path)]
LabelKey = Annotated[Text, Rule("letters, digits and ._/-; not io.spinney.*", check_label_key)]
LabelValue = Annotated[Text, matching(r"(?s:.*)", "at most 4096 characters", longest=4096)]
EnvironmentName = Annotated[
    Text, matching(r"[A-Za-z_][A-Za-z0-9_.-]*", "a name of letters, digits and _.-, not beginning with a digit")
]
EnvironmentValue = Annotated[
    str,
    Kind("String", to_private_text),
    matching(r"(?s:.*)", "at most 32768 characters", longest=32768, secret=True),
]
User = Annotated[
    Text,
    matching(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(:[A-Za-z0-9_][A-Za-z0-9_.-]*)?", "a user or user:group, by name or number"),
]
Hostname = Annotated[
    Text,
    matching(rf"{_LABEL}(\.{_LABEL})*", "at most 63 letters, digits, - and ., as host names are written", longest=63),
]
Address = Annotated[Text, Rule("an IP address", check_address)]
PortNumber = Annotated[Integer, between(1, 65535, "a port number")]
PLATFORMS = (
    "linux/386",
    "linux/amd64",
    "linux/arm/v5",
    "linux/arm/v6",
    "linux/arm/v7",
    "linux/arm64",
    "linux/arm64/v8",
    "linux/ppc64le",
    "linux/riscv64",
    "linux/s390x",
)
Platform = Annotated[Text, one_of(*PLATFORMS, fold=str.lower)]
