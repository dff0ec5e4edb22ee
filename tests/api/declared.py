"""Every answer a test gets is held against what the route table declares of its route."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import orjson
from pydantic import TypeAdapter

from spinney.api.answers.base import Shape
from spinney.api.openapi import refusals
from spinney.api.routes import ROUTES
from spinney.api.routing import Table

_TABLE = Table(ROUTES)


def check(method: str, path: str, status: int, media_type: str | None, body: bytes) -> None:
    """Does nothing about paths that are no route's."""
    segments = path.removeprefix("/v1").strip("/").split("/")
    found = _TABLE.find(method, segments) if not path.endswith("/") else None
    if found is None:
        return
    route = found[0]
    if status >= 400:
        # A route that is not there for the caller answers as unknown ones do.
        assert status in {*refusals(route), 404}, f"{method} {route.path} answered {status}, undeclared"
        return
    if route.path == "openapi.json":
        return
    shape = route.answer if status == route.status else route.also[status]
    if shape is None:
        assert not body or (media_type or "").startswith(route.media_type)
        return
    content = orjson.loads(body)
    if shape.envelope is not None:
        assert list(content) == [shape.envelope], (method, route.path, list(content))
        content = content[shape.envelope]
    if shape.model is None:
        assert content is None
        return
    _adapter(shape).validate_python(content)


@lru_cache(maxsize=256)
def _adapter(shape: Shape) -> TypeAdapter[Any]:
    return TypeAdapter(shape.annotation)
