"""The load that ``spinney autoscale backtest`` runs over: a table of one's own, or what a cluster has recorded.

Guaranteed: a table that could be understood in two ways is refused with the line, never mended in silence; every figure is a
number from 0 to ``MOST``, or unknown.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from spinney.cli import looking, yaml_file
from spinney.cli.command import Use
from spinney.cli.faults import CliError
from spinney.domain.autoscale.rules import Rules
from spinney.domain.autoscale.values import Sample

#: More is no load of any cluster, and cannot be calculated with.
MOST = 1e15
#: Seconds since 1970; what is larger was meant as milliseconds.
_LATEST = 1e11
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Load:
    """``samples``: by the names of metrics. ``what`` says in messages where they are from; ``remedy``: what to do about a
    metric that is not among them."""

    what: str
    samples: Mapping[str, Sequence[Sample]]
    remedy: str


def recorded(use: Use, word: str) -> Load:
    """What a cluster's evaluations have seen; a figure that no load can be is unknown."""
    found: dict[str, list[Sample]] = {}
    query: dict[str, str | list[str]] = {"limit": str(_PAGE)}
    while True:
        rows = looking.unwrapped(use.service.get("clusters", word, "metrics", query=query))
        for row in rows:
            at, value = datetime.fromisoformat(row["at"]).timestamp(), row["value"]
            value = value if value is not None and 0 <= value <= MOST else None
            sample = Sample(row["name"], at, value, int(row["counted"]), int(row["members"]))
            found.setdefault(sample.name, []).append(sample)
        if len(rows) < _PAGE:
            break
        query["marker"] = str(rows[-1]["id"])
    if not found:
        raise CliError(
            f"nothing has been recorded of cluster {word} yet: attach an autoscaling policy to it, enabled, and let it be "
            "evaluated for a while, or give a load with --metrics"
        )
    return Load(f"the history of cluster {word}", found, "only what its own policies look at is recorded")


def table(path: str) -> Load:
    what = f"--metrics {path!r}"
    rows = _rows(yaml_file.text(path, what, "CSV"), what)
    _, header = next(rows, (0, []))
    names = _named([name.strip() for name in header], what)
    found: dict[str, list[Sample]] = {name: [] for name in names if name != "time"}
    before: _Moment | None = None
    for where, cells in rows:
        if len(cells) != len(names):
            raise CliError(
                f"{where}: it has {len(cells)} fields, and the first line names {len(names)}: give one for each"
            )
        row = dict(zip(names, cells, strict=True))
        before = _after(before, _moment(row["time"].strip(), where), where)
        for name, samples in found.items():
            samples.append(Sample(name, before.at, _value(row[name].strip(), f"{where}, column {name}"), 1, 1))
    if before is None:
        raise CliError(f"{what} has no rows under its first line: give the load, a row for each moment")
    return Load(what, found, "name the columns as the policy's metrics are named")


def _rows(text: str, what: str) -> Iterator[tuple[str, list[str]]]:
    """Those that are not empty, each with where it stands."""
    reader = csv.reader(text.splitlines())
    try:
        for cells in reader:
            if cells:
                yield f"{what}, line {reader.line_num}", cells
    except csv.Error as error:
        raise CliError(f"{what}, line {reader.line_num}: it is no CSV: {error}") from error


def _named(names: list[str], what: str) -> list[str]:
    if "time" not in names or len(names) < 2:
        raise CliError(f"{what}: the first line has to name the columns: time, and one for each metric, such as cpu")
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise CliError(f"{what}, line 1: two columns are named '{twice}': leave one out, or name it otherwise")
    return names


@dataclass(frozen=True, slots=True)
class _Moment:
    text: str
    at: float
    in_seconds: bool


def _moment(text: str, where: str) -> _Moment:
    try:
        moment = _Moment(text, float(text), True)
    except ValueError:
        try:
            told = datetime.fromisoformat(text)
        except ValueError:
            raise CliError(
                f"{where}: time {text!r} is neither seconds nor a time such as 2026-01-31T12:00:00Z"
            ) from None
        moment = _Moment(text, (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp(), False)
    if not 0 <= moment.at <= _LATEST:
        raise CliError(
            f"{where}: time {text!r} is no moment: write seconds from 0 to {_LATEST:g}, or a time since 1970"
        )
    return moment


def _after(before: _Moment | None, moment: _Moment, where: str) -> _Moment:
    if before is not None and before.in_seconds != moment.in_seconds:
        raise CliError(
            f"{where}: time {moment.text!r} is written otherwise than {before.text!r} before it: write all in seconds, or "
            "all as 2026-01-31T12:00:00Z"
        )
    if before is not None and moment.at <= before.at:
        raise CliError(
            f"{where}: time {moment.text!r} is not later than {before.text!r} before it: sort the lines by time, one for each "
            "moment"
        )
    return moment


def _value(text: str, where: str) -> float | None:
    """Empty is unknown."""
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= MOST:
        raise CliError(
            f"{where}: {text!r} is no load: write a number from 0 to {MOST:g}, or nothing where it is unknown"
        )
    return value


def asked_for(rules: Rules, load: Load) -> Mapping[str, Sequence[Sample]]:
    """What the policy looks at; all of it, if it looks at nothing."""
    names = list(dict.fromkeys(signal.name for signal in rules.signals))
    missing = [name for name in names if not load.samples.get(name)]
    if missing:
        raise CliError(
            f"the policy looks at {', '.join(missing)}, and {load.what} does not tell of that; it tells of "
            f"{', '.join(sorted(load.samples))}: {load.remedy}"
        )
    found = {name: load.samples[name] for name in names} or load.samples
    if names and all(sample.value is None for samples in found.values() for sample in samples):
        raise CliError(f"there is nothing to run over: {load.what} has no figure of {', '.join(names)} at any moment")
    if len({sample.at for samples in found.values() for sample in samples}) < 2:
        raise CliError(f"{load.what} has one moment alone: at least two are needed, the first and the last of the run")
    return found
