"""What one process is to find out about members, and what it has found out and not told yet. No I/O."""

from __future__ import annotations

from collections.abc import Mapping

from spinney.domain.autoscale.usage import Needs, Usage


class Wanted:
    """Written by the loop that reads policies, read by those that look at members."""

    def __init__(self) -> None:
        #: By cluster.
        self.needs: Mapping[str, Needs] = {}
        self._found: dict[str, Usage] = {}

    def note(self, node_id: str, usage: Usage) -> None:
        self._found[node_id] = usage

    def take(self) -> dict[str, Usage]:
        """What is to be told, by node, since the last time."""
        found, self._found = self._found, {}
        return found
