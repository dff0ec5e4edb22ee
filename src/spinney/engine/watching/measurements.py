"""What one process knows of the hosts that it watches: figures in memory, and which of them are news to the database.

No I/O. Guaranteed: a figure of a container that is not fresh is not given out.
"""

from __future__ import annotations

from collections.abc import Mapping

from spinney.domain.container import ContainerStats
from spinney.domain.host import HelperMode
from spinney.domain.utilization import (
    ContainerReading,
    ContainersReading,
    ContainerTrack,
    HostCounters,
    HostTrack,
    HostUse,
    container_stats,
    follow_containers,
    follow_host,
    is_fresh,
    is_news,
)
from spinney.store.measuring import Wish

#: Seconds for which a figure that has hardly changed need not be told; well within ``utilization.MAX_AGE``.
_REFRESH = 20.0


class Measurements:
    """Written by samplers, read by the API's looks into hosts."""

    def __init__(self) -> None:
        #: How each registered host is to be measured, as far as is known yet.
        self.wishes: Mapping[str, Wish] = {}
        self._tracks: dict[str, HostTrack] = {}
        self._containers: dict[str, dict[str, ContainerTrack]] = {}
        self._told: dict[str, HostUse] = {}
        self._uses: dict[str, HostUse] = {}
        self._helpers: dict[str, HelperMode] = {}

    def wish(self, host_id: str, usual: HelperMode) -> Wish | None:
        """With the mode filled in; what tells its load itself needs no plain helper. None: not known yet."""
        wish = self.wishes.get(host_id)
        if wish is None:
            return None
        mode = usual if wish.mode is None else wish.mode
        if mode is HelperMode.PLAIN and wish.metrics_url is not None:
            mode = HelperMode.NONE
        return Wish(mode, wish.metrics_url)

    def note_host(self, host_id: str, counters: HostCounters, now: float, time_constant: float) -> None:
        track = follow_host(self._tracks.get(host_id), counters, now, time_constant)
        self._tracks[host_id] = track
        if is_news(self._told.get(host_id), track, _REFRESH):
            self._uses[host_id] = self._told[host_id] = track.use

    def note_containers(
        self, host_id: str, reading: ContainersReading, cores: float, now: float, time_constant: float
    ) -> None:
        tracks = self._containers.get(host_id, {})
        self._containers[host_id] = follow_containers(tracks, reading, cores, now, time_constant)

    def note_helper(self, host_id: str, mode: HelperMode) -> None:
        self._helpers[host_id] = mode

    def forget(self, host_id: str) -> None:
        """Its next sample is the first one."""
        for known in (self._tracks, self._containers, self._told):
            known.pop(host_id, None)

    def stats(self, host_id: str, container_id: str, now: float, max_age: float) -> ContainerStats | None:
        """None: nothing fresh is known here."""
        track = self._containers.get(host_id, {}).get(container_id)
        if track is None or track.cpu is None or not is_fresh(track.sampled_at, now, max_age):
            return None
        return container_stats(track)

    def counters(self, host_id: str, container_id: str, now: float, max_age: float) -> ContainerReading | None:
        """As they were last read; None: nothing fresh is known here."""
        track = self._containers.get(host_id, {}).get(container_id)
        fresh = track is not None and is_fresh(track.sampled_at, now, max_age)
        return ContainerReading(track.at, track.counters) if track is not None and fresh else None

    def take_news(self) -> tuple[dict[str, HostUse], dict[str, HelperMode]]:
        """What is to be told of hosts, by their ids, since the last time."""
        uses, self._uses = self._uses, {}
        helpers, self._helpers = self._helpers, {}
        return uses, helpers
