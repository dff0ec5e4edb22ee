"""Figures in words."""

from __future__ import annotations

from spinney.domain.autoscale.rules import Metric, Signal

_PER_CENT = {Metric.CPU: "the limit", Metric.CPU_RESERVED: "the reservation", Metric.MEMORY: "the limit"}
_STEPS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def called(signal: Signal) -> str:
    """What a signal is called in sentences."""
    if signal.metric is Metric.REQUESTS:
        return "the rate of requests"
    what = f"{signal.scrape.name} (scraped)" if signal.scrape is not None else signal.metric.value
    if signal.metric in _PER_CENT:
        what = signal.metric.value.split("_")[0]
    return what


def figure(signal: Signal, value: float) -> str:
    """A figure of one member, with its unit."""
    if signal.metric in _PER_CENT:
        return f"{value:.1f} % of {_PER_CENT[signal.metric]}"
    if signal.metric is Metric.CPU_CORES:
        return f"{value:.2f} cores"
    if signal.metric is Metric.MEMORY_BYTES:
        return _bytes(value)
    if signal.metric in (Metric.NETWORK_IN, Metric.NETWORK_OUT):
        return f"{_bytes(value)}/s"
    per_second = signal.metric is Metric.REQUESTS or (signal.scrape is not None and signal.scrape.counter)
    return f"{value:.4g}/s" if per_second else f"{value:.4g}"


def members(count: int) -> str:
    return f"{count} member{'s' * (count != 1)}"


def seconds(count: float) -> str:
    return f"{count:.0f} s"


def _bytes(value: float) -> str:
    step = 0
    while abs(value) >= 1024 and step < len(_STEPS) - 1:
        value, step = value / 1024, step + 1
    return f"{value:.4g} {_STEPS[step]}"
