"""Whom a waiting container of a more important cluster pushes out."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spinney.domain.host import Host, HostState
from spinney.domain.placement.answers import Placed
from spinney.domain.placement.model import Occupant, PlacementRequest, Surroundings
from spinney.domain.placement.rules import PlacementRules
from spinney.domain.placement.scheduler import Fleet
from spinney.domain.preemption import Eviction, Tenant, carry_out, choose

_GIB = 2**30


def _tenant(name: str, host: str, cpu: float, priority: int = 0) -> Tenant:
    return Tenant(name, name, priority, Occupant(host, cpu, _GIB, "others", (), "p"))


def _hosts(tenants: list[Tenant], names: str = "ab", **fields: Any) -> list[Host]:
    def host(name: str) -> Host:
        here = [tenant.occupant for tenant in tenants if tenant.occupant.host_id == name]
        return Host(
            node_id=name, endpoint=name, name=name, cluster_id="hosts", project="p", cpu=4.0, memory=16 * _GIB,
            reserved_cpu=sum(one.cpu for one in here), reserved_memory=sum(one.memory for one in here),
            containers=len(here), **{"state": HostState.READY, **fields},
        )  # fmt: skip

    return [host(name) for name in names]


def _request(cpu: float, **fields: Any) -> PlacementRequest:
    values = {"host_cluster": "hosts", "workload": "urgent", "project": "p", **fields}
    return PlacementRequest("new", cpu, _GIB, **values)


def _choose(
    tenants: list[Tenant], request: PlacementRequest, priority: int = 5, **fields: Any
) -> tuple[str, str] | None:
    hosts = _hosts(tenants, **fields)
    found = choose(Fleet(hosts, Surroundings()), hosts, request, priority, tenants)
    return None if found is None else (found.host_id, " ".join(sorted(t.name for t in found.victims)))


def test_the_least_important_go_and_nobody_who_could_stay() -> None:
    tenants = [_tenant("small", "a", 1.0), _tenant("big", "a", 3.0), _tenant("dear", "b", 4.0, 3)]
    assert _choose(tenants, _request(2.0)) == ("a", "big"), "the small one makes no room, so it stays"
    assert _choose(tenants, _request(4.0)) == ("a", "big small"), "two of 0 rather than one of 3"


def test_nobody_of_equal_or_higher_priority() -> None:
    tenants = [_tenant("equal", "a", 4.0, 5), _tenant("higher", "b", 4.0, 9)]
    assert _choose(tenants, _request(1.0)) is None
    assert _choose(tenants, _request(1.0), priority=6) == ("a", "equal")


def test_nobody_goes_where_it_would_not_help() -> None:
    tenants = [_tenant("x", "a", 4.0), _tenant("y", "b", 4.0)]
    assert _choose(tenants, _request(1.0, rules=PlacementRules(zones=("elsewhere",)))) is None
    assert _choose(tenants, _request(1.0), state=HostState.CORDONED) is None
    assert _choose(tenants, _request(5.0)) is None


_TENANTS = st.lists(st.tuples(st.sampled_from("abc"), st.floats(0.25, 2.0), st.integers(0, 4)), max_size=10).map(
    lambda found: [_tenant(f"t{i}", host, cpu, priority) for i, (host, cpu, priority) in enumerate(found)]
)


@given(_TENANTS, st.floats(0.5, 4.0), st.integers(0, 5))
def test_what_is_chosen_is_enough_and_all_of_it_is_needed(tenants: list[Tenant], cpu: float, priority: int) -> None:
    hosts = _hosts(tenants, "abc")
    fleet, request = Fleet(hosts, Surroundings()), _request(cpu)
    if isinstance(fleet.place([request])[0], Placed):
        return
    found = choose(fleet, hosts, request, priority, tenants)
    again = choose(fleet, hosts, request, priority, tenants)
    assert found == again, "the fleet is left as it was"
    if found is None:
        for name in "abc":
            lower = [t for t in tenants if t.priority < priority and t.occupant.host_id == name]
            assert not lower or not _would_do(tenants, request, Eviction(name, tuple(lower)))
        return
    assert all(t.priority < priority and t.occupant.host_id == found.host_id for t in found.victims)
    assert _would_do(tenants, request, found)
    for spared in found.victims:
        fewer = tuple(t for t in found.victims if t is not spared)
        assert not _would_do(tenants, request, Eviction(found.host_id, fewer)), f"{spared.name} could have stayed"


def _would_do(tenants: list[Tenant], request: PlacementRequest, eviction: Eviction) -> bool:
    fleet = Fleet(_hosts(tenants, "abc"), Surroundings())
    for tenant in eviction.victims:
        fleet.leave(tenant.occupant)
    return isinstance(fleet.place([request])[0], Placed)


def test_two_waiting_ones_do_not_count_on_the_same_room() -> None:
    tenants = [_tenant("x", "a", 4.0), _tenant("y", "b", 4.0)]
    hosts = _hosts(tenants)
    fleet = Fleet(hosts, Surroundings())
    first = choose(fleet, hosts, _request(4.0), 5, tenants)
    assert first is not None
    carry_out(fleet, _request(4.0), first)
    left = [tenant for tenant in tenants if tenant not in first.victims]
    second = choose(fleet, hosts, _request(4.0), 5, left)
    assert second is not None and second.host_id != first.host_id
