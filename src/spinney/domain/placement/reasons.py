"""Failed rules in words: what was needed, what was there. Made at the moment of the decision, because hosts fill up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from spinney.domain.placement.filters import SETBACKS, Demand, failures, satisfies
from spinney.domain.placement.model import Reason
from spinney.domain.placement.room import EPSILON, Census, Room, group_of
from spinney.domain.placement.rules import SETBACKS_TOO_MANY, LabelTerm, Operator
from spinney.domain.placement.terms import Term, in_members

#: needed, available, text
_Words = tuple[str, str, str]


def cores(amount: float) -> str:
    """Rounded to thousandths; a shortfall that would round to nothing is shown in full."""
    rounded = f"{amount:.3f}".rstrip("0").rstrip(".")
    return rounded if float(rounded) or not amount else f"{amount:.2g}"


def in_cores(amount: float) -> str:
    return "1 core" if cores(amount) == "1" else f"{cores(amount)} cores"


def size(amount: int) -> str:
    """In MiB, or in bytes where that would round away what counts."""
    if amount % 2**20 and amount < 10 * 2**20:
        return f"{amount} bytes"
    return f"{amount / 2**20:.0f} MiB" if amount % 2**20 == 0 else f"{amount / 2**20:.1f} MiB"


def several(words: Iterator[str] | tuple[str, ...] | list[str]) -> str:
    return ", ".join(words)


def term_words(term: LabelTerm) -> str:
    values = several(term.values)
    return {
        Operator.IN: f"{term.key} in ({values})",
        Operator.NOT_IN: f"{term.key} not in ({values})",
        Operator.EXISTS: term.key,
        Operator.NOT_EXISTS: f"no {term.key}",
    }[term.operator]


def reasons_of(demand: Demand, room: Room, mask: int, census: Census) -> tuple[Reason, ...]:
    """One for each rule that the host fails; of several affinities or quotas only those that refuse it."""
    found: list[Reason] = []
    for rule in failures(mask):
        if rule in _TERMS:
            found += [
                Reason(rule, *term.lacking(group_of(room.host, term.by), census))
                for term in refusing(demand, room, rule, census)
            ]
        else:
            found.append(Reason(rule, *_WORDS[rule](demand, room)))
    return tuple(found)


def refusing(demand: Demand, room: Room, rule: str, census: Census) -> list[Term]:
    """The terms of this rule that refuse the host, of both sorts."""
    return [
        term
        for term in (*demand.terms, *demand.own_terms)
        if term.rule == rule and term.hard and term.of(group_of(room.host, term.by), census)[0]
    ]


def setback(demand: Demand, room: Room) -> Reason:
    count = room.setbacks.get(demand.request.profile_id, 0)
    text = f"this workload failed there {count} times lately, so it goes there only while no other host fits"
    return Reason(SETBACKS, f"fewer than {SETBACKS_TOO_MANY} recent failures", str(count), text)


def taken_ports(demand: Demand, room: Room) -> list[tuple[str, int]]:
    return sorted(demand.ports.intersection(room.ports))


def _excluded(demand: Demand, room: Room) -> _Words:
    return "another host", "this one", "it is being moved away from here"


def _hosts(demand: Demand, room: Room) -> _Words:
    # The names are not repeated: where hosts are shown by alias, one that was guessed would be told from one that was not.
    return "a host named by policy", "another", "it is none of the hosts named by policy"


def _region(demand: Demand, room: Room) -> _Words:
    allowed = several(demand.rules.regions)
    return allowed, room.host.region or "none", f"its region is {room.host.region or 'not set'}, allowed: {allowed}"


def _zone(demand: Demand, room: Room) -> _Words:
    allowed = several(demand.rules.zones)
    return allowed, room.host.zone or "none", f"its zone is {room.host.zone or 'not set'}, allowed: {allowed}"


def _labels(demand: Demand, room: Room) -> _Words:
    broken = [term for term in demand.rules.require if not satisfies(room.host, term)]
    wanted = several([term_words(term) for term in broken])
    has = several([f"{term.key}={room.host.labels[term.key]}" for term in broken if term.key in room.host.labels])
    return wanted, has or "none", f"its labels do not satisfy: {wanted}"


def _needs(demand: Demand, room: Room) -> _Words:
    unmet = demand.unmet(room.host)
    wanted = several([f"{need} {value}" for need, value in sorted(unmet.items())])
    return wanted, "not reported", f"its Docker engine does not offer {wanted}"


def _volumes(demand: Demand, room: Room) -> _Words:
    wanted = several(demand.missing_volumes(room.host))
    return wanted, "missing", f"its Docker engine lacks the volume plug-in {wanted}"


def _state(demand: Demand, room: Room) -> _Words:
    return "ready", room.host.state.value, f"it is {room.host.state.value}"


def _max_per_host(demand: Demand, room: Room) -> _Words:
    count, most = demand.members_on(room), demand.rules.max_per_host
    text = f"it has {in_members(count)} of the cluster, and {most} is the most for one host"
    return f"fewer than {most}", str(count), text


def _networks(demand: Demand, room: Room) -> _Words:
    count = len(room.networks)
    return "1 subnet", "0", f"all of its {demand.network_limit} subnets for projects are taken ({count} projects)"


def _ports(demand: Demand, room: Room) -> _Words:
    taken = several([f"{number}/{protocol}" for protocol, number in taken_ports(demand, room)])
    return taken, "taken", f"port {taken} is published by another node"


def _cpu(demand: Demand, room: Room) -> _Words:
    free = max(demand.free_cpu(room), 0.0)
    spare = f", {demand.rules.headroom_cpu:.0%} of it kept free" if demand.rules.headroom_cpu else ""
    text = f"{cores(free)} of {cores(room.host.cpu)} cores can be reserved{spare}, {cores(demand.cpu)} needed"
    return cores(demand.cpu), cores(free), text


def _memory(demand: Demand, room: Room) -> _Words:
    free = max(demand.free_memory(room), 0)
    spare = f", {demand.rules.headroom_memory:.0%} of it kept free" if demand.rules.headroom_memory else ""
    text = f"{size(free)} of {size(room.host.memory)} memory can be reserved{spare}, {size(demand.memory)} needed"
    return size(demand.memory), size(free), text


def short_cpu(demand: Demand, room: Room) -> float:
    """Cores that are missing; within the tolerance none are."""
    short = demand.cpu - demand.free_cpu(room)
    return short if short > EPSILON else 0.0


def short_memory(demand: Demand, room: Room) -> int:
    return max(demand.memory - demand.free_memory(room), 0)


_TERMS = ("quota", "affinity")
_WORDS: Mapping[str, Callable[[Demand, Room], _Words]] = {
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
