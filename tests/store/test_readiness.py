"""What is written of readiness, and what comes too late for that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from spinney.domain.action import ActionKind, ActionStatus
from spinney.domain.event import Level
from spinney.domain.event import of_node as event_of
from spinney.domain.host import Host, HostState
from spinney.domain.identity import Owner
from spinney.domain.node import Node, NodeStatus, PowerState
from spinney.store import hosts, readiness, tables
from spinney.store.database import Store
from spinney.store.readiness import Finding
from spinney.store.rows import ACTIONS, EVENTS, NODES
from store import made
from store.made import Clock, in_memory


@pytest.fixture
def store() -> Store:
    return in_memory(Clock())


def stored(store: Store, **fields: Any) -> Node:
    values = {"status": NodeStatus.ACTIVE, "physical_id": "c1", "host_id": "h", "ready_at": 1.0, "ready_reason": "no"}
    node = made.node(**{**values, **fields})
    store.run(NODES.insert, [node])
    return node


def now(store: Store, node: Node) -> tuple[bool, float | None, str]:
    found = store.run(NODES.one, tables.node.c.id == node.id)
    assert found is not None
    return found.ready, found.ready_at, found.ready_reason


def finding(node: Node, *, ready: bool = True, reason: str = "") -> Finding:
    event = event_of(
        Owner("u", "p", None), node_id=node.id, node_name="n", cluster_id="", kind="CONTAINER_READY", level=Level.INFO,
        reason=reason, event_id=made.new_id(), now=9.0,
    )  # fmt: skip
    return Finding(node, ready, reason, event)


def test_what_was_found_is_written_with_its_moment_and_its_event(store: Store) -> None:
    node = stored(store)
    assert len(store.run(readiness.record, [finding(node)], 9.0)) == 1
    assert now(store, node) == (True, 9.0, "")
    assert [event.oid for event in store.run(EVENTS.all)] == [node.id]


def test_another_reason_is_no_other_moment(store: Store) -> None:
    node = stored(store)
    store.run(readiness.record, [Finding(node, False, "still not")], 9.0)
    assert now(store, node) == (False, 1.0, "still not")
    assert store.run(EVENTS.all) == []


@pytest.mark.parametrize(
    "since",
    [
        {"physical_id": "c2"},
        {"physical_id": None},
        {"ready_at": 2.0},
        {"ready_at": None},
        {"ready_reason": "its container is being removed"},
        {"ready": True},
        {"status": NodeStatus.RECOVERING},
        {"status": NodeStatus.DELETING},
        {"status": NodeStatus.UPDATING},
        {"status": NodeStatus.ERROR},
        {"power": PowerState.STOPPED},
    ],
)
def test_what_is_found_too_late_is_not_written(store: Store, since: dict[str, Any]) -> None:
    node = stored(store)
    store.run(lambda c: c.execute(tables.node.update().where(tables.node.c.id == node.id).values(since)))
    before = now(store, node)
    assert store.run(readiness.record, [finding(node)], 9.0) == []
    assert now(store, node) == before
    assert store.run(EVENTS.all) == []


@pytest.mark.parametrize("status", [NodeStatus.UPDATING, NodeStatus.OPERATING])
def test_readiness_may_be_lost_while_something_works_on_the_node(store: Store, status: NodeStatus) -> None:
    node = stored(store, ready=True, ready_reason="", status=status)
    assert store.run(readiness.record, [finding(node, ready=False, reason="no")], 9.0)
    assert now(store, node) == (False, 9.0, "no")


@pytest.mark.parametrize(("kind", "written"), [(ActionKind.NODE_MOVE, False), (ActionKind.NODE_CHECK, True)])
def test_nobody_is_called_ready_whose_container_may_be_about_to_stop(
    store: Store, kind: ActionKind, written: bool
) -> None:
    node = stored(store)
    running = made.action(node.id, kind, status=ActionStatus.RUNNING)
    store.run(ACTIONS.insert, [running])
    store.run(lambda c: c.execute(tables.action.update().values(running_target=node.id)))
    assert bool(store.run(readiness.record, [finding(node)], 9.0)) == written


def test_taking_readiness_away_keeps_the_moment_of_who_was_not_ready(store: Store) -> None:
    was, was_not = stored(store, ready=True, ready_reason=""), stored(store)
    store.run(readiness.withdraw, {was.id: "it stops", was_not.id: "it stops"}, 9.0)
    assert now(store, was) == (False, 9.0, "it stops")
    assert now(store, was_not) == (False, 1.0, "it stops")


def test_hosts_are_ready_while_they_are_active(store: Store) -> None:
    host = stored(store, ready_at=None, ready_reason="", host_id=None)
    box = stored(store)
    machine = Host(node_id=host.id, endpoint="sim://h", name="h", cluster_id="", project="p", state=HostState.READY)
    store.run(hosts.register, machine)
    store.run(readiness.follow_hosts, [host.id, box.id], 5.0)
    assert now(store, host) == (True, 5.0, "") and now(store, box) == (False, 1.0, "no")
    store.run(readiness.follow_hosts, [host.id], 6.0)
    assert now(store, host) == (True, 5.0, "")
    broken = {"status": NodeStatus.ERROR, "status_reason": "it burns"}
    store.run(lambda c: c.execute(tables.node.update().values(broken)))
    store.run(readiness.follow_hosts, [host.id, box.id], 7.0)
    assert now(store, host) == (False, 7.0, "it burns")


def test_what_is_looked_at_is_what_readiness_is_about(store: Store) -> None:
    node, other = stored(store, metadata={"a": 1}, power=PowerState.PAUSED), stored(store)
    (found,) = store.run(readiness.look, [node.id])
    assert found == replace(node, metadata={}, status_reason=found.status_reason, init_at=found.init_at)
    assert len(store.run(readiness.look, [node.id, other.id, "gone"])) == 2
