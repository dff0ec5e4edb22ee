"""The few series of a node_exporter that make a reading of a host. Pure.

Guaranteed: what is absent, infinite, negative or no number makes the reading HostBroken where it is needed and None where it
is not; all other series are passed over unread.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from spinney.domain.utilization import HostCounters
from spinney.errors import HostBroken

#: In place of a boot: counters that are read in another way are not continued.
SOURCE = "node_exporter"
#: The file system that counts is the first of these that is told of.
_MOUNTPOINTS = ("/var/lib/docker", "/")
_WANTED = ("node_cpu_seconds_total", "node_memory_Mem", "node_load1", "node_filesystem_")
_SAMPLE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>[^}]*)\})? +(?P<value>\S+)(?: +-?\d+)?")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_IDLE = ("idle", "iowait")


@dataclass(slots=True)
class _Found:
    busy: float = 0.0
    cpus: set[str] = field(default_factory=set)
    plain: dict[str, float] = field(default_factory=dict)
    #: By what is measured and where.
    disks: dict[tuple[str, str], float] = field(default_factory=dict)


def reading(body: str, at: float) -> HostCounters:
    """``at`` is when it was read, on any clock that only goes forward. Raises: HostBroken."""
    found = _Found()
    for name, labels, value in _samples(body):
        if name == "node_cpu_seconds_total":
            found.cpus.add(labels.get("cpu", ""))
            found.busy += 0.0 if labels.get("mode") in _IDLE else value
        elif name.startswith("node_filesystem_"):
            found.disks[name.removeprefix("node_filesystem_"), labels.get("mountpoint", "")] = value
        else:
            found.plain[name] = value
    total, available = (found.plain.get(f"node_memory_Mem{what}_bytes") for what in ("Total", "Available"))
    if not found.cpus or total is None or available is None or not 0 < total >= available:
        raise HostBroken(
            "metrics_url: what it answers lacks node_cpu_seconds_total, node_memory_MemTotal_bytes or "
            "node_memory_MemAvailable_bytes; name the /metrics of a node_exporter"
        )
    size, free = _disk(found.disks)
    return HostCounters(
        at=at,
        boot=SOURCE,
        busy=found.busy,
        cores=len(found.cpus),
        memory_total=int(total),
        memory_available=int(available),
        disk_total=size,
        disk_free=free,
        load=found.plain.get("node_load1"),
    )


def _disk(told: dict[tuple[str, str], float]) -> tuple[int | None, int | None]:
    for mountpoint in _MOUNTPOINTS:
        size = told.get(("size_bytes", mountpoint))
        free = told.get(("free_bytes", mountpoint), told.get(("avail_bytes", mountpoint)))
        if size is not None and free is not None:
            return int(size), int(min(free, size))
    return None, None


def _samples(body: str) -> Iterator[tuple[str, dict[str, str], float]]:
    for line in body.split("\n"):
        if not line.startswith(_WANTED):
            continue
        sample = _SAMPLE.fullmatch(line.rstrip())
        value = _number(sample["value"]) if sample else None
        if sample is not None and value is not None:
            yield sample["name"], dict(_LABEL.findall(sample["labels"] or "")), value


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
