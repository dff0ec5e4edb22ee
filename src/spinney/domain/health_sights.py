"""From what was seen of a member to whether it is ill. What could not be found out is *unknown*, which is never ill.

A sight is what one mode of a health policy has found; the verdict is what all of them come to. Nothing is recovered because
of a verdict that is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote

from spinney.domain.container import Container
from spinney.domain.health import Ailment, Diagnosis, RestartPolicy, diagnose, may_end
from spinney.domain.health_rules import UrlCheck
from spinney.domain.host import HostState
from spinney.domain.matching import compiled
from spinney.domain.node import Node
from spinney.domain.probe_spec import Role

#: Looks in a row at which a host is suspect until its members count as ill: a short cut is no failure.
_SUSPECT_LOOKS = 2
#: Bytes of an answer in which what is expected is looked for.
LARGEST_BODY = 65536


class Says(Enum):
    WELL = "well"
    ILL = "ill"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Sight:
    """``text`` says why, unless it is well. ``sick``: what is wrong with the container itself."""

    says: Says
    text: str = ""
    sick: Diagnosis | None = None


WELL = Sight(Says.WELL)


def ill(text: str) -> Sight:
    return Sight(Says.ILL, text)


def unknown(text: str) -> Sight:
    return Sight(Says.UNKNOWN, text)


def of_container(node: Node, container: Container | None, policy: RestartPolicy) -> Sight:
    """Its Docker engine's own look. One that has ended as its profile lets it is well; one whose last recovery left it without
    a container is not."""
    nothing = Diagnosis(Ailment.GONE, "it has no container")
    sick = nothing if node.physical_id is None else diagnose(node, container)
    if sick is None or may_end(sick, policy):
        return WELL
    return Sight(Says.ILL, sick.text, sick)


def of_docker_health(container: Container | None) -> Sight:
    """Its image's or profile's health check; one that has none is well, whether it runs or not."""
    if container is not None and container.health == "unhealthy":
        return ill("the container's health check reports unhealthy")
    return WELL


def of_host(state: HostState | None, looks: int) -> Sight:
    """``looks``: at how many looks in a row, this one included, the host has been suspect. None: it is no longer registered."""
    if state is None or state is HostState.LOST:
        return ill("its host is lost")
    if state is HostState.SUSPECT:
        if looks < _SUSPECT_LOOKS:
            return unknown("its host does not answer")
        return ill(f"its host has not answered for {looks} looks")
    return WELL


def of_probes(ailment: str, node: Node, roles: frozenset[Role]) -> Sight:
    """``ailment``: what its *started* or *alive* probe has found; empty: nothing."""
    if ailment and any(role is not Role.READY and f"its {role.value} probe" in ailment for role in roles):
        return ill(ailment)
    if Role.READY in roles and not node.ready:
        return ill(f"it is not ready: {node.ready_reason}")
    return WELL


def url_for(check: UrlCheck, node_name: str) -> str:
    """A name is whatever its user likes, and stays within its place in the URL."""
    return check.url.replace("{nodename}", quote(node_name, safe=""))


def of_answer(check: UrlCheck, status: int, body: bytes) -> Sight:
    if not 200 <= status < 300:
        return ill(f"its URL answers with status {status}")
    if check.expected and not compiled(check.expected).found_in(body):
        return ill(f"what its URL answers does not match {check.expected[:80]!r}")
    return WELL


def of_silence(check: UrlCheck, why: str) -> Sight:
    """Its URL gave no answer."""
    text = f"its URL cannot be had: {why}"
    return ill(text) if check.errors_count else unknown(text)


def verdict(sights: Sequence[Sight], *, every: bool) -> Sight:
    """``every``: all have to find it ill (ALL_FAILED), otherwise one is enough (ANY_FAILED)."""
    found_ill = [sight for sight in sights if sight.says is Says.ILL]
    if found_ill and (not every or len(found_ill) == len(sights)):
        sick = next((sight.sick for sight in found_ill if sight.sick is not None), None)
        return Sight(Says.ILL, "; ".join(sight.text for sight in found_ill), sick)
    if every and any(sight.says is Says.WELL for sight in sights):
        return WELL
    open_questions = [sight.text for sight in sights if sight.says is Says.UNKNOWN]
    return unknown("; ".join(open_questions)) if open_questions else WELL
