"""What a stored decision says about one of its steps. Nothing is decided again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spinney.domain.placement.filters import SETBACKS
from spinney.domain.placement.model import NearestMiss, Reason


@dataclass(frozen=True, slots=True)
class HostVerdict:
    """One host at the moment of a step. Of ``scores``, in their order, the first that differs decides; smaller is better."""

    host_id: str
    host_name: str
    fits: bool
    #: The strategy's own score.
    score: float | None
    scores: Mapping[str, float]
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    state: str  # placed | waiting
    strategy: str
    summary: str
    host_id: str | None
    #: The best first, then those that do not fit.
    hosts: tuple[HostVerdict, ...]
    nearest_miss: NearestMiss | None
    #: How many hosts the request allowed, and how many of them failed each rule first.
    total: int
    failed: Mapping[str, int]


def explain(body: Mapping[str, Any], step: int) -> Explanation:
    """``body`` as ``Decision.body`` gave it; ``step`` as the answer bore it."""
    if step >= len(body["steps"]):
        return _waiting(body)
    story = _Story(body)
    for earlier in body["steps"][:step]:
        story.apply(earlier)
    return story.told(body["steps"][step])


def _waiting(body: Mapping[str, Any]) -> Explanation:
    nowhere = body["nowhere"]
    hosts = tuple([_unfit(body["hosts"][host], reasons) for host, reasons in nowhere["hosts"]])
    miss = None if nowhere["miss"] is None else NearestMiss(*nowhere["miss"])
    return Explanation(
        "waiting", body["strategy"], nowhere["summary"], None, hosts, miss, body["total"], nowhere["failed"]
    )


class _Story:
    """How the hosts told stand, step after step."""

    def __init__(self, body: Mapping[str, Any]) -> None:
        self._body = body
        self._names: list[str] = [name for _, name in body["columns"]]
        self._slots: list[int] = [slot for slot, _ in body["columns"]]
        self._hosts: dict[int, list[Any]] = {one[0]: one for one in body["start"]}
        self._extras: list[list[int]] = list(body["extras"])
        self._failed: Mapping[str, int] = body["failed"]

    def apply(self, step: Mapping[str, Any]) -> None:
        for one in step.get("changed", ()):
            self._hosts[one[0]] = one
        for group, extra in step.get("extras", ()):
            self._extras[group] = extra
        self._failed = step.get("failed", self._failed)

    def told(self, step: Mapping[str, Any]) -> Explanation:
        chosen: int = step["host"]
        shunning = self._names[:1] == [SETBACKS] and not step["values"][0]
        verdicts = {number: self._verdict(one, shunning) for number, one in self._hosts.items()}
        host_id, host_name = self._body["hosts"][chosen]
        verdicts[chosen] = self._fitting(host_id, host_name, step["values"])
        ordered = sorted(verdicts.values(), key=lambda one: self._order(one, host_id))
        return Explanation(
            "placed",
            self._body["strategy"],
            step["summary"],
            host_id,
            tuple(ordered),
            None,
            self._body["total"],
            self._failed,
        )

    def _verdict(self, one: list[Any], shunning: bool) -> HostVerdict:
        """``shunning``: there was a host without setbacks, so those with setbacks did not fit."""
        number, group, values, stored = one
        host_id, host_name = self._body["hosts"][number]
        reasons = [reason for reason in _reasons(stored) if shunning or reason.rule != SETBACKS]
        if values is None or reasons:
            return HostVerdict(host_id, host_name, False, None, {}, tuple(reasons))
        extra = self._extras[group] if group is not None else (0, 0, 0)
        whole = [
            value + extra[slot - 1] if 1 <= slot <= 3 else value
            for slot, value in zip(self._slots, values, strict=True)
        ]
        return self._fitting(host_id, host_name, whole)

    def _fitting(self, host_id: str, host_name: str, values: list[float]) -> HostVerdict:
        scores = dict(zip(self._names, values, strict=True))
        return HostVerdict(host_id, host_name, True, scores.get(self._body["strategy"]), scores, ())

    def _order(self, verdict: HostVerdict, chosen: str) -> tuple[Any, ...]:
        return (
            verdict.host_id != chosen,
            not verdict.fits,
            list(verdict.scores.values()),
            verdict.host_name,
            verdict.host_id,
        )


def _unfit(host: list[str], reasons: list[list[str]]) -> HostVerdict:
    return HostVerdict(host[0], host[1], False, None, {}, _reasons(reasons))


def _reasons(stored: list[list[str]]) -> tuple[Reason, ...]:
    return tuple([Reason(*one) for one in stored])
