"""From counters to use: what is read on a host becomes rates, and rates become averages that forget the past.

Guaranteed, whatever is read: a rate is never negative and never more than the cores there are; what cannot be known from what
was read is None, never zero; an average lies between the least and the greatest of its values, and depends on how long each
value held, not on how often one looked. Moments inside counters (``at``) are of a clock that only has to go forward between
two samples of one boot; a step back, another boot or a counter that fell begins anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import exp

from spinney.domain.container import ContainerStats
from spinney.domain.host import Host

#: Seconds after which what was measured of a host is unknown.
MAX_AGE = 60.0
#: Differences, as shares of what the host has, from which on a change is worth telling before its time.
_NOTICEABLE_CPU = 0.05
_NOTICEABLE_MEMORY = 0.02
_NOTICEABLE_DISK = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class HostCounters:
    """One reading of a whole host. CPU in seconds, sizes in bytes, pressure as the share of the last ten seconds."""

    at: float
    #: Whatever tells one boot, and one way of reading, from another.
    boot: str
    busy: float
    cores: int
    memory_total: int
    memory_available: int
    disk_total: int | None = None
    disk_free: int | None = None
    load: float | None = None
    #: The share of time in which somebody had to wait for ``cpu``, ``memory``, ``io``, where the kernel tells.
    pressure: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerCounters:
    """One reading of a container. CPU and throttled time in seconds since its start, sizes in bytes."""

    cpu: float | None = None
    throttled: float | None = None
    memory: int | None = None
    memory_limit: int | None = None
    pids: int | None = None
    oom_kills: int | None = None
    read_bytes: int | None = None
    write_bytes: int | None = None
    #: Of its networks; control groups do not tell.
    rx_bytes: int | None = None
    tx_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ContainerReading:
    """One container, read at one moment of the host's clock; None: it does not run."""

    at: float | None
    counters: ContainerCounters


@dataclass(frozen=True, slots=True)
class ContainersReading:
    """All containers of a host, by full id, read at one moment of the host's clock."""

    at: float
    containers: Mapping[str, ContainerCounters]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostUse:
    """Decayed averages of CPU (cores) and memory (bytes), and the disk as it was; None is unknown."""

    cpu: float | None
    memory: int | None
    disk: int | None
    disk_total: int | None
    sampled_at: float


@dataclass(frozen=True, slots=True)
class HostTrack:
    """What is carried from one sample of a host to the next."""

    counters: HostCounters
    use: HostUse


@dataclass(frozen=True, slots=True)
class ContainerTrack:
    """What is carried from one sample of a container to the next. ``cpu`` is since the sample before, in cores."""

    at: float
    counters: ContainerCounters
    cpu: float | None
    average_cpu: float | None
    sampled_at: float


def decayed(average: float | None, value: float | None, seconds: float, time_constant: float) -> float | None:
    """``average`` after ``value`` has held for so many seconds."""
    if average is None or value is None:
        return average if value is None else value
    return average + (1.0 - exp(-max(0.0, seconds) / time_constant)) * (value - average)


def rate(before: float | None, after: float | None, seconds: float, most: float) -> float | None:
    """How fast a counter grew; None where it cannot be known."""
    if before is None or after is None or seconds <= 0 or after < before:
        return None
    return min(most, (after - before) / seconds)


def follow_host(track: HostTrack | None, counters: HostCounters, now: float, time_constant: float) -> HostTrack:
    """The track after one more reading; ``now`` is when it came, by the service's clock."""
    past = track if track is not None and track.counters.boot == counters.boot else None
    used = float(max(0, counters.memory_total - counters.memory_available))
    cpu, memory = None, used
    if past is not None:
        seconds = counters.at - past.counters.at
        busy = rate(past.counters.busy, counters.busy, seconds, counters.cores)
        cpu = decayed(past.use.cpu, busy, seconds, time_constant)
        memory = decayed(past.use.memory, used, seconds, time_constant) or 0.0
    return HostTrack(
        counters,
        HostUse(
            cpu=cpu,
            memory=round(memory),
            disk=_disk_used(counters),
            disk_total=counters.disk_total,
            sampled_at=now,
        ),
    )


def _disk_used(counters: HostCounters) -> int | None:
    if counters.disk_total is None or counters.disk_free is None:
        return None
    return max(0, counters.disk_total - counters.disk_free)


def follow_containers(
    tracks: Mapping[str, ContainerTrack], reading: ContainersReading, cores: float, now: float, time_constant: float
) -> dict[str, ContainerTrack]:
    """The tracks of the containers that there are now."""
    return {
        container_id: _follow_container(tracks.get(container_id), counters, reading.at, cores, now, time_constant)
        for container_id, counters in reading.containers.items()
    }


def _follow_container(
    track: ContainerTrack | None,
    counters: ContainerCounters,
    at: float,
    cores: float,
    now: float,
    time_constant: float,
) -> ContainerTrack:
    if track is None:
        return ContainerTrack(at, counters, None, None, now)
    seconds = at - track.at
    cpu = rate(track.counters.cpu, counters.cpu, seconds, cores)
    if cpu is None:  # started anew, or the host was
        return ContainerTrack(at, counters, None, None, now)
    return ContainerTrack(at, counters, cpu, decayed(track.average_cpu, cpu, seconds, time_constant), now)


def container_stats(track: ContainerTrack) -> ContainerStats:
    """As a sample for users. What control groups do not tell, such as network traffic, is unknown."""
    counters = track.counters
    return ContainerStats(
        cpu=track.cpu,
        memory=counters.memory,
        memory_limit=counters.memory_limit,
        pids=counters.pids,
        read_bytes=counters.read_bytes,
        write_bytes=counters.write_bytes,
        sampled_at=track.sampled_at,
    )


def is_fresh(sampled_at: float | None, now: float, max_age: float = MAX_AGE) -> bool:
    """A sample from the future is one from a clock that differs a little."""
    return sampled_at is not None and now - sampled_at <= max_age


def known_use(host: Host, now: float, max_age: float = MAX_AGE) -> HostUse | None:
    """What is stored of a host's use; None when it was never measured or too long ago."""
    if host.sampled_at is None or not is_fresh(host.sampled_at, now, max_age):
        return None
    return HostUse(
        cpu=host.used_cpu,
        memory=host.used_memory,
        disk=host.used_disk,
        disk_total=host.disk,
        sampled_at=host.sampled_at,
    )


def is_news(told: HostUse | None, track: HostTrack, refresh: float) -> bool:
    """Whether what was told of a host's use is old, or differs noticeably from what is known now."""
    use, counters = track.use, track.counters
    if told is None or use.sampled_at - told.sampled_at >= refresh:
        return True
    return (
        _differs(told.cpu, use.cpu, _NOTICEABLE_CPU * counters.cores)
        or _differs(told.memory, use.memory, _NOTICEABLE_MEMORY * counters.memory_total)
        or _differs(told.disk, use.disk, _NOTICEABLE_DISK * (counters.disk_total or 0))
        or told.disk_total != use.disk_total
    )


def _differs(told: float | None, known: float | None, by: float) -> bool:
    if told is None or known is None:
        return told is not known
    return abs(told - known) > by
