"""One sentence on what became of a node."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from spinney.domain.placement.filters import RULES, Demand
from spinney.domain.placement.kinds import Rank, Verdict
from spinney.domain.placement.reasons import in_cores, several, short_cpu, short_memory, size, term_words
from spinney.domain.placement.room import Room
from spinney.domain.placement.rules import UNSHARED, Strategy

_NAMES_TOLD = 3

_USED = ("measured use below the threshold", "measured share {:.0%} with it", "not measured lately")
_WORDS: Mapping[Strategy, str] = {
    Strategy.SPREAD: "reserved share {:.0%} with it",
    Strategy.BINPACK: "{:.0%} of it left free",
    Strategy.BALANCED: "CPU and memory {:d} % apart with it",
    Strategy.RANDOM: "drawn by seed {:d}",
}
#: Where these sentences say how much of a host is taken or lacking.
_AMOUNTS = re.compile(
    r" \((?:reserved share|measured|not measured|[0-9]+% of it|CPU and memory)[^()]*\)| by [0-9.]+ (?:cores?|MiB|bytes)(?=\))"
)


def without_amounts(text: str) -> str:
    """One of these sentences as it is told of hosts of others: how full they are says how much others use."""
    return _AMOUNTS.sub("", text)


def placed(demand: Demand, name: str, rank: Rank, fitting: int, total: int) -> str:
    """``spread: h3 is the best of 7 hosts that fit, of 12 (reserved share 42% with it)``."""
    rules = demand.rules
    strategy = rules.strategy
    if strategy is Strategy.LEAST_UTILIZED:
        why = _USED[rank[1]].format(rank[2])
    elif strategy is Strategy.BALANCED:
        why = _WORDS[strategy].format(rank[1])
    elif strategy is Strategy.RANDOM:
        why = _WORDS[strategy].format(rules.seed)
    else:
        why = _WORDS[strategy].format(rank[2])
    best = f"the best of {fitting} hosts that fit" if fitting > 1 else "the only host that fits"
    found = f"{strategy.value}: {name} is {best}, of {total} ({why})"
    return f"{found}, although this workload failed there lately: no other host fits" if rank[0][0] else found


def nowhere(demand: Demand) -> str:
    request = demand.request
    if request.host_node == UNSHARED:
        return "0 of 0 hosts fit: what the profile names as host is not shared with your project any more; name another"
    if request.host_node is not None:
        where = "the host node named by the profile"
    else:
        where = "the host cluster named by the profile"
    if request.only is not None:
        return f"0 of 0 hosts fit: the host that was chosen is no longer one that {where} allows; plan again"
    return f"0 of 0 hosts fit: {where} has no usable host; add one with `spinney host add`"


def waiting(demand: Demand, failing: list[tuple[Verdict, int]]) -> str:
    """Each host counts once, under the first rule that it fails; ``failing`` has those rules as bits."""
    if not failing:
        return nowhere(demand)
    by_rule: dict[str, list[Room]] = {}
    for verdict, mask in failing:
        by_rule.setdefault(RULES[(mask & -mask).bit_length() - 1], []).append(verdict.room)
    order = sorted(by_rule, key=lambda rule: (-len(by_rule[rule]), RULES.index(rule)))
    clauses = [f"{_clause(demand, rule)} on {len(by_rule[rule])}{_more(demand, rule, by_rule[rule])}" for rule in order]
    return f"0 of {len(failing)} hosts fit: {', '.join(clauses)}"


def _clause(demand: Demand, rule: str) -> str:
    found = _CLAUSES[rule]
    return found if isinstance(found, str) else found(demand)


def _more(demand: Demand, rule: str, rooms: list[Room]) -> str:
    if rule == "cpu":
        room = min(rooms, key=lambda one: (short_cpu(demand, one), one.name, one.id))
        return f" (nearest: {room.name} by {in_cores(short_cpu(demand, room))})"
    if rule == "memory":
        room = min(rooms, key=lambda one: (short_memory(demand, one), one.name, one.id))
        return f" (nearest: {room.name} by {size(short_memory(demand, room))})"
    if rule == "state":
        told = sorted(rooms, key=lambda one: (one.name, one.id))[:_NAMES_TOLD]
        more = f", and {len(rooms) - len(told)} more" if len(rooms) > len(told) else ""
        return f" ({several([f'{room.name} is {room.host.state.value}' for room in told])}{more})"
    return ""


def _only(what: str, allowed: tuple[str, ...]) -> str:
    return f"{what}{'s' if len(allowed) > 1 else ''} {several(allowed)} only"


_CLAUSES: Mapping[str, str | Callable[[Demand], str]] = {
    "excluded": "being moved away",
    "hosts": "hosts named by policy only",
    "region": lambda demand: _only("region", demand.rules.regions),
    "zone": lambda demand: _only("zone", demand.rules.zones),
    "labels": lambda demand: f"label {several([term_words(term) for term in demand.rules.require])} not met",
    "needs": lambda demand: (
        f"{several([f'{need} {value}' for need, value in sorted(demand.request.needs.items())])} missing"
    ),
    "volumes": lambda demand: f"volume plug-in {several(demand.request.volumes)} missing",
    "state": "not ready",
    "quota": "no share of its zone or region left",
    "affinity": "affinity not met",
    "max_per_host": lambda demand: f"{demand.rules.max_per_host} per host reached",
    "networks": "no subnet left",
    "ports": lambda demand: (
        f"port {several([f'{number}/{protocol}' for protocol, number in demand.request.ports])} taken"
    ),
    "cpu": "cpu short",
    "memory": "memory short",
}
