"""The ``list`` command of a noun, which is the same for most of them."""

from __future__ import annotations

from collections.abc import Sequence

from spinney.cli import output
from spinney.cli.command import Use
from spinney.cli.output import Column
from spinney.cli.transport import Query

#: Actions and events never end; without --limit the newest so many are shown.
NEWEST = 100


def show(use: Use, path: str, query: Query, columns: Sequence[Column], empty: str) -> None:
    rows = use.service.get(path, query=query)[path]
    output.show_list(rows, columns, use.form, empty)


def newest_first(query: dict[str, str | list[str]], key: str) -> dict[str, str | list[str]]:
    return {"sort": f"{key}:desc", "limit": str(NEWEST), **query}
