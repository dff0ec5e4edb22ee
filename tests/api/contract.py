"""Asking one thing of an API, for tests that hold the contract's statements in tables."""

from __future__ import annotations

from typing import Any

from api.client import Answer
from api.world import World, run


def ask(
    world: World,
    method: str,
    path: str,
    body: Any = None,
    *,
    who: str = "admin",
    version: str | None = "clustering 1.14",
    **query: Any,
) -> Answer:
    """``path`` without /v1."""
    client = world.client.as_user(who).at(version)
    return run(lambda: client.request(method, f"/v1{path}", body, query=query))


def contents(answer: Answer) -> Any:
    """What is behind the one key of a success."""
    assert answer.status < 300, answer.body
    (content,) = answer.json.values()
    return content
