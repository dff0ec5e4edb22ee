"""Showing types of profiles and policies: which there are, and what they take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from spinney.cli import output
from spinney.cli.command import Use
from spinney.cli.output import Column, Format
from spinney.cli.text import one_line

Type = Annotated[str, typer.Argument(metavar="TYPE-VERSION", help="As the list of types shows it.")]


def show_list(use: Use, rows: list[Any], empty: str) -> None:
    if use.form is Format.NAME:
        rows = [{"name": _full_type(row)} for row in rows]
    output.show_list(rows, (Column("TYPE", _full_type), Column("SUPPORT", _support)), use.form, empty)


def show_schema(use: Use, found: Any, schema: Mapping[str, Any], title: str) -> None:
    """``found`` is what programs get; people get the schema as a table, its first column under ``title``."""
    if use.form is not Format.TABLE:
        output.show_object(found, use.form)
        return
    columns = (
        Column(title, "path"),
        Column("TYPE", "type"),
        Column("NEEDED", "needed"),
        Column("DEFAULT", "default"),
        Column("WHAT IT IS", "description"),
    )
    output.show_list(list(flattened(schema)), columns, use.form, "nothing")


def flattened(schema: Mapping[str, Any], prefix: str = "") -> Iterator[dict[str, Any]]:
    """A schema as rows, what is inside a map or list named by its path."""
    for name, part in schema.items():
        path = f"{prefix}[]" if name == "*" else f"{prefix}.{name}" if prefix else name
        yield {
            "path": path,
            "type": part.get("type"),
            "needed": "yes" if part.get("required") else "",
            "default": one_line(part["default"]) if "default" in part else "",
            "description": part.get("description") or "",
        }
        yield from flattened(part.get("schema") or {}, path)


def _support(row: output.Row) -> str:
    entries = (row.get("support_status") or {}).get(str(row.get("version"))) or []
    return one_line([f"{entry.get('status')} since {entry.get('since')}" for entry in entries])


def _full_type(row: output.Row) -> str:
    return one_line(f"{row.get('name')}-{row['version']}" if row.get("version") else row.get("name"))
