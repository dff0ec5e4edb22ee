"""Reservations, holds and ports: counted once, whoever else counts at the same time."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa

from spinney.domain.host import Host, HostState
from spinney.domain.node import Node, NodeStatus
from spinney.domain.placement.answers import Placed
from spinney.domain.placement.model import PlacementRequest, Surroundings
from spinney.domain.placement.rules import NO_RULES, PlacementRules
from spinney.domain.placement.scheduler import Fleet
from spinney.store import fleets, hosts, placements, tables
from spinney.store.database import Store
from spinney.store.placements import Landing, PlacementRace
from spinney.store.rows import NODES
from store.made import Clock, add_host, everything, in_memory, new_id, node


@pytest.fixture
def store() -> Store:
    return in_memory(Clock())


def _nodes(store: Store, count: int, **fields: object) -> list[Node]:
    made = [node(**fields) for _ in range(count)]
    store.run(NODES.insert, made)
    return made


def _landing(
    member: Node, host_id: str, *, cpu: float = 1.0, memory: int = 100, ports: tuple[int, ...] = ()
) -> Landing:
    request = PlacementRequest(member.id, cpu, memory, host_id, None, tuple(("tcp", port) for port in ports))
    return Landing(request, host_id, member.generation + 1, NodeStatus.CREATING, member.profile_id)


def _host(store: Store, host_id: str) -> Host:
    (found,) = store.run(hosts.find, tables.host.c.node_id == host_id)
    return found


def _placed(store: Store) -> list[Node]:
    return [n for n in store.run(NODES.all) if n.host_id is not None]


def test_reserving_counts_on_the_host_and_tells_the_node(store: Store) -> None:
    host_id = add_host(store)
    members = _nodes(store, 2, waiting_since=1.0)
    store.run(placements.reserve, [_landing(m, host_id, ports=(80 + i,)) for i, m in enumerate(members)], 5.0)
    host = _host(store, host_id)
    assert (host.reserved_cpu, host.reserved_memory, host.containers) == (2.0, 200, 2)
    for placed in _placed(store):
        assert (placed.host_id, placed.generation, placed.placed_at) == (host_id, 1, 5.0)
        assert (placed.reserved_cpu, placed.reserved_memory, placed.waiting_since) == (1.0, 100, None)


def _full(store: Store, host_id: str) -> None:
    store.run(
        lambda c: c.execute(tables.host.update().where(tables.host.c.node_id == host_id).values(reserved_cpu=3.5))
    )


def _no_memory(store: Store, host_id: str) -> None:
    store.run(
        lambda c: c.execute(tables.host.update().where(tables.host.c.node_id == host_id).values(reserved_memory=950))
    )


def _suspect(store: Store, host_id: str) -> None:
    store.run(
        lambda c: c.execute(
            tables.host.update().where(tables.host.c.node_id == host_id).values(state=HostState.SUSPECT)
        )
    )


def _gone(store: Store, host_id: str) -> None:
    store.run(hosts.remove, host_id)


def _port_taken(store: Store, host_id: str) -> None:
    row = {"host_id": host_id, "protocol": "tcp", "port": 80, "node_id": new_id()}
    store.run(lambda c: c.execute(tables.port.insert(), row))


@pytest.mark.parametrize("meanwhile", [_full, _no_memory, _suspect, _gone, _port_taken])
def test_losing_a_race_keeps_nothing(store: Store, meanwhile: Callable[[Store, str], None]) -> None:
    free, contested = add_host(store), add_host(store)
    first, second = _nodes(store, 2)
    meanwhile(store, contested)
    before = everything(store)
    with pytest.raises(PlacementRace):
        store.run(placements.reserve, [_landing(first, free), _landing(second, contested, ports=(80,))], 5.0)
    assert everything(store) == before


def test_releasing_gives_everything_back(store: Store) -> None:
    host_id = add_host(store)
    before = everything(store)
    members = _nodes(store, 3)
    store.run(placements.reserve, [_landing(m, host_id, ports=(80 + i,)) for i, m in enumerate(members)], 5.0)
    store.run(placements.release, _placed(store))
    assert [n.generation for n in store.run(NODES.all) if n.id != host_id] == [1, 1, 1], "names are never used twice"
    ids = [m.id for m in members]
    store.run(lambda c: c.execute(tables.node.delete().where(tables.node.c.id.in_(ids))))
    assert everything(store) == before


def test_releasing_what_is_placed_nowhere_does_nothing(store: Store) -> None:
    add_host(store)
    members = _nodes(store, 2)
    before = everything(store)
    store.run(placements.release, members)
    assert everything(store) == before


def test_odd_fractions_of_cores_leave_no_dust(store: Store) -> None:
    host_id = add_host(store, cpu=100.0, memory=10**6)
    chance = random.Random(3)
    for _ in range(30):
        for member in _nodes(store, 5):
            store.run(placements.reserve, [_landing(member, host_id, cpu=chance.choice([0.1, 0.05, 1 / 3, 0.7]))], 5.0)
        gone = chance.sample(_placed(store), 4)
        store.run(placements.release, gone)
        assert 0.0 <= _host(store, host_id).reserved_cpu <= 100.0
    store.run(placements.release, _placed(store))
    assert _host(store, host_id).reserved_cpu == 0.0


@pytest.mark.parametrize("seed", range(20))
def test_what_the_scheduler_finds_to_fit_is_never_refused(store: Store, seed: int) -> None:
    """However the sums are added up; a refusal without a race would be repeated for ever."""
    chance = random.Random(seed)
    for _ in range(4):
        add_host(store, cpu=chance.choice([1.0, 0.9, 1.1]), memory=10**6)
    members = _nodes(store, 40)
    requests = [PlacementRequest(m.id, chance.choice([0.1, 0.3, 0.05, 1 / 3]), 1, None, "hosts") for m in members]
    for chunk in (requests[:7], requests[7:20], requests[20:]):
        answers = Fleet(store.run(fleets.candidates, chunk), Surroundings()).place(chunk)
        landings = [
            Landing(request, answer.host_id, 1, NodeStatus.CREATING, "-")
            for request, answer in zip(chunk, answers, strict=True)
            if isinstance(answer, Placed)
        ]
        store.run(placements.reserve, landings, 5.0)


def test_candidates_are_the_hosts_that_may_be_meant(store: Store) -> None:
    first, second = add_host(store, cluster_id="a"), add_host(store, cluster_id="a")
    third, fourth = add_host(store, cluster_id="b"), add_host(store, cluster_id="c")

    def found(*requests: PlacementRequest) -> set[str]:
        return {h.node_id for h in store.run(fleets.candidates, requests)}

    in_a, on_fourth = PlacementRequest("n", 1, 1, None, "a"), PlacementRequest("n", 1, 1, fourth)
    assert found(in_a) == {first, second}
    assert found(on_fourth, in_a) == {first, second, fourth}
    assert found(replace(in_a, host_cluster="b", host_node=third)) == {third}
    assert found() == set()


# --- holds ------------------------------------------------------------------------------------------------------------


def _moving(store: Store) -> tuple[str, str, Node]:
    """A node on the first host, with room held for it on the second; its port is taken on both."""
    here, there = add_host(store), add_host(store)
    (member,) = _nodes(store, 1, cluster_id="c")
    store.run(placements.reserve, [_landing(member, here, ports=(80,))], 5.0)
    (placed,) = _placed(store)
    store.run(placements.hold_room, [_landing(placed, there, ports=(80,))])
    return here, there, placed


def _ports(store: Store) -> set[str]:
    return set(store.run(lambda c: c.execute(sa.select(tables.port.c.host_id)).scalars().all()))


def test_a_node_on_its_way_counts_on_both_hosts_and_is_still_on_the_first(store: Store) -> None:
    here, there, _ = _moving(store)
    assert [_host(store, h).reserved_cpu for h in (here, there)] == [1.0, 1.0]
    assert [_host(store, h).containers for h in (here, there)] == [1, 1]
    (placed,) = _placed(store)
    assert (placed.host_id, placed.generation) == (here, 2)
    assert _ports(store) == {here, there}


def test_who_is_handed_over_keeps_both_rooms_until_the_old_one_is_left(store: Store) -> None:
    here, there, placed = _moving(store)
    store.run(placements.hand_over, [placed], 9.0)
    (arrived,) = _placed(store)
    assert (arrived.host_id, arrived.placed_at, arrived.reserved_memory) == (there, 9.0, 100)
    assert [_host(store, h).reserved_memory for h in (here, there)] == [100, 100]
    assert _ports(store) == {here, there}
    assert [hold.host_id for hold in store.run(placements.holds, [placed.id]).values()] == [here]
    store.run(placements.give_up, [placed.id])
    assert [_host(store, h).reserved_memory for h in (here, there)] == [0, 100]
    assert _ports(store) == {there} and store.run(placements.holds, [placed.id]) == {}


def test_giving_up_leaves_the_node_where_it_was(store: Store) -> None:
    here, there, placed = _moving(store)
    (given_up,) = store.run(placements.give_up, [placed.id])
    assert (given_up.host_id, given_up.generation) == (there, 2)
    assert [_host(store, h).reserved_memory for h in (here, there)] == [100, 0]
    assert _ports(store) == {here}
    assert store.run(placements.give_up, [placed.id]) == [], "a second time finds nothing to give back"


def test_releasing_a_node_on_its_way_gives_both_rooms_back(store: Store) -> None:
    here, there, placed = _moving(store)
    assert [h.host_id for h in store.run(placements.release, [placed])] == [there]
    assert [_host(store, h).reserved_cpu for h in (here, there)] == [0.0, 0.0]
    assert _ports(store) == set()


def test_what_is_full_holds_no_room(store: Store) -> None:
    here, there = add_host(store), add_host(store)
    (member,) = _nodes(store, 1)
    store.run(placements.reserve, [_landing(member, here)], 5.0)
    _full(store, there)
    before = everything(store)
    with pytest.raises(PlacementRace):
        store.run(placements.hold_room, [_landing(_placed(store)[0], there)])
    assert everything(store) == before


# --- what the scheduler is told ---------------------------------------------------------------------------------------


def test_members_are_counted_where_they_are_and_where_they_are_going(store: Store) -> None:
    here, there, _ = _moving(store)
    counted = PlacementRequest("n", 1, 1, here, workload="c", rules=PlacementRules(max_per_host=1))
    careless = replace(counted, rules=NO_RULES)
    found = store.run(hosts.find)
    told = store.run(fleets.surroundings, [counted], found, network_limit=4, now=0.0)
    assert {h: dict(counts) for h, counts in told.residents.items()} == {here: {"c": 1}, there: {"c": 1}}
    assert store.run(fleets.surroundings, [careless], found, network_limit=4, now=0.0).residents == {}


def test_failures_count_for_a_while(store: Store) -> None:
    here = add_host(store)
    rows = [{"node_id": f"n{at}", "at": float(at), "host_id": here, "profile_id": "x"} for at in (10, 20, 30)]
    store.run(lambda c: c.execute(tables.setback.insert(), rows))
    assert store.run(fleets.setbacks, {"x", "y"}, 31.0) == {here: {"x": 3}}
    assert store.run(fleets.setbacks, {"x"}, 25.0 + fleets.SETBACK_WINDOW) == {here: {"x": 1}}
    assert store.run(fleets.setbacks, {"y"}, 31.0) == {}


def test_only_hosts_without_a_subnet_left_are_told(store: Store) -> None:
    full, roomy = add_host(store), add_host(store)
    rows = [{"host_id": h, "project": p, "subnet_index": i} for h in (full,) for i, p in enumerate("ab")]
    rows.append({"host_id": roomy, "project": "a", "subnet_index": 0})
    store.run(lambda c: c.execute(tables.network.insert(), rows))
    asked = PlacementRequest("n", 1, 1, full, networked=True)
    found = store.run(hosts.find)
    told = store.run(fleets.surroundings, [asked], found, network_limit=2, now=0.0)
    assert {h: set(projects) for h, projects in told.networks.items()} == {full: {"a", "b"}}
    of_two = [replace(asked, project=project) for project in ("c", "d")]
    told = store.run(fleets.surroundings, of_two, found, network_limit=2, now=0.0)
    assert set(told.networks) == {full, roomy}, "one subnet is left there, and two projects come"
