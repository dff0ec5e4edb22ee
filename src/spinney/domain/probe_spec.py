"""Probes as a profile wants them, and what an answer to one means.

Guaranteed: what was got and what was wanted is in the text of each answer that fails, in at most two lines' length.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from spinney.domain.probe import ProbeAnswer, ProbeKind, ProbeRequest

_SAID_AT_MOST = 200


class Role(StrEnum):
    """What a probe is for."""

    STARTED = "started"
    READY = "ready"
    ALIVE = "alive"


@dataclass(frozen=True, slots=True)
class ExecCheck:
    command: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HttpCheck:
    port: int
    path: str = "/"
    #: The Host header.
    host: str = "localhost"
    #: Ranges of statuses, both ends included.
    statuses: tuple[tuple[int, int], ...] = ((200, 399),)


@dataclass(frozen=True, slots=True)
class TcpCheck:
    port: int


Check = ExecCheck | HttpCheck | TcpCheck


@dataclass(frozen=True, slots=True)
class Probe:
    """Times in seconds; ``failures`` and ``successes``: in a row."""

    check: Check
    interval: float = 10.0
    timeout: float = 1.0
    failures: int = 3
    successes: int = 1
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Probes:
    started: Probe | None = None
    ready: Probe | None = None
    alive: Probe | None = None

    def __bool__(self) -> bool:
        return self != NO_PROBES

    def of(self, role: Role) -> Probe | None:
        probe: Probe | None = getattr(self, role.value)
        return probe


NO_PROBES = Probes()


class Said(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    #: It could not be asked: nothing follows from that.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    said: Said
    #: What was got and what was wanted, or why it could not be asked.
    text: str = ""


PASSED = Answer(Said.PASSED)


def unknown(why: str) -> Answer:
    return Answer(Said.UNKNOWN, why)


def request(check: HttpCheck | TcpCheck, timeout: float) -> ProbeRequest:
    """Always the container's own loopback: an address of it may be another container's after a restart."""
    if isinstance(check, HttpCheck):
        return ProbeRequest(ProbeKind.HTTP, check.port, path=check.path, host=check.host, timeout=timeout)
    return ProbeRequest(ProbeKind.TCP, check.port, timeout=timeout)


def of_network(check: HttpCheck | TcpCheck, answer: ProbeAnswer) -> Answer:
    why = answer.text[:_SAID_AT_MOST] or "no answer"
    if isinstance(check, TcpCheck):
        return PASSED if answer.connected else Answer(Said.FAILED, f"TCP port {check.port} takes no connection: {why}")
    asked = f"GET {check.path[:_SAID_AT_MOST]} at port {check.port}"
    if answer.status is None:
        return Answer(Said.FAILED, f"{asked} got no answer: {why}")
    if any(low <= answer.status <= high for low, high in check.statuses):
        return PASSED
    return Answer(Said.FAILED, f"{asked} answered {answer.status}, wanted is {statuses_text(check.statuses)}")


def statuses_text(statuses: tuple[tuple[int, int], ...]) -> str:
    return ", ".join(str(low) if low == high else f"{low}-{high}" for low, high in statuses)


def of_command(check: ExecCheck, code: int, output: str = "") -> Answer:
    """``output``: what may be shown of what the command printed."""
    if code == 0:
        return PASSED
    printed = " ".join(output.split())[:_SAID_AT_MOST]
    said = f"; it said: {printed}" if printed else ""
    return Answer(Said.FAILED, f"{_program(check)} ended with exit code {code}, wanted is 0{said}")


def overdue(check: ExecCheck, timeout: float) -> Answer:
    return Answer(Said.FAILED, f"{_program(check)} did not end within {timeout:g} s")


def _program(check: ExecCheck) -> str:
    """The rest of a command may hold what is nobody's business."""
    return check.command[0][:_SAID_AT_MOST]
