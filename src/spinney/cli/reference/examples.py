"""Examples of calls, as people type them: a line of curl for each route.

Guaranteed: run in their order on a service that has what ``Body.example`` supposes, each is answered with its route's status;
``tests/clients/test_examples.py`` does that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from spinney.api.wire import Route

#: What stands for the variable parts of paths, by the last fixed segment before them.
_WORDS = {
    "clusters": "site",
    "nodes": "one",
    "profiles": "web",
    "policies": "shrink",
    "receivers": "grow",
    "webhooks": "$RECEIVER",
    "hosts": "m1",
    "secrets": "database",
    "credentials": "registry",
    "actions": "$ACTION",
    "events": "$EVENT",
    "attrs": "name",
    "shares": "*",
    "runs": "1",
    "quotas": "$PROJECT",
    "image-rules": "$PROJECT",
    "profile-types": "container.dockerinc.docker-1.0",
    "policy-types": "senlin.policy.deletion-1.1",
}
#: Where it is another word.
_OTHERS = {
    "clusters/{cluster}/policies/{policy}": {"policies": "spread"},
    "clusters/{cluster}/runs": {"clusters": "nightly"},
    "clusters/{cluster}/runs/{number}": {"clusters": "nightly"},
    "clusters/{cluster}/shares": {"clusters": "metal"},
    "clusters/{cluster}/shares/{project}": {"clusters": "metal"},
}
_RENAMED = {("DELETE", "policies/{policy}"): {"policies": "shrinking"}}
_QUERIES = {
    ("GET", "nodes"): "cluster_id=site&sort=name:desc&limit=10",
    ("GET", "nodes/{node}"): "show_details=true",
    ("GET", "nodes/{node}/logs"): "tail=10",
    ("GET", "clusters/{cluster}/logs"): "tail=10&timestamps=true",
    ("POST", "webhooks/{receiver}/trigger"): "V=2",
}
_VARIABLE = re.compile(r"\{[a-z_]+\}")
_WIDTH = 118


def refused(route: Route) -> bool:
    """Whether it is there only because the Clustering API has it."""
    return route.summary.startswith("Refused")


def curl(route: Route) -> str:
    """The command, for a shell that has ``$API``, ``$AUTH`` and ``$VERSION``."""
    address = f"$API/{_path(route)}"
    query = _QUERIES.get((route.method, route.path))
    parts = ["curl", *([] if route.method == "GET" else ["-X", route.method])]
    parts.append(f'"{address}?{query}"' if query else f'"{address}"')
    headers = ['"X-Spinney-Webhook-Secret: $SECRET"'] if route.public else ['"$AUTH"', '"$VERSION"']
    example = None if route.body is None else route.body.example
    if example is not None:
        headers.append("'Content-Type: application/json'")
    parts += [f"-H {header}" for header in headers]
    line = " ".join(parts)
    return line if example is None else f"{line} \\\n  -d '{_json(example)}'"


def _path(route: Route) -> str:
    others = _OTHERS.get(route.path, {}) | _RENAMED.get((route.method, route.path), {})
    found, before = [], ""
    for segment in route.segments:
        variable = _VARIABLE.fullmatch(segment) is not None
        found.append((others.get(before) or _WORDS[before]) if variable else segment)
        before = before if variable else segment
    return "/".join(found)


def _json(example: Mapping[str, object]) -> str:
    line = json.dumps(example)
    return line if len(line) < _WIDTH else json.dumps(example, indent=2).replace("\n", "\n  ")


#: What goes before others: objects first, then what is done to them, and what ends them last.
_MADE = ("profiles", "clusters", "nodes", "policies", "receivers", "secrets", "credentials")
_ENDED = ("receivers", "nodes", "clusters", "policies", "profiles")


def in_order(routes: Iterable[Route]) -> list[Route]:
    """So that each finds what it is about."""

    def rank(route: Route) -> tuple[int, int]:
        if route.method == "POST" and route.path in _MADE:
            return 0, _MADE.index(route.path)
        if route.method == "DELETE":
            first = route.segments[0]
            alone = len(route.segments) == 2 and first in _ENDED
            return (3, _ENDED.index(first)) if alone else (2, 0)
        return 1, 0

    return sorted((route for route in routes if not refused(route)), key=rank)
