"""Version discovery, which needs no credentials, and paths.

Guaranteed: the links given lead to where the client reached us (``origin``).
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from spinney.api.auth import Headers
from spinney.api.versions import choices, details
from spinney.api.wire import Reply, json_reply
from spinney.errors import RouteNotFound

_ACCEPT = re.compile(r"application/vnd\.openstack\.clustering-v1(?:\.[0-9]+)?")


def split_path(scope: Any) -> list[str]:
    """The segments of the path, each decoded by itself, so that a name may hold any character."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    raw = raw.partition(b"?")[0]
    root: str = scope.get("root_path", "")
    if root and raw.startswith(root.encode() + b"/"):
        raw = raw[len(root) :]
    segments = raw.removeprefix(b"/").split(b"/")
    return [
        (unquote_to_bytes(segment) if b"%" in segment else segment).decode("utf-8", "replace") for segment in segments
    ]


def answer(scope: Any, headers: Headers, segments: list[str], base_url: str) -> Reply | None:
    """The version document, if that is what was asked for; None for paths that belong to the API itself.

    Raises: RouteNotFound for a path outside of it.
    """
    reading = scope["method"] == "GET"
    if segments in ([""], ["versions"]) and reading:
        return json_reply(choices(base_url), 300)
    if segments[0] == "v1":
        return json_reply(details(base_url)) if segments[1:] in ([], [""]) and reading else None
    accept = headers.get(b"accept", b"").decode("latin-1").strip()
    if _ACCEPT.fullmatch(accept):
        return None
    if accept in ("", "*/*") and reading:
        return json_reply(choices(base_url), 300)
    raise RouteNotFound(f"There is nothing at /{'/'.join(segments)[:255]}; the API is at /v1.")
