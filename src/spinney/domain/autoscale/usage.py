"""What a member uses: from two looks at its counters to rates, and from these to the figures that signals ask for.

Guaranteed: what cannot be known is left out, never zero; two looks at different containers, or read in different ways, make no
rate; a counter that fell begins anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

from spinney.domain.autoscale.rules import OF_CPU, Metric, Rules, Scrape
from spinney.domain.utilization import ContainerReading, rate

_OF_MEMORY = (Metric.MEMORY, Metric.MEMORY_BYTES)
_OF_NETWORKS = (Metric.NETWORK_IN, Metric.NETWORK_OUT)


@dataclass(frozen=True, slots=True)
class Needs:
    """What is to be found out about the members of one cluster, and every how many seconds."""

    interval: float
    counters: bool
    networks: bool
    scrapes: tuple[Scrape, ...]

    @property
    def any(self) -> bool:
        return self.counters or self.networks or bool(self.scrapes)


def needs(rules: Rules) -> Needs:
    metrics = {signal.metric for signal in rules.signals}
    scrapes = dict.fromkeys(signal.scrape for signal in rules.signals if signal.scrape is not None)
    return Needs(
        rules.interval,
        counters=not metrics.isdisjoint((*OF_CPU, *_OF_MEMORY)),
        networks=not metrics.isdisjoint(_OF_NETWORKS),
        scrapes=tuple(scrapes),
    )


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a container. ``way``: how its counters were read; ``scraped``: what was told, by the keys of scrapes;
    ``unread``: why it was not, by the same."""

    container_id: str
    now: float
    way: str = ""
    reading: ContainerReading | None = None
    scraped: Mapping[str, float] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """CPU in cores, memory in bytes, networks in bytes per second; None: unknown. ``unread``: why a scrape told nothing, by
    its key."""

    cpu: float | None = None
    memory: int | None = None
    rx_rate: float | None = None
    tx_rate: float | None = None
    scraped: Mapping[str, float] = field(default_factory=dict)
    unread: Mapping[str, str] = field(default_factory=dict)
    sampled_at: float


def used(before: Look | None, look: Look, scrapes: Iterable[Scrape]) -> Usage:
    """Between the two looks, or by the later one alone."""
    if before is not None and before.container_id != look.container_id:
        before = None
    cpu = memory = received = sent = None
    if look.reading is not None:
        memory = look.reading.counters.memory
        if before is not None and before.reading is not None and before.way == look.way:
            cpu, received, sent = _rates(before.reading, look.reading)
    return Usage(
        cpu=cpu,
        memory=memory,
        rx_rate=received,
        tx_rate=sent,
        scraped=_scraped(before, look, scrapes),
        unread=look.unread,
        sampled_at=look.now,
    )


def _rates(before: ContainerReading, after: ContainerReading) -> tuple[float | None, float | None, float | None]:
    if before.at is None or after.at is None:
        return None, None, None
    seconds, old, new = after.at - before.at, before.counters, after.counters
    pairs = ((old.cpu, new.cpu), (old.rx_bytes, new.rx_bytes), (old.tx_bytes, new.tx_bytes))
    cpu, received, sent = (rate(first, second, seconds, inf) for first, second in pairs)
    return cpu, received, sent


def _scraped(before: Look | None, look: Look, scrapes: Iterable[Scrape]) -> dict[str, float]:
    found: dict[str, float] = {}
    for scrape in scrapes:
        value = look.scraped.get(scrape.key)
        if scrape.counter:
            earlier = None if before is None else before.scraped.get(scrape.key)
            value = rate(earlier, value, look.now - (look.now if before is None else before.now), inf)
        if value is not None:
            found[scrape.key] = value
    return found


@dataclass(frozen=True, slots=True)
class Share:
    """What a container may use at most, and what is set aside for it: cores and bytes."""

    cpu_limit: float
    cpu_reservation: float
    memory_limit: int


def figures(usage: Usage, share: Share) -> dict[str, float]:
    """By the keys of signals."""
    found: dict[str, float | None] = {
        Metric.CPU.value: _percent(usage.cpu, share.cpu_limit),
        Metric.CPU_RESERVED.value: _percent(usage.cpu, share.cpu_reservation),
        Metric.CPU_CORES.value: usage.cpu,
        Metric.MEMORY.value: _percent(usage.memory, share.memory_limit),
        Metric.MEMORY_BYTES.value: usage.memory,
        Metric.NETWORK_IN.value: usage.rx_rate,
        Metric.NETWORK_OUT.value: usage.tx_rate,
        **usage.scraped,
    }
    return {key: float(value) for key, value in found.items() if value is not None}


def _percent(value: float | None, whole: float) -> float | None:
    return None if value is None or whole <= 0 else 100 * value / whole
