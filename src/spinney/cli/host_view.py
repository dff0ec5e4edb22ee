"""How hosts look: what is set aside on them and what is used, as numbers and, on a terminal, as bars.

A bar holds two: the upper halves of its blocks are what is reserved, the lower halves what is used. What is unknown is a dash
or dots, never zero; a sample too old to go by is not drawn, and its age is told.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from spinney.cli import output
from spinney.cli.output import Column, Row, reason_of
from spinney.cli.text import ago, cores, exact, moment, one_line, share_of, size, twin_bar

KINDS = ("cpu", "memory", "disk")
#: Seconds after which a sample says little about the present.
STALE_AFTER = 60.0
_ANSWERING = frozenset({"ready", "cordoned", "draining"})
LEGEND = "▀RES ▄USED"
WIDE_BAR = 24


def _of(row: Row, what: str, kind: str) -> Any:
    return (row.get(what) or {}).get(kind)


def written(kind: str, value: Any) -> str:
    return cores(value) if kind == "cpu" else size(value)


def reserved(row: Row, kind: str) -> str:
    """With the share, where no bar shows it."""
    part, whole = _of(row, "reserved", kind), _of(row, "capacity", kind)
    share = "" if sys.stdout.isatty() else f" {share_of(part, whole)}"
    return f"{written(kind, part)}/{written(kind, whole)}{share}"


def used(row: Row, kind: str) -> str:
    return share_of(_of(row, "used", kind), _of(row, "capacity", kind))


def drawn(row: Row, kind: str, now: datetime, width: int = 10) -> str:
    use = None if stale(row, now) else _of(row, "used", kind)
    return twin_bar(_of(row, "reserved", kind), use, _of(row, "capacity", kind), width)


def stale(row: Row, now: datetime) -> str:
    """The age of the sample, when it is not fresh."""
    at = _of(row, "used", "sampled_at")
    taken = moment(at)
    return "" if taken is None or (now - taken).total_seconds() <= STALE_AFTER else ago(at, now)


def seen(row: Row) -> str:
    """When a host that does not answer was last heard of."""
    return "" if row.get("state") in _ANSWERING else ago(row.get("seen_at"), datetime.now(UTC))


def _of_kind(kind: str, short: str) -> tuple[Column, ...]:
    return (
        Column(f"{short} RES", lambda row: reserved(row, kind)),
        Column(LEGEND, lambda row: drawn(row, kind, datetime.now(UTC)), picture=True, style=lambda _: "cyan", spare=1),
        Column("USED", lambda row: used(row, kind), right=True, spare=6),
    )


COLUMNS = (
    Column("NAME", "name"),
    Column("ID", lambda row: str(row.get("id", ""))[:8], spare=7),
    Column("STATE", "state", is_status=True),
    Column("ZONE", "zone", spare=2),
    *_of_kind("cpu", "CPU"),
    *_of_kind("memory", "MEM"),
    Column("SAMPLED", lambda row: stale(row, datetime.now(UTC)), optional=True, style=lambda _: "yellow", spare=4),
    Column("CONTAINERS", "containers", right=True, spare=3),
    Column("SEEN", seen, optional=True, spare=5),
    Column("DOCKER", lambda row: one_line((row.get("engine") or {}).get("version")), spare=8),
    reason_of("state", "ready"),
)


def show(host: Row, now: datetime) -> None:
    """One host, with one line per resource in place of three maps."""
    output.show_fields(fields(host, now))


#: Told elsewhere on the page, or first.
_TOLD = frozenset({"capacity", "reserved", "used", "seen_at", "nodes", "profiles"})
_FIRST = ("name", "id", "state", "state_reason", "cluster_id", "zone", "region")


def fields(host: Row, now: datetime) -> list[tuple[str, Any]]:
    shown: list[tuple[str, Any]] = [(key, host[key]) for key in _FIRST if key in host]
    shown.append(("seen_at", exact(host.get("seen_at"))))
    shown += [(kind, resource(host, kind, now)) for kind in KINDS]
    shown.append(("sampled_at", sampled(host, now)))
    rest = {key: value for key, value in host.items() if key not in _TOLD and key not in _FIRST}
    shown += [(key, _flat(value)) for key, value in rest.items()]
    for key in ("nodes", "profiles"):
        if host.get(key):
            shown.append((key, [member(one) for one in host[key]]))
    return shown


def resource(host: Row, kind: str, now: datetime) -> str:
    """A bar and its numbers; without a capacity there is nothing to draw against."""
    whole = _of(host, "capacity", kind)
    amounts = {what: _of(host, what, kind) for what in ("reserved", "used")}
    if kind == "disk":
        del amounts["reserved"]  # nobody reserves any
    picture = "" if whole is None or not sys.stdout.isatty() else f"{drawn(host, kind, now, WIDE_BAR)}  "
    says = ", ".join(f"{written(kind, amount)} {what}" for what, amount in amounts.items())
    shares = ", ".join(f"{share_of(amount, whole)} {what}" for what, amount in amounts.items())
    return f"{picture}{says} of {written(kind, whole)}{f' ({shares})' if whole else ''}"


def sampled(host: Row, now: datetime) -> str:
    at = _of(host, "used", "sampled_at")
    if at is None:
        return "never: its use is not measured"
    return f"{exact(at)}{f', {ago(at, now)}: too old to go by' if stale(host, now) else ''}"


def _flat(value: Any) -> Any:
    """A small map as lines of words rather than as JSON."""
    if not isinstance(value, Mapping) or not value:
        return value
    return [f"{key}: {one_line(inner)}" for key, inner in value.items()]


def member(one: Row) -> str:
    """A node or profile that uses the host; a node that is not well says so."""
    status = one.get("status", "ACTIVE")
    return one_line(one.get("name")) + ("" if status == "ACTIVE" else f" ({one_line(status)})")
