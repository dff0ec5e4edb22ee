"""From looks at a member to what it uses, and from that to the figures that signals ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from spinney.domain.autoscale.rules import Aggregation, Metric, Rules, Scrape, Signal, Step, Target
from spinney.domain.autoscale.usage import Look, Needs, Share, Usage, figures, needs, used
from spinney.domain.sizing import Adjustment
from spinney.domain.utilization import ContainerCounters, ContainerReading

GAUGE, COUNTER = Scrape(80, "waiting"), Scrape(80, "done", counter=True)
SCRAPES = (GAUGE, COUNTER)


def look(now: float, cpu: float | None = 1.0, container: str = "c", way: str = "engine", **fields: Any) -> Look:
    counters = ContainerCounters(cpu=cpu, memory=100, rx_bytes=fields.pop("rx", None), tx_bytes=fields.pop("tx", None))
    return Look(container, now, way, ContainerReading(fields.pop("at", now), counters), **fields)


def test_rates_are_between_two_looks() -> None:
    first, second = look(100.0, 1.0, rx=1000, tx=0), look(110.0, 6.0, rx=3000, tx=500)
    assert used(None, first, ()) == Usage(memory=100, sampled_at=100.0)
    assert used(first, second, ()) == Usage(cpu=0.5, memory=100, rx_rate=200.0, tx_rate=50.0, sampled_at=110.0)


@pytest.mark.parametrize(
    "before",
    [
        look(100.0, container="another"),
        look(100.0, way="helper"),
        look(100.0, cpu=9.0),  # it has begun anew
        look(100.0, cpu=None),
        look(100.0, at=None),
        look(100.0, at=110.0),
        Look("c", 100.0),
    ],
    ids=["another container", "another way", "fallen", "unknown", "not running", "the same moment", "unread"],
)
def test_what_makes_no_rate(before: Look) -> None:
    found = used(before, look(110.0, 6.0), ())
    assert (found.cpu, found.memory) == (None, 100)


def test_what_is_told() -> None:
    told = {GAUGE.key: 7.0, COUNTER.key: 50.0}
    first, second = Look("c", 100.0, scraped=told), Look("c", 120.0, scraped={GAUGE.key: 9.0, COUNTER.key: 150.0})
    assert used(None, first, SCRAPES).scraped == {GAUGE.key: 7.0}
    assert used(first, second, SCRAPES).scraped == {GAUGE.key: 9.0, COUNTER.key: 5.0}
    assert used(replace(first, container_id="other"), second, SCRAPES).scraped == {GAUGE.key: 9.0}
    assert used(second, replace(first, now=140.0), SCRAPES).scraped == {GAUGE.key: 7.0}, "it has begun anew"
    assert used(first, Look("c", 120.0), SCRAPES) == Usage(sampled_at=120.0)


def test_figures_by_what_a_container_may_use() -> None:
    usage = Usage(cpu=0.5, memory=256, rx_rate=10.0, scraped={"x": 3.0}, sampled_at=0.0)
    assert figures(usage, Share(2.0, 0.25, 1024)) == {
        "cpu": 25.0, "cpu_reserved": 200.0, "cpu_cores": 0.5, "memory": 25.0, "memory_bytes": 256.0, "network_in": 10.0,
        "x": 3.0,
    }  # fmt: skip
    assert figures(Usage(cpu=0.5, sampled_at=0.0), Share(0.0, 0.0, 0)) == {"cpu_cores": 0.5}


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        ((Signal(Metric.CPU_CORES),), Needs(15.0, True, False, ())),
        ((Signal(Metric.MEMORY),), Needs(15.0, True, False, ())),
        ((Signal(Metric.NETWORK_OUT),), Needs(15.0, False, True, ())),
        ((Signal(Metric.REQUESTS),), Needs(15.0, False, False, ())),
        (
            (Signal(Metric.SCRAPE, scrape=GAUGE), Signal(Metric.SCRAPE, Aggregation.SHARED, GAUGE)),
            Needs(15.0, False, False, (GAUGE,)),
        ),
    ],
)
def test_only_what_is_needed_is_looked_at(signals: tuple[Signal, ...], expected: Needs) -> None:
    rules = Rules(minimum=1, maximum=2, targets=tuple(Target(signal, 1.0) for signal in signals))
    assert needs(rules) == expected
    assert expected.any == (signals[0].metric is not Metric.REQUESTS)
    steps = tuple(Step(signal, Adjustment.CHANGE, 1, at_least=1.0) for signal in signals)
    assert needs(replace(rules, targets=(), steps=steps)) == expected
