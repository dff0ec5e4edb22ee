"""How many hosts a host cluster gains, and which it gives back."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.host import Host, HostState
from spinney.domain.host_scaling import Situation, give_back, grow
from spinney.domain.placement.answers import Placed
from spinney.domain.placement.model import PlacementRequest, Surroundings
from spinney.domain.placement.rules import PlacementRules
from spinney.domain.placement.scheduler import Fleet
from spinney.domain.policy import HostScaling

_GIB = 2**30


def _host(name: str, cpu: float = 4.0, reserved: float = 0.0, **fields: Any) -> Host:
    return Host(
        node_id=name, endpoint=name, name=name, cluster_id="hosts", project="p", state=HostState.READY, cpu=cpu,
        memory=16 * _GIB, reserved_cpu=reserved, **fields,
    )  # fmt: skip


def _request(number: int, cpu: float, **fields: Any) -> PlacementRequest:
    return PlacementRequest(f"n{number}", cpu, _GIB, host_cluster="hosts", workload="web", **fields)


def _waiting(count: int, cpu: float, **fields: Any) -> list[PlacementRequest]:
    return [_request(number, cpu, **fields) for number in range(count)]


def _at(hosts: list[Host], maximum: int = 10, minimum: int = 0, changed_at: float | None = None) -> Situation:
    return Situation(HostScaling(minimum, maximum, 300, 600), len(hosts), hosts, Surroundings(), changed_at, 1000.0)


_FULL = [_host("a", reserved=4.0)]
_MACHINES = [_host(f"m{number}") for number in range(5)]


def test_as_many_as_it_takes() -> None:
    assert grow(_at(_FULL), _MACHINES, _waiting(1, 2.0)) == 1
    assert grow(_at(_FULL), _MACHINES, _waiting(5, 2.0)) == 3
    assert grow(_at(_FULL), _MACHINES, _waiting(50, 2.0)) == 5, "all machines there are"
    assert grow(_at(_FULL, maximum=3), _MACHINES, _waiting(50, 2.0)) == 2


def test_not_when_it_would_not_help() -> None:
    assert grow(_at(_FULL), _MACHINES, _waiting(3, 5.0)) == 0, "no machine is big enough"
    assert grow(_at(_FULL), _MACHINES, _waiting(1, 1.0, rules=PlacementRules(zones=("b",)))) == 0
    assert grow(_at(_FULL), _MACHINES, []) == 0
    assert grow(_at([_host("a")]), _MACHINES, _waiting(1, 1.0)) == 0, "there is room, somebody will take it"
    assert grow(_at(_FULL), [], _waiting(1, 1.0)) == 0


def test_a_machine_that_helps_nobody_may_be_on_the_way_to_one_that_does() -> None:
    machines = [_host("m0", zone="a"), _host("m1", zone="b"), _host("m2", zone="b")]
    assert grow(_at(_FULL), machines, _waiting(1, 1.0, rules=PlacementRules(zones=("b",)))) == 2


def test_nothing_within_the_cooldown() -> None:
    assert grow(_at(_FULL, changed_at=701.0), _MACHINES, _waiting(1, 2.0)) == 0
    assert grow(_at(_FULL, changed_at=700.0), _MACHINES, _waiting(1, 2.0)) == 1
    assert give_back(_at([_host("a")], changed_at=701.0), ["a"], []) == []


def test_empty_hosts_go_but_not_the_room_of_the_next_member() -> None:
    hosts = [_host("used", reserved=4.0), _host("b"), _host("c")]
    assert give_back(_at(hosts), ["c", "b"], [_request(0, 2.0)]) == ["c"]
    assert give_back(_at(hosts), ["c", "b"], []) == ["c", "b"]
    assert give_back(_at(hosts, minimum=2), ["c", "b"], []) == ["c"]
    assert give_back(_at(hosts), ["c", "b"], [_request(0, 9.0)]) == ["c", "b"], "which fits nowhere anyway"


@given(
    st.lists(st.floats(0.0, 4.0), max_size=5),
    st.lists(st.floats(0.5, 6.0), max_size=6),
    st.lists(st.floats(0.5, 5.0), min_size=1, max_size=8),
    st.integers(0, 8),
)
def test_growing_places_more_with_no_host_too_many(
    reserved: list[float], sizes: list[float], wanted: list[float], maximum: int
) -> None:
    hosts = [_host(f"h{i}", reserved=part) for i, part in enumerate(reserved)]
    machines = [_host(f"m{i}", cpu) for i, cpu in enumerate(sizes)]
    waiting = [_request(i, cpu) for i, cpu in enumerate(wanted)]

    def placed(count: int) -> int:
        answers = Fleet([*hosts, *machines[:count]], Surroundings()).place(waiting)
        return sum(isinstance(answer, Placed) for answer in answers)

    count = grow(_at(hosts, maximum), machines, waiting)
    assert 0 <= count <= max(maximum - len(hosts), 0) and count <= len(machines)
    assert count == 0 or placed(count) > placed(count - 1), "the last one was still of use"


@given(
    st.lists(st.tuples(st.floats(0.0, 4.0), st.booleans()), min_size=1, max_size=6),
    st.lists(st.floats(0.5, 5.0), max_size=4),
    st.integers(0, 6),
)
def test_giving_back_takes_no_room_that_the_next_member_had(
    there: list[tuple[float, bool]], members: list[float], minimum: int
) -> None:
    hosts = [_host(f"h{i}", reserved=0.0 if empty else part) for i, (part, empty) in enumerate(there)]
    idle = [host.node_id for host in hosts if host.reserved_cpu == 0.0]
    likely = [_request(i, cpu) for i, cpu in enumerate(members)]
    going = give_back(_at(hosts, minimum=minimum), idle, likely)
    left = [host for host in hosts if host.node_id not in going]
    assert set(going) <= set(idle)
    assert len(left) >= min(minimum, len(hosts))
    for request in likely:
        before, after = (Fleet(some, Surroundings()).place([request])[0] for some in (hosts, left))
        assert isinstance(after, Placed) or not isinstance(before, Placed)
