"""Room of containers that are changed where they are: the larger of both while that is at work, the right one afterwards."""

from __future__ import annotations

import pytest

from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.node import Node
from spinney.store import adjusting, hosts, tables
from spinney.store.database import Store
from spinney.store.rows import ACTIONS, NODES
from store.made import Clock, add_host, in_memory, node


@pytest.fixture
def store() -> Store:
    return in_memory(Clock())


def _placed(store: Store, *, cpu: float = 1.0, memory: int = 100) -> tuple[Action, Node]:
    """An update of a node that sets aside so much, on a host of 4 cores and 1000 bytes."""
    host_id = add_host(store, cpu=4.0, memory=1000, reserved_cpu=cpu, reserved_memory=memory, containers=1)
    made = node(host_id=host_id, reserved_cpu=cpu, reserved_memory=memory, generation=3)
    action = Action(
        id="a",
        name="",
        target=made.id,
        action=ActionKind.NODE_UPDATE,
        cause=Cause.REQUEST,
        status=ActionStatus.RUNNING,
        status_reason="",
    )
    store.run(NODES.insert, [made])
    store.run(ACTIONS.insert, [action])
    return action, made


def _aside(store: Store, made: Node) -> tuple[tuple[float, int], tuple[float, int]]:
    """What the host and the node have set aside."""
    (host,) = store.run(hosts.find)
    (found,) = store.run(NODES.all, tables.node.c.id == made.id)
    return (host.reserved_cpu, host.reserved_memory), (found.reserved_cpu, found.reserved_memory)


@pytest.mark.parametrize(("succeeded", "after"), [(True, (2.0, 50)), (False, (1.0, 100))])
def test_the_larger_of_both_until_it_is_known_what_came_of_it(
    store: Store, succeeded: bool, after: tuple[float, int]
) -> None:
    action, made = _placed(store)
    begun = store.run(adjusting.begin, action, made, 2.0, 50)
    assert begun is not None
    assert _aside(store, made) == ((2.0, 100), (2.0, 100))
    (stored,) = store.run(ACTIONS.all)
    assert stored.data == begun[0].data and adjusting.begun(*begun)
    store.run(adjusting.settle, [(*begun, succeeded)])
    assert _aside(store, made) == (after, after)


@pytest.mark.parametrize(("cpu", "memory"), [(4.1, 100), (1.0, 1001)])
def test_without_room_nothing_changes(store: Store, cpu: float, memory: int) -> None:
    action, made = _placed(store)
    assert store.run(adjusting.begin, action, made, cpu, memory) is None
    assert _aside(store, made) == ((1.0, 100), (1.0, 100))
    assert store.run(ACTIONS.all)[0].data == {}


def test_less_is_had_on_a_host_that_has_too_much_on_it(store: Store) -> None:
    action, made = _placed(store, cpu=6.0)
    begun = store.run(adjusting.begin, action, made, 2.0, 100)
    assert begun is not None
    store.run(adjusting.settle, [(*begun, True)])
    assert _aside(store, made)[0] == (2.0, 100)


def test_a_node_that_was_made_anew_instead_is_left_alone(store: Store) -> None:
    action, made = _placed(store)
    begun = store.run(adjusting.begin, action, made, 2.0, 50)
    assert begun is not None
    renewed = Node(**{name: getattr(made, name) for name in NODES.names} | {"generation": 4})
    assert not store.run(adjusting.settle, [(begun[0], renewed, True)])
    assert _aside(store, made)[0] == (2.0, 100)
