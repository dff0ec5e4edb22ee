"""The hard rules: which hosts a request fits on. Every rule is looked at, so that first and all failures are known.

Two halves: what the host is (asked once while the host stays the same) and how full it is (asked anew after each change).
Failures are bits in the order in which the rules are told: a host's first failure is its lowest bit. What would have to be
different for good comes first, what time or another host's room may bring comes last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from spinney.domain.host import Host, HostState
from spinney.domain.placement.model import PlacementRequest
from spinney.domain.placement.room import EPSILON, Census, Room, group_of
from spinney.domain.placement.rules import SETBACKS_TOO_MANY, LabelTerm, Operator
from spinney.domain.placement.terms import Term, penalties, terms_of

RULES = (
    "excluded",
    "hosts",
    "region",
    "zone",
    "labels",
    "needs",
    "volumes",
    "state",
    "quota",
    "affinity",
    "max_per_host",
    "networks",
    "ports",
    "cpu",
    "memory",
)
#: Not a failure as long as no other host fits.
SETBACKS = "setbacks"

BIT: Mapping[str, int] = {rule: 1 << index for index, rule in enumerate(RULES)}
_STATE, _AFFINITY, _MOST = BIT["state"], BIT["affinity"], BIT["max_per_host"]
_NETWORKS, _PORTS, CPU, MEMORY = BIT["networks"], BIT["ports"], BIT["cpu"], BIT["memory"]

#: Bits failed for good, penalty for preferences, most cores and most bytes that may be reserved already.
Fixed = tuple[int, int, float, int]

#: Facts that are lists under another name than the need.
_LISTS = {"runtime": "runtimes", "volume_plugin": "volume_plugins", "network_plugin": "network_plugins"}
_LISTS["log_driver"] = "log_drivers"
#: Keys of label terms that ask for a fact of the Docker engine instead: ``engine.arch``, ``engine.runtimes``, …
ENGINE_FACT = "engine."
#: Facts of which the host must have at least as much.
_AMOUNTS = ("gpus",)


def failures(mask: int) -> Iterator[str]:
    while mask:
        lowest = mask & -mask
        yield RULES[lowest.bit_length() - 1]
        mask ^= lowest


def satisfies(host: Host, term: LabelTerm) -> bool:
    found = _values(host, term.key)
    if term.operator is Operator.EXISTS:
        return bool(found)
    if term.operator is Operator.NOT_EXISTS:
        return not found
    return any(value in term.values for value in found) is (term.operator is Operator.IN)


def _values(host: Host, key: str) -> tuple[str, ...]:
    """Of a label; of a fact of the host's Docker engine where the key begins with ``engine.``, which may be a list."""
    if not key.startswith(ENGINE_FACT):
        return (host.labels[key],) if key in host.labels else ()
    fact = host.facts.get(key.removeprefix(ENGINE_FACT))
    if fact is None or fact == "":
        return ()
    if isinstance(fact, list | tuple):
        return tuple(str(one) for one in fact)
    return (str(fact).lower() if isinstance(fact, bool) else str(fact),)


def offers(host: Host, need: str, value: str) -> bool:
    """Whether the host's Docker engine reported the fact: equal text, a member of its list, or at least that amount."""
    fact = host.facts.get(_LISTS.get(need, need))
    if need == "gpus" and not fact and "nvidia" in host.facts.get("runtimes", ()):
        return True  # an engine with that runtime need not report how many there are
    if need in _AMOUNTS:
        return isinstance(fact, int) and value.isdigit() and fact >= int(value)
    if isinstance(fact, list | tuple):
        return value in fact
    if isinstance(fact, bool):
        return value.lower() == str(fact).lower()
    return fact is not None and str(fact) == value


class Demand:
    """What requests of one kind ask of a host."""

    def __init__(self, request: PlacementRequest, network_limit: int) -> None:
        rules = request.rules
        self.request = request
        self.rules = rules
        self.cpu = request.cpu
        self.memory = request.memory
        self.ports = frozenset(request.ports)
        self.network_limit = network_limit
        #: Whose bridge is needed, if subnets are counted.
        self.project = request.project if request.networked and network_limit > 0 else None
        self._cpu_limit = 1.0 - rules.headroom_cpu
        self._memory_limit = 1.0 - rules.headroom_memory
        terms = terms_of(request)
        self.terms: list[Term] = [term for term in terms if term.by != "host"]
        self.own_terms: list[Term] = [term for term in terms if term.by == "host"]
        self._checks = list(self._static())
        #: Whether only CPU and memory can be short.
        self.plain = not (self.ports or self.own_terms or rules.max_per_host is not None or self.project is not None)

    def _static(self) -> Iterator[tuple[int, Callable[[Host], bool]]]:
        request, rules = self.request, self.rules
        if request.exclude:
            yield BIT["excluded"], lambda host: host.node_id not in request.exclude
        if rules.hosts:
            named = frozenset(rules.hosts)
            yield BIT["hosts"], lambda host: host.answers_to(named, rules.viewer)
        if rules.regions:
            yield BIT["region"], lambda host: host.region in rules.regions
        if rules.zones:
            yield BIT["zone"], lambda host: host.zone in rules.zones
        if rules.require:
            yield BIT["labels"], lambda host: all(satisfies(host, term) for term in rules.require)
        if request.needs:
            yield BIT["needs"], lambda host: not self.unmet(host)
        if request.volumes:
            yield BIT["volumes"], lambda host: not self.missing_volumes(host)

    def unmet(self, host: Host) -> dict[str, str]:
        return {need: value for need, value in self.request.needs.items() if not offers(host, need, value)}

    def missing_volumes(self, host: Host) -> list[str]:
        return [name for name in self.request.volumes if not offers(host, "volume_plugin", name)]

    def fixed(self, host: Host) -> Fixed:
        """What the host fails by being what it is, what its labels lack, and what may be reserved there before this."""
        mask = 0 if host.state is HostState.READY else _STATE
        for bit, passes in self._checks:
            if not passes(host):
                mask |= bit
        prefer = 0
        for one in self.rules.prefer:
            if not satisfies(host, one.term):
                prefer += one.weight
        most_cpu = host.cpu * self._cpu_limit + EPSILON - self.cpu
        return mask, prefer, most_cpu, int(host.memory * self._memory_limit) - self.memory

    def groups(self, host: Host) -> tuple[str | None, ...]:
        return tuple([group_of(host, term.by) for term in self.terms]) if self.terms else ()

    def crowded(self, room: Room, census: Census) -> tuple[int, int, int, int]:
        """What the host fails by what else than CPU and memory is taken, and what its own members add to its rank."""
        mask = 0
        if self.ports and not self.ports.isdisjoint(room.ports):
            mask = _PORTS
        most = self.rules.max_per_host
        if most is not None and self.members_on(room) >= most:
            mask |= _MOST
        networks = room.networks
        if self.project is not None and self.project not in networks and len(networks) >= self.network_limit:
            mask |= _NETWORKS
        if not self.own_terms:
            return mask, 0, 0, 0
        answers = [(term, *term.on(room, census)) for term in self.own_terms]
        if any(refused for _, refused, _ in answers):
            mask |= _AFFINITY
        return mask, *penalties((term, penalty) for term, _, penalty in answers)

    def members_on(self, room: Room) -> int:
        count = room.residents.get(self.request.workload, 0)
        return count - 1 if count and self.request.counted_on == room.id else count

    def free_cpu(self, room: Room) -> float:
        """What this demand could take of the host; negative where more is reserved than it leaves."""
        return room.host.cpu * self._cpu_limit - room.cpu

    def free_memory(self, room: Room) -> int:
        return int(room.host.memory * self._memory_limit) - room.memory

    def troubled(self, room: Room) -> bool:
        """Whether this profile's containers failed there too often lately."""
        return room.setbacks.get(self.request.profile_id, 0) >= SETBACKS_TOO_MANY

    def told(self) -> dict[str, Any]:
        """The request as decisions show it."""
        request = self.request
        shown: dict[str, Any] = {"cpu": request.cpu, "memory": request.memory}
        for name in ("host_node", "host_cluster", "only"):
            if getattr(request, name) is not None:
                shown[name] = getattr(request, name)
        if request.ports:
            shown["ports"] = [list(port) for port in request.ports]
        if request.needs:
            shown["needs"] = dict(request.needs)
        if request.volumes:
            shown["volumes"] = list(request.volumes)
        return shown
