"""One metric out of what a container tells in Prometheus' text format.

Guaranteed: any bytes lead to a figure or to None, in time that grows with their number alone; lines that are not understood
and values that are not finite are passed over. An answer that was cut off at its bound is not read at all, because sums over
parts of it would mean something else.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from spinney.domain.autoscale.rules import Scrape
from spinney.domain.probe import LARGEST_BODY, ProbeAnswer

#: Bytes of an answer at most.
LARGEST = LARGEST_BODY
#: Characters of a line at most; longer ones are passed over.
_LONGEST_LINE = 16384
#: Series that match at most; more are another mistake than this can mend.
_MOST = 10_000

_NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL = re.compile(r'\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\\n]|\\.)*)"\s*(,|(?=\}))')
_VALUE = re.compile(r"\s*(\S+)(?:\s+-?[0-9.]+)?\s*(?:#.*)?")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n"}


def read(answer: ProbeAnswer, scrape: Scrape) -> float | str:
    """The figure, or why there is none."""
    if answer.status is None:
        return answer.text or "no answer"
    if answer.status != 200:
        return f"it answered {answer.status}"
    if answer.text:
        return answer.text
    if len(answer.body) >= LARGEST:
        return f"its answer is longer than {LARGEST} bytes"
    found = figure(answer.body, scrape)
    labelled = " with those labels" if scrape.labels else ""
    return f"its answer has no {scrape.name}{labelled} with a finite value" if found is None else found


def figure(body: bytes, scrape: Scrape) -> float | None:
    """The sum over all series of that name that have at least those labels; None: there is none."""
    if len(body) >= LARGEST:
        return None
    total, found = 0.0, 0
    wanted = dict(scrape.labels)
    for labels, value in _series(body.decode("utf-8", "replace"), scrape.name):
        if all(labels.get(name) == text for name, text in wanted.items()):
            total, found = total + value, found + 1
        if found > _MOST:
            return None
    return total if found and math.isfinite(total) else None


def _series(text: str, name: str) -> Iterator[tuple[dict[str, str], float]]:
    for line in text.split("\n"):
        if not line.startswith(name) or len(line) > _LONGEST_LINE:
            continue
        told = _NAME.match(line)
        if told is None or told.group() != name:
            continue
        labels = _labels(line, told.end())
        value = None if labels is None else _VALUE.fullmatch(line, labels[1])
        number = None if value is None else _number(value[1])
        if labels is not None and number is not None:
            yield labels[0], number


def _labels(line: str, at: int) -> tuple[dict[str, str], int] | None:
    """The labels, and where they end; None: that is no line of samples."""
    if not line.startswith("{", at):
        return ({}, at) if line[at : at + 1].isspace() else None
    at += 1
    found: dict[str, str] = {}
    while (label := _LABEL.match(line, at)) is not None:
        found[label[1]] = _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), label[2])
        at = label.end()
    while line[at : at + 1].isspace():
        at += 1
    return (found, at + 1) if line.startswith("}", at) else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
