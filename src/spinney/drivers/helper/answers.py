"""What the host helper says of the machine, taken apart. Pure, and as wary as with anything that comes from a host.

Guaranteed: an answer that cannot be true is HostBroken; what the helper does not know is None.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from spinney.domain.utilization import ContainerCounters, ContainersReading, HostCounters
from spinney.errors import HostBroken

_TICKS = 100  # of the kernel's CPU counters in a second, on every architecture there is a helper for
_NANO = 1e9
_NUMBER = re.compile(r"[0-9]{1,19}")
_ID = re.compile(r"[0-9a-f]{64}")
_BOOT = re.compile(r"[0-9a-f-]{1,64}")
_STALLED = re.compile(r"some avg10=([0-9]{1,3}\.[0-9]{2}) ")
_LOAD = re.compile(r"[0-9]{1,7}\.[0-9]{2}")
_COLUMNS = 10
#: Kernels write "no limit" as a number that no machine has.
_NO_LIMIT = 1 << 60


def version(lines: list[str]) -> str:
    return _words(lines).get("version", "")


def host(lines: list[str]) -> HostCounters:
    said = _words(lines)
    memory = _numbers(said, "memory", 2)
    disk = _numbers(said, "disk", 2) if "disk" in said else (None, None)
    ticks = [_whole(word, "cpu") or 0 for word in said.get("cpu", "").split()]
    # user, nice, system, idle, iowait, irq, softirq, steal; what guests use is counted in the first two already.
    if len(ticks) < 8:
        raise _nonsense("cpu")
    cores = _numbers(said, "cores", 1)[0]
    if not _BOOT.fullmatch(said.get("boot", "")) or not 0 < cores < 1 << 16 or not 0 < memory[0] >= memory[1]:
        raise _nonsense("boot, cores or memory")
    load = _LOAD.match(said.get("load", ""))
    return HostCounters(
        at=_numbers(said, "time", 1)[0] / _NANO,
        boot=said["boot"],
        busy=(sum(ticks[:3]) + sum(ticks[5:8])) / _TICKS,
        cores=cores,
        memory_total=memory[0] << 10,
        memory_available=memory[1] << 10,
        disk_total=disk[0],
        disk_free=disk[1],
        load=float(load[0]) if load else None,
        pressure={what: float(found[1]) / 100 for what, found in _stalled(said)},
    )


def _stalled(said: Mapping[str, str]) -> list[tuple[str, re.Match[str]]]:
    found = ((what, _STALLED.match(said.get(f"pressure-{what}", ""))) for what in ("cpu", "memory", "io"))
    return [(what, match) for what, match in found if match]


def containers(lines: list[str]) -> ContainersReading:
    if not lines:
        raise _nonsense("time")
    at = _numbers(_words(lines[:1]), "time", 1)[0] / _NANO
    return ContainersReading(at, dict(_container(line) for line in lines[1:]))


def _container(line: str) -> tuple[str, ContainerCounters]:
    words = line.split(" ")
    if len(words) != _COLUMNS or not _ID.fullmatch(words[0]):
        raise _nonsense("the counters of a container")
    cpu, throttled, memory, inactive, limit, pids, kills, read, written = (
        _whole(word, line[:12]) for word in words[1:]
    )
    return words[0], ContainerCounters(
        cpu=None if cpu is None else cpu / _NANO,
        throttled=None if throttled is None else throttled / _NANO,
        # Without what the kernel would drop first.
        memory=None if memory is None else max(0, memory - (inactive or 0)),
        memory_limit=None if limit is None or limit >= _NO_LIMIT else limit,
        pids=pids,
        oom_kills=kills,
        read_bytes=read,
        write_bytes=written,
    )


def _words(lines: list[str]) -> dict[str, str]:
    """What follows the first word of each line."""
    return {name: rest.strip() for name, _, rest in (line.partition(" ") for line in lines)}


def _numbers(said: Mapping[str, str], name: str, count: int) -> list[int]:
    words = said.get(name, "").split()
    numbers = [number for word in words if (number := _whole(word, name)) is not None]
    if len(numbers) < count:
        raise _nonsense(name)
    return numbers


def _whole(word: str, what: str) -> int | None:
    """None for what the helper does not know."""
    if word == "-":
        return None
    if not _NUMBER.fullmatch(word):
        raise _nonsense(what)
    return int(word)


def _nonsense(what: str) -> HostBroken:
    return HostBroken(f"what the host helper says of {what} cannot be understood; look at what runs under its name")
