"""The maps inside a container's properties, with their short forms.

Guaranteed: each part has one canonical long form; reading that again gives an equal part; a short form that is refused is
reported at the part itself, a long form at the key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, ValidationInfo, field_validator, model_validator

from spinney.domain.schema import (
    Boolean,
    Contradiction,
    Integer,
    Kind,
    NotAllowed,
    Rule,
    SpecModel,
    Text,
    between,
    is_scalar,
    matching,
    one_of,
    to_bool,
    to_int,
    to_map,
    to_number,
    to_text,
)
from spinney.profiles.container_values import (
    MIB,
    ULIMIT_CEILINGS,
    Address,
    Cores,
    HealthTest,
    Interval,
    Memory,
    PortNumber,
    Seconds,
    TmpfsPath,
    TmpfsSize,
    item_text,
    to_size,
)


class Cpu(SpecModel):
    """``0.5`` means both."""

    reservation: Cores | None = Field(None, description="Cores set aside for it when a host is chosen.")
    limit: Cores | None = Field(None, description="Cores it can use at most.")

    @classmethod
    def expand(cls, value: Any) -> Any:
        return dict.fromkeys(("reservation", "limit"), to_number(value)) if is_scalar(value) else value

    @model_validator(mode="after")
    def _ordered(self) -> Cpu:
        _refuse_above(self.reservation, self.limit)
        return self


class MemoryShare(SpecModel):
    """``512m`` means both."""

    reservation: Memory | None = Field(None, description="Memory set aside for it when a host is chosen.")
    limit: Memory | None = Field(None, description="Memory it can use at most; beyond it the kernel ends a process.")

    @classmethod
    def expand(cls, value: Any) -> Any:
        return dict.fromkeys(("reservation", "limit"), to_size(value)) if is_scalar(value) else value

    @model_validator(mode="after")
    def _ordered(self) -> MemoryShare:
        _refuse_above(self.reservation, self.limit)
        return self


def _refuse_above(reservation: float | None, limit: float | None) -> None:
    if reservation is not None and limit is not None and reservation > limit:
        raise Contradiction(
            f"the reservation ({reservation}) is above the limit ({limit}): lower it or raise the limit"
        )


class UlimitValue(SpecModel):
    """A single number means both."""

    soft: Integer = Field(description="What it starts with; programs can raise it up to hard.")
    hard: Integer = Field(description="What it can never exceed.")

    @classmethod
    def expand(cls, value: Any) -> Any:
        return dict.fromkeys(("soft", "hard"), to_int(value)) if is_scalar(value) else value


def check_ulimits(limits: Mapping[str, UlimitValue]) -> Mapping[str, UlimitValue]:
    for name, limit in limits.items():
        ceiling = ULIMIT_CEILINGS[name]
        if not 0 <= limit.soft <= limit.hard <= ceiling:
            raise Contradiction(
                f"soft {limit.soft} and hard {limit.hard} are not allowed: 0 <= soft <= hard <= {ceiling}",
                at=f".{name}",
            )
    return limits


class RestartPolicy(SpecModel):
    """``always``, ``none`` or ``on-failure:3`` for short."""

    condition: Annotated[
        Text, one_of("none", "on-failure", "always", fold=lambda word: "none" if word == "no" else word)
    ] = Field("always", description="When a container that has ended is started again.")
    max_retries: Annotated[Integer, between(1, 100, "a number of retries")] = Field(
        3, description="For on-failure: how often Docker starts it again before it counts as failed."
    )

    @classmethod
    def expand(cls, value: Any) -> Any:
        if not is_scalar(value):
            return value
        condition, _, retries = to_text(value).partition(":")
        return {"condition": condition, "max_retries": retries} if retries else {"condition": condition}

    @model_validator(mode="after")
    def _retries_fit(self) -> RestartPolicy:
        if self.condition != "on-failure" and "max_retries" in self.model_fields_set:
            raise Contradiction(f"max_retries goes with on-failure, not with {self.condition}: leave it out")
        return self


class HealthcheckPart(SpecModel):
    test: HealthTest | None = Field(
        None, description="A shell command (string), or a program with its arguments (list); ending with 0 is healthy."
    )
    interval: Interval = Field(30.0, description="Seconds between two tests.")
    timeout: Interval = Field(30.0, description="Seconds after which a test has failed.")
    start_period: Seconds = Field(0.0, description="Seconds after the start in which failures do not count.")
    retries: Annotated[Integer, between(1, 100, "a number of failures")] = Field(
        3, description="Failures in a row that make it unhealthy."
    )
    disable: Boolean = Field(False, description="Switch off the health check that the image brings.")

    @model_validator(mode="after")
    def _says_something(self) -> HealthcheckPart:
        if self.disable and self.test is not None:
            raise Contradiction("disable and test exclude each other: leave one out")
        if not self.disable and self.test is None:
            raise Contradiction("give test, or disable: true to switch off the image's own health check")
        return self


class TmpfsPart(SpecModel):
    """``64m`` or ``size=64m,mode=1777,exec`` for short. Always nosuid and nodev."""

    size: TmpfsSize = Field(64 * MIB, description="Its greatest size; what is in it counts as the container's memory.")
    mode: Annotated[Text, matching("[01]?[0-7]{3}", "an octal mode as in 1777")] = Field(
        "1777", description="Permissions of its root, octal."
    )
    uid: Annotated[Integer, between(0, 2**31 - 1, "a user id")] = Field(0, description="Owner of its root.")
    gid: Annotated[Integer, between(0, 2**31 - 1, "a group id")] = Field(0, description="Group of its root.")
    exec: Boolean = Field(False, description="Whether programs in it can be run.")
    read_only: Boolean = Field(False, description="Mount it read-only.")

    _flags: ClassVar[Mapping[str, dict[str, bool]]] = {
        "rw": {"read_only": False},
        "ro": {"read_only": True},
        "exec": {"exec": True},
        "noexec": {"exec": False},
        "nosuid": {},
        "nodev": {},
    }

    @classmethod
    def expand(cls, value: Any) -> Any:
        if not is_scalar(value):
            return value
        text = to_text(value).strip()
        if text[:1].isdigit():
            return {"size": to_size(text)}
        found: dict[str, Any] = {}
        for option in filter(None, text.split(",")):
            key, equals, setting = option.partition("=")
            if equals and key in ("size", "mode", "uid", "gid"):
                found[key] = setting
            elif option in cls._flags:
                found.update(cls._flags[option])
            else:
                raise NotAllowed("a size, or options of size=, mode=, uid=, gid=, rw, ro, exec, noexec, nosuid, nodev")
        return found

    def options(self) -> str:
        """As mount(8) takes them."""
        access = f"{'ro' if self.read_only else 'rw'},{'exec' if self.exec else 'noexec'},nosuid,nodev"
        return f"{access},size={self.size},mode={self.mode},uid={self.uid},gid={self.gid}"


def to_tmpfs(value: Any) -> dict[str, Any]:
    if not isinstance(value, list | tuple):
        return to_map(value)
    return {item_text(path, index): {} for index, path in enumerate(value)}


TmpfsMap = Annotated[Mapping[TmpfsPath, TmpfsPart], Kind("Map", to_tmpfs)]


def to_host_port(value: Any) -> int | None:
    return None if value is None or value == "auto" else to_int(value)


def check_host_port(value: int | None) -> int | None:
    if value is not None and not 1 <= value <= 65535:
        raise NotAllowed(HOST_PORT_SAYS)
    return value


HOST_PORT_SAYS = "a port number from 1 to 65535, or auto"
HostPort = Annotated[int | None, Kind("Integer", to_host_port), Rule(HOST_PORT_SAYS, check_host_port)]


class PortPart(SpecModel):
    """``80``, ``8080:80/udp`` or ``127.0.0.1:8080:80`` for short."""

    nullable: ClassVar[frozenset[str]] = frozenset({"host"})

    container: PortNumber = Field(description="Port in the container.")
    host: HostPort = Field(None, description="Port on the host; null or auto: the Docker engine picks a free one.")
    protocol: Annotated[Text, one_of("tcp", "udp", "sctp", fold=str.lower)] = Field("tcp", description="Protocol.")
    host_ip: Address = Field("0.0.0.0", description="Address of the host to listen on.")

    @classmethod
    def expand(cls, value: Any) -> Any:
        if not is_scalar(value):
            return value
        ports, _, protocol = to_text(value).strip().partition("/")
        published, _, container = ports.rpartition(":")
        host_ip, _, host = published.rpartition(":")
        parts = {"container": container, "host": host, "protocol": protocol, "host_ip": host_ip.strip("[]")}
        return {key: part for key, part in parts.items() if part or key == "container"}

    def clashes(self, other: PortPart) -> bool:
        """Whether both cannot be published: the same thing twice, or one port of the host for two."""
        if self.protocol != other.protocol:
            return False
        if self.host is None or other.host is None:
            return (self.host, self.container, self.host_ip) == (other.host, other.container, other.host_ip)
        addresses = {self.host_ip, other.host_ip}
        return self.host == other.host and (len(addresses) == 1 or not addresses.isdisjoint(_ANY_ADDRESS))


_ANY_ADDRESS = frozenset({"0.0.0.0", "::"})

LOG_DRIVERS = ("json-file", "local", "none")


def _log_size(low: int, high: int, says: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        size = to_size(value)
        if not low <= size <= high:
            raise NotAllowed(says)
        return str(size)

    return check


def _log_files(value: Any) -> str:
    count = to_int(value)
    if not 1 <= count <= 10:
        raise NotAllowed("a number of files from 1 to 10")
    return str(count)


def _log_mode(value: Any) -> str:
    if value not in ("blocking", "non-blocking"):
        raise NotAllowed("blocking or non-blocking")
    return str(value)


_FILE_OPTIONS: Mapping[str, Callable[[Any], str]] = {
    "max-size": _log_size(4096, 100 * MIB, "a size from 4k to 100m"),
    "max-file": _log_files,
    "compress": lambda value: to_text(to_bool(value)),
    "mode": _log_mode,
    "max-buffer-size": _log_size(4096, 16 * MIB, "a size from 4k to 16m"),
}
LOG_OPTIONS: Mapping[str, Mapping[str, Callable[[Any], str]]] = {
    "json-file": _FILE_OPTIONS,
    "local": _FILE_OPTIONS,
    "none": {},
}


class LogPart(SpecModel):
    """The driver's name for short."""

    driver: Annotated[Text, one_of(*LOG_DRIVERS)] = Field("json-file", description="Log driver of the Docker engine.")
    options: Annotated[Mapping[str, Any], Kind("Map", to_map)] = Field(
        default_factory=dict,
        description=f"Of json-file and local: {', '.join(_FILE_OPTIONS)}. Logs are always rotated.",
    )

    @classmethod
    def expand(cls, value: Any) -> Any:
        return {"driver": value} if is_scalar(value) else value

    @field_validator("options")
    @classmethod
    def _options_fit(cls, options: Mapping[str, Any], info: ValidationInfo) -> Mapping[str, str]:
        driver = info.data.get("driver")
        if driver is None:
            return {}  # the driver is refused already
        canonical = {name: _log_option(driver, name, value) for name, value in options.items()}
        if canonical.get("compress") == "true" and canonical.get("max-file") == "1":
            raise Contradiction("compress needs max-file of at least 2: raise it or leave compress out")
        if "max-buffer-size" in canonical and canonical.get("mode") != "non-blocking":
            raise Contradiction("max-buffer-size goes with mode: non-blocking")
        return canonical


def _log_option(driver: str, name: str, value: Any) -> str:
    checks = LOG_OPTIONS[driver]
    if name not in checks:
        raise Contradiction(f"{driver} has no such option; it has {', '.join(checks) or 'none'}", at=f".{name}")
    try:
        return checks[name](value)
    except NotAllowed as refused:
        raise NotAllowed(refused.allowed, at=f".{name}", value=value) from None
