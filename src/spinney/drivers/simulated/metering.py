"""The counters of a simulated machine, made of the loads that are set: what is set when one looks counts as having held since
the look before. Deterministic; costs nothing while nobody looks.
"""

from __future__ import annotations

from dataclasses import replace

from spinney.domain.utilization import ContainerCounters, ContainerReading, ContainersReading, HostCounters
from spinney.drivers.simulated.core import EngineCore

_DISK = 100 * 1024**3
_PAGE = 1024


class Meter:
    def __init__(self, core: EngineCore) -> None:
        self._core = core
        #: What the machine does besides running containers: cores and bytes. Tests set it.
        self.other_cpu = 0.0
        self.other_memory = 0
        self.disk_used = _DISK // 10
        #: Tells one boot of the machine from another.
        self.boot = core.engine_id.lower().replace(":", "")
        self._busy = 0.0
        self._looked_at: float | None = None
        #: CPU seconds by container id, with the run that they are of.
        self._used: dict[str, tuple[int, float]] = {}

    def host(self, now: float) -> HostCounters:
        self._look(now)
        settings = self._core.settings
        used = self.other_memory + sum(self._core.stats(one.id, now).memory or 0 for one in self._core if one.is_up)
        return HostCounters(
            at=now,
            boot=self.boot,
            busy=self._busy,
            cores=max(1, int(settings.cpu)),
            memory_total=settings.memory // _PAGE * _PAGE,
            memory_available=max(0, settings.memory - used) // _PAGE * _PAGE,
            disk_total=_DISK,
            disk_free=_DISK - self.disk_used,
        )

    def containers(self, now: float) -> ContainersReading:
        self._look(now)
        return ContainersReading(now, {one.id: self._container(one.id, now) for one in self._core if one.is_up})

    def container(self, reference: str, now: float) -> ContainerReading:
        """With what its networks carried, which control groups do not tell."""
        one = self._core.require(reference)
        if not one.is_up:
            return ContainerReading(None, ContainerCounters())
        self._look(now)
        stats = self._core.stats(one.id, now)
        found = replace(self._container(one.id, now), rx_bytes=stats.rx_bytes, tx_bytes=stats.tx_bytes)
        return ContainerReading(now, found)

    def _container(self, container_id: str, now: float) -> ContainerCounters:
        stats = self._core.stats(container_id, now)
        return ContainerCounters(
            cpu=self._used[container_id][1],
            throttled=0.0,
            memory=stats.memory,
            memory_limit=stats.memory_limit,
            pids=stats.pids,
            oom_kills=0,
            read_bytes=stats.read_bytes,
            write_bytes=stats.write_bytes,
        )

    def _look(self, now: float) -> None:
        """Let the time since the look before count."""
        passed = 0.0 if self._looked_at is None else max(0.0, now - self._looked_at)
        self._looked_at = now
        running, total = {}, self.other_cpu
        for one in self._core:
            if one.is_up:
                cpu = self._core.stats(one.id, now).cpu or 0.0
                run, used = self._used.get(one.id, (one.run, 0.0))
                running[one.id] = (one.run, used + cpu * passed if run == one.run else 0.0)
                total += cpu
        self._used = running
        self._busy += min(total, self._core.settings.cpu) * passed
