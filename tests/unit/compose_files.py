"""Compose files for tests: one service around the lines that a case is about, and all keys there are."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from spinney.cli.compose import whole
from spinney.cli.compose.keys import Context, Keys
from spinney.cli.compose.whole import Deployment, Unusable, Wanted

HEAD = "x-spinney-host-cluster: metal\n"


def context(variables: Mapping[str, str] | None = None, files: Mapping[str, str] | None = None, **more: Any) -> Context:
    return Context(variables or {}, (files or {}).get, **{"folder": PurePosixPath("/home/me/shop"), **more})


def read(text: str, **given: Any) -> Deployment:
    return whole.read(textwrap.dedent(text), "c.yaml", context(**given))


def faults(text: str, **given: Any) -> list[str]:
    try:
        read(text, **given)
    except Unusable as unusable:
        return list(unusable.lines)
    return []


def service(lines: str, top: str = "") -> str:
    """A file with one service, web, of which the lines are more."""
    body = textwrap.indent(textwrap.dedent(lines), "    ")
    return f"{HEAD}{textwrap.dedent(top)}services:\n  web:\n    image: nginx\n{body}"


def one(lines: str, top: str = "", **given: Any) -> Wanted:
    (found,) = read(service(lines, top), **given).services
    return found


def properties(lines: str, top: str = "", **given: Any) -> dict[str, Any]:
    """Without the two that every case has."""
    found = one(lines, top, **given).spec["properties"]
    return {key: value for key, value in found.items() if key not in ("image", "host_cluster")}


def all_keys(keys: Keys = whole.TOP) -> Iterator[Keys]:
    yield keys
    for inner in keys.inner:
        yield from all_keys(inner)
