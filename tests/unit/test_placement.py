"""Placement, against an oracle that recounts everything."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.host import Host, HostState
from spinney.domain.placement.scheduler import Placed, PlacementRequest, Port, Waiting, place

_CPU = st.sampled_from([0.05, 0.1, 0.25, 1 / 3, 0.5, 1.0, 2.0])
_MEMORY = st.integers(1, 64).map(lambda mib: mib * 2**20)
_PORTS = st.lists(st.tuples(st.sampled_from(["tcp", "udp"]), st.integers(80, 83)), max_size=2, unique=True).map(tuple)


def host(number: int, **fields: Any) -> Host:
    values: dict[str, Any] = {"cluster_id": "c0", "state": HostState.READY, "cpu": 4.0, "memory": 2**30, **fields}
    return Host(node_id=f"id{number}", endpoint=f"e{number}", name=f"h{number}", project="p", **values)


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[PlacementRequest], list[Host], dict[str, list[Port]]]:
    hosts = [
        host(
            number,
            cluster_id=draw(st.sampled_from(["c0", "c1"])),
            state=draw(st.sampled_from([HostState.READY, HostState.READY, HostState.READY, HostState.SUSPECT])),
            cpu=draw(st.sampled_from([0.0, 1.0, 2.0, 4.0])),
            memory=draw(st.sampled_from([0, 64, 128])) * 2**20,
            containers=draw(st.integers(0, 3)),
        )
        for number in range(draw(st.integers(0, 5)))
    ]
    hosts = [
        replace(one, reserved_cpu=one.cpu * draw(st.sampled_from([0.0, 0.5, 1.0])), reserved_memory=one.memory // 2)
        for one in hosts
    ]
    names = st.sampled_from([None, "id0", "id1", "absent"])
    requests = []
    for number in range(draw(st.integers(0, 12))):
        named = draw(names)
        cluster = draw(st.sampled_from(["c0", "c1"] if named is None else ["c0", "c1", None]))
        requests.append(PlacementRequest(f"n{number}", draw(_CPU), draw(_MEMORY), named, cluster, draw(_PORTS)))
    taken = {one.node_id: list(draw(_PORTS)) for one in hosts}
    return requests, hosts, taken


def _allowed(request: PlacementRequest, one: Host) -> bool:
    return request.host_node in (None, one.node_id) and request.host_cluster in (None, one.cluster_id)


class Oracle:
    """What is taken on each host, counted anew from the answers."""

    def __init__(self, hosts: list[Host], taken: dict[str, list[Port]]) -> None:
        self.hosts = {one.node_id: one for one in hosts}
        self.cpu = {one.node_id: one.reserved_cpu for one in hosts}
        self.memory = {one.node_id: one.reserved_memory for one in hosts}
        self.ports = {one.node_id: set(taken.get(one.node_id, ())) for one in hosts}

    def fits(self, request: PlacementRequest, one: Host) -> bool:
        key = one.node_id
        return (
            _allowed(request, one)
            and one.state is HostState.READY
            and self.cpu[key] + request.cpu <= one.cpu + 1e-6
            and self.memory[key] + request.memory <= one.memory
            and not self.ports[key] & set(request.ports)
        )

    def take(self, request: PlacementRequest, host_id: str) -> None:
        self.cpu[host_id] += request.cpu
        self.memory[host_id] += request.memory
        self.ports[host_id] |= set(request.ports)


@given(worlds())
def test_every_placement_fits_and_every_refusal_is_true(
    world: tuple[list[PlacementRequest], list[Host], dict[str, list[Port]]],
) -> None:
    requests, hosts, taken = world
    oracle = Oracle(hosts, taken)
    answers = place(requests, hosts, taken)
    assert [answer.node_id for answer in answers] == [request.node_id for request in requests]
    for request, answer in zip(requests, answers, strict=True):
        if isinstance(answer, Placed):
            assert oracle.fits(request, oracle.hosts[answer.host_id])
            oracle.take(request, answer.host_id)
        else:
            allowed = [one for one in hosts if _allowed(request, one)]
            assert not any(oracle.fits(request, one) for one in allowed)
            assert {unfit.host_id for unfit in answer.hosts} == {one.node_id for one in allowed}
            assert answer.summary.startswith(f"0 of {len(allowed)} hosts fit")


@given(worlds())
def test_each_reason_names_a_rule_that_the_host_really_fails(
    world: tuple[list[PlacementRequest], list[Host], dict[str, list[Port]]],
) -> None:
    requests, hosts, taken = world
    oracle = Oracle(hosts, taken)
    for request, answer in zip(requests, place(requests, hosts, taken), strict=True):
        if isinstance(answer, Placed):
            oracle.take(request, answer.host_id)
            continue
        for unfit in answer.hosts:
            one, key = oracle.hosts[unfit.host_id], unfit.host_id
            fails = {
                "state": one.state is not HostState.READY,
                "cpu": oracle.cpu[key] + request.cpu > one.cpu,
                "memory": oracle.memory[key] + request.memory > one.memory,
                "port": bool(oracle.ports[key] & set(request.ports)),
            }
            assert fails[unfit.rule] and one.name in unfit.text and unfit.needed and unfit.available


@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_in_which_hosts_are_named_decides_nothing(
    world: tuple[list[PlacementRequest], list[Host], dict[str, list[Port]]], chance: Any
) -> None:
    requests, hosts, taken = world
    shuffled = list(hosts)
    chance.shuffle(shuffled)
    first, second = place(requests, hosts, taken), place(requests, shuffled, taken)
    for one, other in zip(first, second, strict=True):
        if isinstance(one, Placed):
            assert one == other
        else:
            assert isinstance(other, Waiting) and set(one.hosts) == set(other.hosts)


@given(worlds(), st.sampled_from(["c0", "c1"]))
def test_another_host_makes_no_single_request_unplaceable(
    world: tuple[list[PlacementRequest], list[Host], dict[str, list[Port]]], cluster: str
) -> None:
    requests, hosts, taken = world
    for request in requests:
        (before,) = place([request], hosts, taken)
        (after,) = place([request], [*hosts, host(99, cluster_id=cluster)], taken)
        assert isinstance(after, Placed) or isinstance(before, Waiting)


@given(st.integers(1, 8), st.integers(0, 60), _CPU)
def test_equal_requests_are_spread_evenly_over_equal_hosts(hosts: int, count: int, cpu: float) -> None:
    requests = [PlacementRequest(f"n{n}", cpu, 1, None, "c0") for n in range(count)]
    counts: dict[str, int] = defaultdict(int)
    for answer in place(requests, [host(n, cpu=200.0) for n in range(hosts)]):
        assert isinstance(answer, Placed)
        counts[answer.host_id] += 1
    assert max(counts.values(), default=0) - (min(counts.values()) if len(counts) == hosts else 0) <= 1


@given(st.lists(_CPU, max_size=40), st.integers(2, 5))
def test_reserved_shares_differ_by_no_more_than_the_greatest_request(sizes: list[float], count: int) -> None:
    requests = [PlacementRequest(f"n{n}", cpu, 1, None, "c0") for n, cpu in enumerate(sizes)]
    reserved = {f"id{n}": 0.0 for n in range(count)}
    hosts = [host(n, cpu=1000.0) for n in range(count)]
    for request, answer in zip(requests, place(requests, hosts), strict=True):
        assert isinstance(answer, Placed)
        reserved[answer.host_id] += request.cpu
    assert max(reserved.values()) - min(reserved.values()) <= max(sizes, default=0.0) + 1e-6


def test_ten_tenths_fit_into_one_core() -> None:
    requests = [PlacementRequest(f"n{n}", 0.1, 1, None, "c0") for n in range(11)]
    answers = place(requests, [host(0, cpu=1.0)])
    assert [isinstance(answer, Placed) for answer in answers] == [True] * 10 + [False]


def test_of_equal_hosts_the_emptier_then_the_first_by_name_is_taken() -> None:
    request = PlacementRequest("n", 1.0, 1, None, "c0")
    (by_count,) = place([request], [host(0, containers=2), host(1, containers=1)])
    (by_name,) = place([request], [host(1), host(0)])
    assert isinstance(by_count, Placed) and by_count.host_id == "id1"
    assert (
        isinstance(by_name, Placed) and by_name.host_id == "id0" and "smallest reserved share of 2" in by_name.summary
    )


def test_both_named_means_that_host_in_that_cluster() -> None:
    request = PlacementRequest("n", 1.0, 1, "id0", "c1")
    (elsewhere,) = place([request], [host(0, cluster_id="c0"), host(1, cluster_id="c1")])
    (there,) = place([request], [host(0, cluster_id="c1")])
    assert isinstance(elsewhere, Waiting) and isinstance(there, Placed)


@pytest.mark.parametrize(
    ("named", "words"),
    [({"host_node": "x"}, "the host node named"), ({"host_cluster": "x"}, "the host cluster named")],
)
def test_a_name_that_means_no_host_says_which(named: dict[str, str], words: str) -> None:
    (answer,) = place([PlacementRequest("n", 1.0, 1, **named)], [host(0)])  # type: ignore[arg-type]
    assert isinstance(answer, Waiting) and words in answer.summary


def test_a_shortfall_counts_hosts_by_reason_with_what_is_needed_and_there() -> None:
    hosts = [
        host(0, state=HostState.CORDONED),
        host(1, reserved_cpu=3.5),
        host(2, memory=2**20),
        host(3, reserved_cpu=3.75),
    ]
    (answer,) = place([PlacementRequest("n", 1.0, 2**21, None, "c0")], hosts)
    assert isinstance(answer, Waiting)
    assert answer.summary == (
        "0 of 4 hosts fit: not ready on 1 (h0 is cordoned); "
        "cpu short on 2 (h1 has 0.50 of 4 cores unreserved, 1 needed); "
        "memory short on 1 (h2 has 1 MiB of 1 MiB memory unreserved, 2 MiB needed)"
    )
