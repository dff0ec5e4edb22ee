"""The nearest miss: on which host a request would fit if least were different, and what that is.

``change`` names everything that would have to be different, and nothing else; were it so, the request would fit:

============== =========================================================================================
``cpu``        cores, ``memory``: bytes by which more of the host would have to be free
``ports``      [protocol, port] pairs that would have to be free
``networks``   1: subnets of the host that would have to be free
``state``      "ready"
``max_per_host`` ``zones``, ``regions``, ``hosts``: what the rule would have to say (an empty list: nothing)
``require``    the label terms that would have to go, in words
``quotas``     keys of the quotas that would have to go
``affinities`` [cluster id, key] of the affinities that would have to go
``needs``      facts, ``volumes``: plug-ins that the Docker engine would have to offer
``excluded``   false: it would have to be allowed to stay
============== =========================================================================================

*Nearest* is, in this order: what time can bring (room, ports) before what an operator does (its state), that before what a
policy says, that before what the host is; then the fewer rules failed; then the smaller shortfall as a part of the request;
then the name and id. A host too small altogether comes after those that only lack free room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from math import ceil
from typing import Any

from spinney.domain.placement.filters import RULES, Demand, failures, satisfies
from spinney.domain.placement.model import NearestMiss
from spinney.domain.placement.reasons import (
    in_cores,
    refusing,
    several,
    short_cpu,
    short_memory,
    size,
    taken_ports,
    term_words,
)
from spinney.domain.placement.room import Census, Room
from spinney.domain.placement.terms import AffinityTerm, QuotaTerm, in_members

#: How far away a change is.
_ROOM, _OPERATOR, _POLICY, _HOST = range(4)
_DISTANCE = {
    "cpu": _ROOM,
    "memory": _ROOM,
    "ports": _ROOM,
    "networks": _ROOM,
    "state": _OPERATOR,
    "max_per_host": _POLICY,
    "quota": _POLICY,
    "affinity": _POLICY,
    "hosts": _POLICY,
    "zone": _POLICY,
    "region": _POLICY,
    "labels": _POLICY,
    "needs": _HOST,
    "volumes": _HOST,
    "excluded": _HOST,
}

_GIB = 2**30

Effort = tuple[int, bool, int, float, str, str]


@cache
def _distance(mask: int) -> tuple[int, int]:
    rules = list(failures(mask))
    return max(_DISTANCE[rule] for rule in rules), len(rules)


def effort(demand: Demand, room: Room, mask: int) -> Effort:
    """How far the host is from fitting, given the rules that it fails; smaller is nearer."""
    distance, count = _distance(mask)
    if not mask & _SHORT:
        return distance, False, count, 0.0, room.name, room.id
    cpu, memory = short_cpu(demand, room), short_memory(demand, room)
    too_small = cpu > room.cpu or memory > room.memory
    shortfall = cpu / max(demand.cpu, 1e-3) + memory / max(demand.memory, 2**20)
    return distance, too_small, count, shortfall, room.name, room.id


def nearest(demand: Demand, room: Room, mask: int, census: Census) -> NearestMiss:
    """Of the host with the smallest effort, what would have to be different."""
    change: dict[str, Any] = {}
    words: list[str] = []
    for rule in failures(mask):
        if rule in ("quota", "affinity"):
            key, value, text = _terms(demand, room, rule, census)
        else:
            key, value, text = _CHANGES[rule](demand, room)
        change[key] = value
        words.append(text)
    return NearestMiss(room.id, room.name, change, f"{room.name} would fit {', and '.join(words)}")


def rounded(change: Mapping[str, Any], text: str) -> tuple[dict[str, Any], str]:
    """A change and its text as told of hosts of others: up to whole cores and GiB, as exact ones say how much others use."""
    told = dict(change)
    if "cpu" in change:
        told["cpu"] = ceil(change["cpu"])
        text = text.replace(_cpu_text(change["cpu"]), _cpu_text(told["cpu"]))
    if "memory" in change:
        told["memory"] = ceil(change["memory"] / _GIB) * _GIB
        text = text.replace(_memory_text(change["memory"]), _memory_text(told["memory"]))
    return told, text


#: key of the change, its value, text
_Change = tuple[str, Any, str]


def _terms(demand: Demand, room: Room, rule: str, census: Census) -> _Change:
    found = refusing(demand, room, rule, census)
    if rule == "quota":
        keys = [term.quota.key for term in found if isinstance(term, QuotaTerm)]
        return "quotas", keys, f"without the quota by {several(keys)}"
    pairs = [[term.affinity.workload, term.affinity.key] for term in found if isinstance(term, AffinityTerm)]
    return "affinities", pairs, f"without the affinity rule by {several([key for _, key in pairs])}"


def _cpu(demand: Demand, room: Room) -> _Change:
    short = demand.cpu - demand.free_cpu(room)
    return "cpu", short, _cpu_text(short)


def _cpu_text(short: float) -> str:
    return f"with {in_cores(short)} more to reserve"


def _memory(demand: Demand, room: Room) -> _Change:
    short = short_memory(demand, room)
    return "memory", short, _memory_text(short)


def _memory_text(short: int) -> str:
    return f"with {size(short)} more memory to reserve"


def _ports(demand: Demand, room: Room) -> _Change:
    taken = taken_ports(demand, room)
    text = several([f"{number}/{protocol}" for protocol, number in taken])
    return "ports", [list(port) for port in taken], f"with port {text} free"


def _networks(demand: Demand, room: Room) -> _Change:
    return "networks", len(room.networks) - demand.network_limit + 1, "with one of its subnets free"


def _state(demand: Demand, room: Room) -> _Change:
    return "state", "ready", f"were it ready (it is {room.host.state.value})"


def _max_per_host(demand: Demand, room: Room) -> _Change:
    most = demand.members_on(room) + 1
    return "max_per_host", most, f"with {in_members(most)} allowed on one host"


def _allowing(key: str, allowed: tuple[str, ...], value: str | None) -> _Change:
    what = key.removesuffix("s")
    if value is None:
        return key, [], f"with every {what} allowed"
    return key, [*allowed, value], f"with {what} {value} allowed"


def _zone(demand: Demand, room: Room) -> _Change:
    return _allowing("zones", demand.rules.zones, room.host.zone)


def _region(demand: Demand, room: Room) -> _Change:
    return _allowing("regions", demand.rules.regions, room.host.region)


def _hosts(demand: Demand, room: Room) -> _Change:
    return _allowing("hosts", demand.rules.hosts, room.host.called_by(demand.rules.viewer))


def _labels(demand: Demand, room: Room) -> _Change:
    broken = [term_words(term) for term in demand.rules.require if not satisfies(room.host, term)]
    return "require", broken, f"without the demand for label {several(broken)}"


def _needs(demand: Demand, room: Room) -> _Change:
    unmet = demand.unmet(room.host)
    text = several([f"{need} {value}" for need, value in sorted(unmet.items())])
    return "needs", unmet, f"did its Docker engine offer {text}"


def _volumes(demand: Demand, room: Room) -> _Change:
    missing = demand.missing_volumes(room.host)
    return "volumes", missing, f"with the volume plug-in {several(missing)}"


def _excluded(demand: Demand, room: Room) -> _Change:
    return "excluded", False, "were it allowed to stay there"


_CHANGES: Mapping[str, Callable[[Demand, Room], _Change]] = {
    "excluded": _excluded,
    "hosts": _hosts,
    "region": _region,
    "zone": _zone,
    "labels": _labels,
    "needs": _needs,
    "volumes": _volumes,
    "state": _state,
    "max_per_host": _max_per_host,
    "networks": _networks,
    "ports": _ports,
    "cpu": _cpu,
    "memory": _memory,
}
_SHORT = (1 << RULES.index("cpu")) | (1 << RULES.index("memory"))
