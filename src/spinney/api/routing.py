"""Finding the route of a request."""

from __future__ import annotations

from collections.abc import Iterable

from spinney.api.wire import Route

#: A route, and the variable parts of the path.
Found = tuple[Route, tuple[str, ...]]


class Table:
    """Routes by method, number of segments and first segment."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._buckets: dict[tuple[str, int, str], list[Route]] = {}
        for route in routes:
            key = (route.method, len(route.segments), route.segments[0])
            self._buckets.setdefault(key, []).append(route)
        for bucket in self._buckets.values():  # fixed words before variable parts
            bucket.sort(key=lambda route: [segment.startswith("{") for segment in route.segments])

    def find(self, method: str, segments: list[str]) -> Found | None:
        for route in self._buckets.get((method, len(segments), segments[0]), ()):
            words = []
            for wanted, given in zip(route.segments, segments, strict=True):
                if wanted.startswith("{"):
                    words.append(given)
                elif wanted != given:
                    break
            else:
                return (route, tuple(words)) if all(words) else None
        return None
