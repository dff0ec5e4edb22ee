"""Plans as tables: what would happen to whom, and who would be without room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from spinney.cli import output
from spinney.cli.command import Use
from spinney.cli.output import Column, Format
from spinney.cli.text import harmless, one_line

_STYLES = {
    "create": "green",
    "change": "green",
    "move": "cyan",
    "replace": "yellow",
    "delete": "red",
    "stay": "magenta",
}


def route(row: output.Row) -> str:
    """``h1 → h3``; what comes from nowhere or goes nowhere has one end."""
    source, target = row.get("from"), row.get("to")
    if source and target:
        return f"{one_line(source)} → {one_line(target)}" if source != target else f"on {one_line(source)}"
    return f"from {one_line(source)}" if source else f"to {one_line(target)}" if target else "-"


def _batch(row: output.Row) -> str:
    return "" if row.get("batch") is None else one_line(row.get("batch"))


COLUMNS = (
    Column("BATCH", _batch, right=True, optional=True),
    Column("STEP", "step", style=lambda cell: _STYLES.get(cell, "")),
    Column("HOW", lambda row: one_line(row.get("manner")) if row.get("manner") else "", optional=True),
    Column("NODE", "node"),
    Column("WHERE", route),
    Column("WHY", "reason"),
)


def nearest(row: output.Row) -> str:
    miss = row.get("nearest_miss") or {}
    return one_line(miss.get("text")) if miss else ""


def alike(rows: Sequence[output.Row], most: int = 3) -> list[output.Row]:
    """One row for all nodes of which the same is said."""
    groups: dict[tuple[str, str], list[output.Row]] = {}
    for row in rows:
        groups.setdefault((one_line(row["summary"]), nearest(row)), []).append(row)
    return [{**same[0], "node": _named([str(row["node"]) for row in same], most)} for same in groups.values()]


def _named(names: Sequence[str], most: int) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


UNPLACEABLE = (
    Column("NO ROOM FOR", "node", style=lambda cell: "red"),
    Column("WHY", "summary"),
    Column("IT WOULD FIT WITH", nearest, optional=True),
)


def show(use: Use, plan: Any) -> None:
    if use.form is not Format.TABLE:
        output.show_object(plan, use.form)
        return
    if plan["steps"]:
        output.show_list(plan["steps"], COLUMNS, Format.TABLE, "")
    if plan["unplaceable"]:
        if plan["steps"]:
            output.emit("")
        output.show_list(alike(plan["unplaceable"]), UNPLACEABLE, Format.TABLE, "")
    output.note(harmless(plan["summary"]))
