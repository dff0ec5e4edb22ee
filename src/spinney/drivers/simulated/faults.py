"""What can go wrong between Spinney and a Docker engine, as values, and plans that choose among them.

A plan draws from the random source it was given and from nothing else, one number per rule that applies, so that the same
seed and the same order of calls give the same faults. See ``parse_faults`` for the notation of the command line.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Operation(StrEnum):
    """What is asked of a Docker engine, one name for both fronts."""

    __hash__ = str.__hash__  # that of enumerations is written in Python, and each call is counted by its operation

    PING = "ping"
    FACTS = "facts"
    IMAGE = "image"  # is it there?
    IMAGES = "images"
    IMAGE_REMOVE = "image-remove"
    PULL = "pull"
    NETWORK = "network"  # look for one
    NETWORK_CREATE = "network-create"
    NETWORK_REMOVE = "network-remove"
    CREATE = "create"
    START = "start"
    INSPECT = "inspect"
    STOP = "stop"
    RESTART = "restart"
    KILL = "kill"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    UPDATE = "update"  # change what a container may use
    REMOVE = "remove"
    LIST = "list"
    EVENTS = "events"
    LOGS = "logs"
    STATS = "stats"
    LOAD = "load"  # an image sent to it
    ATTACH = "attach"
    EXEC = "exec"  # run a command in a container
    PUT_FILES = "put-files"  # into a container
    MEASURE = "measure"  # ask the host helper
    PROBE = "probe"  # a container, inside its network namespace


class FaultKind(StrEnum):
    LATENCY = "latency"  # the answer takes longer, half of it before and half after the deed
    BEFORE = "before"  # fails, and nothing was done
    AFTER = "after"  # done, and yet it fails: unknown outcome
    HANG = "hang"  # never answers, and nothing was done
    SLOW = "slow"  # the deed itself takes longer
    CONFLICT = "conflict"  # somebody else takes the container's name first
    FULL = "full"  # no space left on the disk
    GAP = "gap"  # all event streams break; the call itself succeeds
    REBOOT = "reboot"  # the Docker engine restarts: containers end with 137, streams and this call break
    CUT = "cut"  # the host falls silent, for a time or for ever


class Failure(StrEnum):
    """How a call fails."""

    CONNECTION = "connection"  # reset
    ERROR = "500"


@dataclass(frozen=True, slots=True)
class Fault:
    """``seconds`` (a range) means something for latency, slow and cut; ``failure`` for before and after."""

    kind: FaultKind
    seconds: tuple[float, float] | None = None
    failure: Failure = Failure.ERROR


@dataclass(slots=True)
class Rule:
    """When a fault strikes: at which operation (None: any), how likely, how often at most, after how many calls spared."""

    operation: Operation | None
    fault: Fault
    chance: float = 1.0
    times: int | None = None
    spare: int = 0


@dataclass(frozen=True, slots=True)
class Drawn:
    """What befalls one call."""

    latency: float = 0.0
    fault: Fault | None = None
    seconds: float | None = None  # drawn from the fault's range


class FaultPlan:
    """Chooses for each call what befalls it: latencies add up, of other faults the first rule that strikes wins."""

    def __init__(self, rules: Sequence[Rule], chance: random.Random) -> None:
        self._rules = [Rule(r.operation, r.fault, r.chance, r.times, r.spare) for r in rules]
        self._random = chance

    def draw(self, operation: Operation) -> Drawn:
        latency = 0.0
        struck: Fault | None = None
        for rule in self._rules:
            if rule.operation not in (None, operation) or rule.times == 0:
                continue
            if struck is not None and rule.fault.kind is not FaultKind.LATENCY:
                continue
            if rule.spare:
                rule.spare -= 1
                continue
            if rule.chance < 1.0 and self._random.random() >= rule.chance:
                continue
            if rule.times is not None:
                rule.times -= 1
            if rule.fault.kind is FaultKind.LATENCY:
                latency += self._seconds(rule.fault) or 0.0
            else:
                struck = rule.fault
        return Drawn(latency, struck, None if struck is None else self._seconds(struck))

    def _seconds(self, fault: Fault) -> float | None:
        if fault.seconds is None:
            return None
        low, high = fault.seconds
        return low if low == high else self._random.uniform(low, high)


class BadFaults(ValueError):
    """The text is no fault specification; the message says what is wrong with which item."""


_NEEDS_SECONDS = frozenset({FaultKind.LATENCY, FaultKind.SLOW})
_TAKES_SECONDS = _NEEDS_SECONDS | {FaultKind.CUT}
_TAKES_FAILURE = frozenset({FaultKind.BEFORE, FaultKind.AFTER})
_ONLY_AT = {
    FaultKind.CONFLICT: frozenset({Operation.CREATE}),
    FaultKind.FULL: frozenset({Operation.PULL, Operation.CREATE}),
}


def parse_faults(text: str) -> tuple[Rule, ...]:
    """Rules from ``OPERATION:KIND[=VALUE][:CHANCE[:TIMES]]``, separated by commas.

    OPERATION is one of ``Operation`` or ``*``; KIND one of ``FaultKind``. CHANCE is between 0 and 1 (1 when left out); TIMES
    is how often it strikes at most. VALUE is seconds or a range of seconds for ``latency`` and ``slow`` (required) and for
    ``cut`` (left out: for ever), and ``500`` (an error answer, the default) or ``connection`` (a reset) for ``before`` and
    ``after``. Examples::

        *:latency=0.005-0.02                       every call takes 5 to 20 ms longer
        create:after:0.05,pull:hang:0.01           5 % of creates succeed but answer 500; 1 % of pulls never answer
        start:before=connection:0.1                10 % of starts lose their connection before anything happens
        list:reboot:1:1                            the first listing finds the Docker engine restarting, and only the first
        *:cut=30:0.0001                            one call in ten thousand silences its host for 30 seconds
    """
    return tuple(_rule(item.strip()) for item in text.split(",") if item.strip())


def _rule(item: str) -> Rule:
    parts = item.split(":")
    if not 2 <= len(parts) <= 4:
        raise BadFaults(f"faults: {item!r} is not of the form OPERATION:KIND[=VALUE][:CHANCE[:TIMES]]")
    operation = _operation(item, parts[0])
    fault = _fault(item, parts[1])
    allowed = _ONLY_AT.get(fault.kind)
    if allowed is not None and operation not in allowed:
        names = " or ".join(sorted(allowed))
        raise BadFaults(f"faults: {fault.kind} in {item!r} can befall only {names}, not {parts[0]}")
    chance = _number(item, "CHANCE", parts[2]) if len(parts) > 2 else 1.0
    if chance > 1.0:
        raise BadFaults(f"faults: CHANCE {parts[2]!r} in {item!r} must be between 0 and 1")
    if len(parts) > 3 and not parts[3].isdigit():
        raise BadFaults(f"faults: TIMES {parts[3]!r} in {item!r} must be a whole number")
    return Rule(operation, fault, chance, int(parts[3]) if len(parts) > 3 else None)


def _operation(item: str, name: str) -> Operation | None:
    if name == "*":
        return None
    try:
        return Operation(name)
    except ValueError:
        raise BadFaults(
            f"faults: unknown operation {name!r} in {item!r}; known are *, {', '.join(Operation)}"
        ) from None


def _fault(item: str, text: str) -> Fault:
    name, given, value = text.partition("=")
    try:
        kind = FaultKind(name)
    except ValueError:
        raise BadFaults(f"faults: unknown kind {name!r} in {item!r}; known are {', '.join(FaultKind)}") from None
    if not given:
        if kind in _NEEDS_SECONDS:
            raise BadFaults(f"faults: {kind} in {item!r} needs seconds, such as {kind}=0.5 or {kind}=0.1-0.3")
        return Fault(kind)
    if kind in _TAKES_FAILURE:
        try:
            return Fault(kind, failure=Failure(value))
        except ValueError:
            raise BadFaults(f"faults: {value!r} in {item!r} must be one of {', '.join(Failure)}") from None
    if kind not in _TAKES_SECONDS:
        raise BadFaults(f"faults: {kind} in {item!r} takes no value; remove ={value}")
    low, _, high = value.partition("-")
    seconds = _number(item, "seconds", low), _number(item, "seconds", high or low)
    if seconds[0] > seconds[1]:
        raise BadFaults(f"faults: the range {value!r} in {item!r} must begin with its smaller number")
    return Fault(kind, seconds)


def _number(item: str, what: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0.0 <= number < float("inf"):
        raise BadFaults(f"faults: {what} {text!r} in {item!r} must be a number of at least 0")
    return number
