"""What the operator wants of a host, and what is shown of it while it answers or not."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection

from spinney.domain.cluster import Cluster
from spinney.domain.host import Duty, Host, HostState
from spinney.domain.node import Node
from spinney.store import duties, hosts, tables
from spinney.store.database import Store
from spinney.store.rows import CLUSTERS, NODES
from store.made import Clock, in_memory

OWNER: dict[str, Any] = {"user": "u", "project": "p"}


@pytest.fixture
def store() -> Store:
    return in_memory(Clock())


def with_host(store: Store, config: dict[str, Any] | None = None) -> None:
    node = Node(id="h", name="h1", profile_id="-", cluster_id="c", init_at=0.0, **OWNER)
    host = Host(node_id="h", endpoint="sim://h", name="h1", cluster_id="c", project="p", state=HostState.READY)
    cluster = Cluster(id="c", name="hosts", profile_id="-", config=config or {}, **OWNER)

    def fill(connection: Connection) -> None:
        CLUSTERS.insert(connection, [cluster])
        NODES.insert(connection, [node])
        hosts.register(connection, host)

    store.run(fill)


def seen(store: Store) -> tuple[str, str, str]:
    (found,) = store.run(hosts.find)
    return found.state.value, found.duty.value, found.state_reason


@pytest.mark.parametrize("duty", [Duty.CORDONED, Duty.DRAINING])
def test_a_duty_outlives_silence(store: Store, duty: Duty) -> None:
    with_host(store)
    assert store.run(duties.set_duty, "h", duty, "because", 1.0)
    assert seen(store) == (duty.value, duty.value, "because")
    assert store.run(duties.silent, "h", "no answer")
    assert seen(store) == ("suspect", duty.value, "no answer")
    assert store.run(duties.answers, "h", 2.0)
    assert seen(store) == (duty.value, duty.value, "because")


def test_a_duty_set_during_silence_shows_when_the_host_is_back(store: Store) -> None:
    with_host(store)
    store.run(duties.silent, "h", "no answer")
    assert store.run(duties.set_duty, "h", Duty.CORDONED, "broken fan", 1.0)
    assert seen(store) == ("suspect", "cordoned", "no answer")
    store.run(duties.answers, "h", 2.0)
    assert seen(store) == ("cordoned", "cordoned", "broken fan")


def test_what_changes_nothing_says_so(store: Store) -> None:
    with_host(store)
    assert not store.run(duties.set_duty, "h", Duty.OPEN, "", 1.0)
    assert not store.run(duties.answers, "h", 1.0)
    assert store.run(duties.silent, "h", "x") and not store.run(duties.silent, "h", "y")
    assert seen(store)[2] == "x"


def due(store: Store) -> Any:
    cluster = store.run(CLUSTERS.one, tables.cluster.c.id == "c")
    assert cluster is not None
    return cluster.data.get("rebalance")


def test_room_marks_the_cluster_for_rebalancing_when_it_wants_that(store: Store) -> None:
    with_host(store, {"spinney.rebalance": "advise", "spinney.rebalance_settling": 30})
    store.run(duties.set_duty, "h", Duty.CORDONED, "x", 1.0)
    assert due(store) is None
    store.run(duties.silent, "h", "x")
    store.run(duties.answers, "h", 5.0)
    assert due(store) is None, "a cordoned host that is back gives no room"
    store.run(duties.set_duty, "h", Duty.OPEN, "", 10.0)
    assert due(store) == {"due_at": 40.0, "because": "host h1 is open again"}
    store.run(duties.silent, "h", "x")
    store.run(duties.answers, "h", 20.0)
    assert due(store) == {"due_at": 50.0, "because": "host h1 answers again"}


def test_nothing_is_marked_when_nobody_wants_it(store: Store) -> None:
    with_host(store)
    store.run(duties.set_duty, "h", Duty.CORDONED, "x", 1.0)
    store.run(duties.set_duty, "h", Duty.OPEN, "", 2.0)
    assert due(store) is None
