"""From what a load balancer has counted to how much it serves now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from spinney.config import BalancerSettings
from spinney.domain.balancing.model import Applied, Member, MemberState, Totals


class Rates:
    """Of one container. It counts from its own beginning, and anew whenever its configuration is loaded anew."""

    def __init__(self) -> None:
        self._at: float | None = None
        self._before = Totals(0, 0)
        self._told: dict[str, Any] | None = None

    def counted(
        self,
        now: float,
        said: Applied,
        members: Sequence[Member],
        stored: Mapping[str, Any] | None,
        settings: BalancerSettings,
    ) -> dict[str, Any] | None:
        """What is stored of it; the same as before while the interval is not over. ``stored``: what was, by whomever."""
        totals = said.totals
        assert totals is not None
        if self._at is not None and now - self._at < settings.stats_interval * 0.9:
            return self._told
        passed = 0.0 if self._at is None else now - self._at
        more = _grown(self._before.requests, totals.requests)
        earlier: Mapping[str, Any] = stored or {}
        self._told = {
            "at": now,
            # Also of what was served while nobody looked: before the first reading, or between two engines.
            "requests": int(earlier.get("requests", 0)) + _grown(int(earlier.get("counted", 0)), totals.requests),
            "counted": totals.requests,
            "rate": round(more / passed, 3) if passed else None,
            "sessions": totals.sessions,
            "members": self._of_members(said, members, passed),
        }
        self._at, self._before = now, totals
        return self._told

    def _of_members(self, said: Applied, members: Sequence[Member], passed: float) -> dict[str, Any]:
        assert said.totals is not None
        found: dict[str, Any] = {}
        for member in members:
            seen, total = said.members.get(member.physical_id), said.totals.by_member.get(member.physical_id)
            if member.state is MemberState.OUT or seen is None or total is None:
                continue
            earlier = self._before.by_member.get(member.physical_id)
            known = passed > 0 and earlier is not None
            rate = round(_grown(earlier or 0, total) / passed, 3) if known else None
            found[member.node_id] = {"sessions": seen.sessions, "rate": rate}
        return found


def _grown(before: int, now: int) -> int:
    """Since then; who counts less than before has begun anew."""
    return now - before if now >= before else now
