"""Small fleets for the tests of placement, and an oracle that recounts everything from the rules' words alone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from math import ceil
from typing import Any

from hypothesis import strategies as st

from spinney.domain.host import Host, HostState
from spinney.domain.placement.answers import Placed, Waiting
from spinney.domain.placement.decision import Explanation, explain
from spinney.domain.placement.model import PlacementRequest, Surroundings
from spinney.domain.placement.rules import (
    Affinity,
    LabelTerm,
    Operator,
    PlacementRules,
    Preference,
    Quota,
    Share,
    Strategy,
    Thresholds,
)

MIB = 2**20
NOW = 1000.0


def host(number: int, **fields: Any) -> Host:
    values: dict[str, Any] = {"cluster_id": "c0", "state": HostState.READY, "cpu": 4.0, "memory": 1024 * MIB, **fields}
    return Host(node_id=f"id{number}", endpoint=f"e{number}", name=f"h{number}", project="p", **values)


def request(name: str = "n", cpu: float = 1.0, memory: int = MIB, **fields: Any) -> PlacementRequest:
    values: dict[str, Any] = {"host_cluster": "c0", "workload": "w", "profile_id": "f", "project": "p", **fields}
    return PlacementRequest(name, cpu, memory, **values)


def told(answer: Placed | Waiting) -> Explanation:
    """What the decision says once it has been stored."""
    return explain(json.loads(json.dumps(answer.decision.body())), answer.step)


class Oracle:
    """What is on each host, counted anew."""

    def __init__(self, hosts: Iterable[Host], around: Surroundings) -> None:
        self.hosts = {one.node_id: one for one in hosts}
        self.around = around
        self.cpu = {one.node_id: one.reserved_cpu for one in self.hosts.values()}
        self.memory = {one.node_id: one.reserved_memory for one in self.hosts.values()}
        self.containers = {one.node_id: one.containers for one in self.hosts.values()}
        self.ports = {key: set(around.ports.get(key, ())) for key in self.hosts}
        self.residents = {key: Counter(around.residents.get(key, {})) for key in self.hosts}
        self.networks = {key: set(around.networks.get(key, ())) for key in self.hosts}

    def allowed(self, wanted: PlacementRequest) -> list[Host]:
        return [
            one
            for one in self.hosts.values()
            if wanted.host_node in (None, one.node_id)
            and wanted.host_cluster in (None, one.cluster_id)
            and wanted.only in (None, one.node_id)
        ]

    def fails(self, wanted: PlacementRequest, one: Host, members: int = 0) -> set[str]:
        """The hard rules that the host breaks. ``members``: of the workload, where the request does not say."""
        key, rules = one.node_id, wanted.rules
        broken = {
            "excluded": key in wanted.exclude,
            "hosts": bool(rules.hosts) and not {one.name, key} & set(rules.hosts),
            "region": bool(rules.regions) and one.region not in rules.regions,
            "zone": bool(rules.zones) and one.zone not in rules.zones,
            "labels": not all(_satisfied(term, one) for term in rules.require),
            "needs": "runtime" in wanted.needs and wanted.needs["runtime"] not in one.facts.get("runtimes", ()),
            "volumes": not set(wanted.volumes) <= set(one.facts.get("volume_plugins", ())),
            "state": one.state is not HostState.READY,
            "quota": any(self._over(quota, wanted, one, members) for quota in rules.quotas if quota.hard),
            "affinity": any(self._against(rule, wanted, one) for rule in rules.affinities if rule.hard),
            "max_per_host": rules.max_per_host is not None
            and self._here(key, {wanted.workload}, wanted) >= rules.max_per_host,
            "networks": wanted.networked
            and self.around.network_limit > 0
            and wanted.project not in self.networks[key]
            and len(self.networks[key]) >= self.around.network_limit,
            "ports": bool(self.ports[key] & set(wanted.ports)),
            "cpu": self.cpu[key] + wanted.cpu > one.cpu * (1 - rules.headroom_cpu) + 1e-9,
            "memory": self.memory[key] + wanted.memory > one.memory * (1 - rules.headroom_memory),
        }
        return {rule for rule, failed in broken.items() if failed}

    def shunned(self, wanted: PlacementRequest, one: Host) -> bool:
        return self.around.setbacks.get(one.node_id, {}).get(wanted.profile_id, 0) >= 3

    def take(self, wanted: PlacementRequest, host_id: str) -> None:
        self.cpu[host_id] += wanted.cpu
        self.memory[host_id] += wanted.memory
        self.containers[host_id] += 1
        self.ports[host_id] |= set(wanted.ports)
        self.residents[host_id][wanted.workload] += 1
        if wanted.networked:
            self.networks[host_id].add(wanted.project)

    def world(self) -> tuple[list[Host], Surroundings]:
        """Everything as it is now, as if it had always been so."""
        hosts = [
            replace(
                one,
                reserved_cpu=self.cpu[key],
                reserved_memory=self.memory[key],
                containers=self.containers[key],
            )
            for key, one in self.hosts.items()
        ]
        around = replace(
            self.around,
            ports={key: set(taken) for key, taken in self.ports.items()},
            residents={key: dict(counts) for key, counts in self.residents.items()},
            networks={key: set(projects) for key, projects in self.networks.items()},
        )
        return hosts, around

    def members(self, workload: str) -> int:
        return sum(counts[workload] for counts in self.residents.values())

    def _here(self, host_id: str, workloads: set[str], wanted: PlacementRequest) -> int:
        """Members there, but for the node itself where it moves away from."""
        count = sum(self.residents[host_id][workload] for workload in workloads)
        return count - 1 if count and host_id == wanted.counted_on and wanted.workload in workloads else count

    def _over(self, quota: Quota, wanted: PlacementRequest, one: Host, members: int) -> bool:
        share = _share(quota, one)
        if share is None:
            return True
        there = sum(
            self._here(other.node_id, {wanted.workload}, wanted)
            for other in self.hosts.values()
            if _share(quota, other) == share
        )
        limit = ceil((wanted.members or members) * share.weight / (sum(each.weight for each in quota.shares) or 1))
        return there >= (limit if share.cap < 0 else min(limit, share.cap))

    def _against(self, rule: Affinity, wanted: PlacementRequest, one: Host) -> bool:
        workloads = {rule.workload, *rule.also}
        group = _value(rule.key, one)
        if group is None:
            return True
        counts = {key: self._here(key, workloads, wanted) for key in self.hosts}
        there = sum(counts[other.node_id] for other in self.hosts.values() if _value(rule.key, other) == group)
        if rule.apart:
            return there > 0
        first = wanted.workload in workloads and sum(counts.values()) == 0
        return there == 0 and not first


def _satisfied(term: LabelTerm, one: Host) -> bool:
    return {
        Operator.IN: one.labels.get(term.key) in term.values,
        Operator.NOT_IN: one.labels.get(term.key) not in term.values,
        Operator.EXISTS: term.key in one.labels,
        Operator.NOT_EXISTS: term.key not in one.labels,
    }[term.operator]


def _share(quota: Quota, one: Host) -> Share | None:
    for share in quota.shares:
        if share.hosts and {one.name, one.node_id} & set(share.hosts):
            return share
        if not share.hosts and share.name == (one.zone if quota.key == "zone" else one.region):
            return share
    return None


def _value(key: str, one: Host) -> str | None:
    known = {"host": one.node_id, "zone": one.zone, "region": one.region}
    return known[key] if key in known else one.labels.get(key.removeprefix("label:"))


# --- strategies of Hypothesis ------------------------------------------------------------------------------------------

#: Sums of these are exact, so that dust never decides.
CPU = st.sampled_from([0.0, 0.25, 0.5, 1.0, 2.0])
MEMORY = st.integers(1, 64).map(lambda mib: mib * MIB)
PORTS = st.lists(st.tuples(st.sampled_from(["tcp", "udp"]), st.integers(80, 82)), max_size=2, unique=True).map(tuple)
ZONES = st.sampled_from(["a", "b", None])
KEYS = st.sampled_from(["host", "zone", "label:disk"])
TERMS = st.builds(
    LabelTerm,
    st.just("disk"),
    st.sampled_from(list(Operator)),
    st.just(("ssd",)),
)
QUOTAS = st.builds(
    Quota,
    st.sampled_from(["zone", "region"]),
    st.tuples(
        st.builds(Share, st.just("a"), st.integers(0, 3), st.sampled_from([-1, 1]), st.sampled_from([(), ("h1",)])),
        st.builds(Share, st.just("b"), st.integers(1, 3)),
    ),
    st.booleans(),
)
AFFINITIES = st.builds(
    Affinity,
    st.sampled_from(["w0", "w1"]),
    KEYS,
    st.booleans(),
    st.booleans(),
    st.sampled_from([(), (), ("w1",)]),
)


def sometimes(value: st.SearchStrategy[Any], otherwise: Any) -> st.SearchStrategy[Any]:
    return st.one_of(st.just(otherwise), st.just(otherwise), value)


RULES = st.builds(
    PlacementRules,
    strategy=st.sampled_from(list(Strategy)),
    thresholds=st.builds(Thresholds, st.sampled_from([None, 0.5]), st.sampled_from([None, 0.5]), st.just(60.0)),
    weights=sometimes(st.just({"used": 0.5, "cpu": 2.0}), {}),
    seed=st.integers(0, 3),
    hosts=sometimes(st.sampled_from([("h0", "id1")]), ()),
    zones=sometimes(st.sampled_from([("a",), ("a", "b")]), ()),
    regions=sometimes(st.just(("r",)), ()),
    require=sometimes(TERMS.map(lambda term: (term,)), ()),
    prefer=sometimes(TERMS.map(lambda term: (Preference(term, 3),)), ()),
    quotas=sometimes(QUOTAS.map(lambda quota: (quota,)), ()),
    spread_over=sometimes(KEYS, None),
    affinities=sometimes(st.lists(AFFINITIES, max_size=2).map(tuple), ()),
    max_per_host=sometimes(st.integers(1, 2), None),
    headroom_cpu=sometimes(st.just(0.25), 0.0),
    headroom_memory=sometimes(st.just(0.25), 0.0),
)


@st.composite
def hosts_of(draw: st.DrawFn, number: int) -> Host:
    cpu = draw(st.sampled_from([0.0, 1.0, 2.0, 4.0]))
    memory = draw(st.sampled_from([0, 64, 128])) * MIB
    return host(
        number,
        cluster_id=draw(st.sampled_from(["c0", "c0", "c1"])),
        state=draw(st.sampled_from([HostState.READY, HostState.READY, HostState.READY, HostState.SUSPECT])),
        zone=draw(ZONES),
        region=draw(st.sampled_from(["r", "a", None])),
        labels=draw(st.sampled_from([{}, {"disk": "ssd"}, {"disk": "hdd"}])),
        facts=draw(st.sampled_from([{}, {"runtimes": ["runc", "nvidia"], "volume_plugins": ["nfs"]}])),
        cpu=cpu,
        memory=memory,
        reserved_cpu=cpu * draw(st.sampled_from([0.0, 0.5, 1.0])),
        reserved_memory=memory // draw(st.sampled_from([2, 4])),
        containers=draw(st.integers(0, 3)),
        used_cpu=draw(st.sampled_from([None, 0.5, 1.0])),
        used_memory=draw(st.sampled_from([None, 32 * MIB])),
        sampled_at=draw(st.sampled_from([None, NOW - 100, NOW - 10])),
    )


@st.composite
def requests_of(draw: st.DrawFn, number: int) -> PlacementRequest:
    named = draw(st.sampled_from([None, None, None, "id0", "absent"]))
    return PlacementRequest(
        f"n{number}",
        draw(CPU),
        draw(MEMORY),
        host_node=named,
        host_cluster=draw(st.sampled_from(["c0", "c0", "c1"] if named is None else ["c0", None])),
        ports=draw(sometimes(PORTS, ())),
        workload=draw(st.sampled_from(["w0", "w1"])),
        profile_id=draw(st.sampled_from(["f0", "f1"])),
        project=draw(st.sampled_from(["p0", "p1"])),
        members=draw(st.sampled_from([0, 2, 5])),
        rules=draw(RULES),
        volumes=draw(sometimes(st.just(("nfs",)), ())),
        needs=draw(sometimes(st.just({"runtime": "nvidia"}), {})),
        networked=draw(st.booleans()),
        exclude=draw(sometimes(st.just(frozenset({"id0"})), frozenset())),
        only=draw(sometimes(st.sampled_from(["id0", "id1"]), None)),
        counted_on=draw(sometimes(st.sampled_from(["id0", "id1"]), None)),
    )


@st.composite
def surroundings_of(draw: st.DrawFn, hosts: list[Host]) -> Surroundings:
    counts = st.dictionaries(st.sampled_from(["w0", "w1"]), st.integers(1, 2), max_size=2)
    return Surroundings(
        ports={one.node_id: set(draw(PORTS)) for one in hosts},
        residents={one.node_id: draw(sometimes(counts, {})) for one in hosts},
        setbacks={one.node_id: draw(sometimes(st.sampled_from([{"f0": 3}, {"f0": 2, "f1": 4}]), {})) for one in hosts},
        networks={one.node_id: draw(sometimes(st.just({"p1"}), set())) for one in hosts},
        network_limit=draw(st.sampled_from([0, 1])),
        now=NOW,
    )


World = tuple[list[PlacementRequest], list[Host], Surroundings]


@st.composite
def worlds(draw: st.DrawFn, requests: int = 6) -> World:
    """Some of the requests are alike, as the members of a cluster are."""
    hosts = [draw(hosts_of(number)) for number in range(draw(st.integers(0, 5)))]
    kinds = [draw(requests_of(number)) for number in range(draw(st.integers(1, 3)))]
    wanted = [
        replace(draw(st.sampled_from(kinds)), node_id=f"n{number}") for number in range(draw(st.integers(1, requests)))
    ]
    return wanted, hosts, draw(surroundings_of(hosts))
