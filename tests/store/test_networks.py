"""The projects' own bridges: one subnet each on a host, kept while somebody needs it."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from spinney.domain.node import Node, NodeStatus
from spinney.domain.placement.model import PlacementRequest
from spinney.store import networks, placements, tables
from spinney.store.database import Store
from spinney.store.placements import Landing, PlacementRace
from spinney.store.rows import NODES
from store.made import Clock, add_host, in_memory, node


@pytest.fixture
def store() -> Store:
    return in_memory(Clock())


def _landing(member: Node, host_id: str) -> Landing:
    request = PlacementRequest(member.id, 1.0, 100, host_id)
    return Landing(request, host_id, member.generation + 1, NodeStatus.CREATING, member.profile_id)


def _member(store: Store) -> Node:
    member = node()
    store.run(NODES.insert, [member])
    return member


def test_each_project_gets_the_lowest_free_subnet_of_a_host_and_keeps_it(store: Store) -> None:
    here, there = add_host(store), add_host(store)
    first = store.run(networks.subnets, [(here, "b"), (here, "a"), (there, "c")], 4)
    assert first == {(here, "a"): 0, (here, "b"): 1, (there, "c"): 0}
    assert store.run(networks.subnets, [(here, "b"), (here, "c")], 4) == {(here, "b"): 1, (here, "c"): 2}
    assert store.run(networks.drop_unused, [(here, "a")]) == [(here, "a")]
    assert store.run(networks.subnets, [(here, "d")], 4) == {(here, "d"): 0}
    assert store.run(networks.subnets, [], 4) == {}


def test_a_project_without_a_free_subnet_is_left_out_and_the_others_are_not(store: Store) -> None:
    here, there = add_host(store), add_host(store)
    store.run(networks.subnets, [(here, "a")], 1)
    assert store.run(networks.subnets, [(here, "b"), (here, "a"), (there, "b")], 1) == {
        (here, "a"): 0,
        (there, "b"): 0,
    }


def test_a_refused_subnet_is_moved_upwards_once_for_all_who_were_refused(store: Store) -> None:
    here = add_host(store)
    store.run(networks.subnets, [(here, "a"), (here, "b")], 4)
    assert store.run(networks.move_subnet, here, "a", 0, 4) == 2
    assert store.run(networks.move_subnet, here, "a", 0, 4) == 2, "another node was refused the same one"
    assert store.run(networks.move_subnet, here, "a", 2, 4) == 3
    with pytest.raises(PlacementRace, match="no subnet of the pool is free"):
        store.run(networks.move_subnet, here, "a", 3, 4)


def test_a_network_is_forgotten_with_its_last_node(store: Store) -> None:
    here = add_host(store)
    store.run(networks.subnets, [(here, "p"), (here, "q")], 4)
    member = _member(store)
    store.run(placements.reserve, [_landing(member, here)], 5.0)
    assert store.run(networks.drop_unused, [(here, "p"), (here, "q")]) == [(here, "q")]
    store.run(placements.release, store.run(NODES.all, tables.node.c.id == member.id))
    assert store.run(networks.drop_unused, [(here, "p")]) == [(here, "p")]
    assert store.run(lambda c: c.execute(sa.select(tables.network)).all()) == []


def test_a_network_stays_for_a_node_that_is_on_its_way(store: Store) -> None:
    here, there = add_host(store), add_host(store)
    store.run(networks.subnets, [(there, "p")], 4)
    member = _member(store)
    store.run(placements.reserve, [_landing(member, here)], 5.0)
    store.run(placements.hold_room, [_landing(member, there)])
    assert store.run(networks.drop_unused, [(there, "p")]) == []
    store.run(placements.give_up, [member.id])
    assert store.run(networks.drop_unused, [(there, "p")]) == [(there, "p")]
