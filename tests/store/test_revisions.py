"""Numbers of revisions: given once, kept, forgotten."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection

from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.domain.cluster import Cluster
from spinney.store import revisions, tables
from spinney.store.database import Store
from spinney.store.rows import CLUSTERS
from store.made import Clock, in_memory


@pytest.fixture
def store() -> Store:
    return in_memory(Clock())


@pytest.fixture
def cluster(store: Store) -> str:
    made = Cluster(id="c", name="web", profile_id="p1", project="p")

    def insert(connection: Connection) -> None:
        CLUSTERS.insert(connection, [made])
        revisions.first(connection, "c", "p1", 1.0)

    store.run(insert)
    return made.id


def update(store: Store, profile_id: str, status: ActionStatus, *, keep: int = 20, asked: bool = True) -> Action:
    """Ask for an update and end it; ``asked``: through the API, which gives its number."""

    def both(connection: Connection) -> Action:
        inputs: dict[str, Any] = {"new_profile_id": profile_id}
        if asked:
            inputs["revision"] = revisions.begin(connection, "c", profile_id, "a", "update", 2.0, keep)
        action = Action(
            id="a",
            name="",
            target="c",
            action=ActionKind.CLUSTER_UPDATE,
            cause=Cause.REQUEST,
            status=ActionStatus.RUNNING,
            status_reason="",
            inputs=inputs,
        )
        revisions.end(connection, action, status, "CLUSTER_UPDATE: two members do not start.", 3.0)
        return action

    return store.run(both)


def seen(store: Store) -> list[tuple[int, str, str, bool]]:
    found = store.run(revisions.of_cluster, "c")
    return [(one.number, one.profile_id, one.reason, one.reached_at is not None) for one in found]


def present(store: Store) -> int:
    return store.run(revisions.current, "c")


def test_a_number_is_given_once_and_the_cluster_is_at_what_was_reached(store: Store, cluster: str) -> None:
    update(store, "p2", ActionStatus.FAILED)
    assert present(store) == 1
    update(store, "p3", ActionStatus.SUCCEEDED)
    assert present(store) == 3
    assert seen(store) == [
        (3, "p3", "update", True),
        (2, "p2", "update; not reached: two members do not start", False),
        (1, "p1", "created", True),
    ]


def test_an_update_that_was_given_no_number_gets_one_at_its_end(store: Store, cluster: str) -> None:
    update(store, "p2", ActionStatus.SUCCEEDED, asked=False)
    assert present(store) == 2
    update(store, "p3", ActionStatus.CANCELLED, asked=False)
    assert [number for number, *_ in seen(store)] == [2, 1]


def test_only_so_many_are_kept(store: Store, cluster: str) -> None:
    for number in range(2, 30):
        update(store, f"p{number}", ActionStatus.SUCCEEDED, keep=10)
    # The last one was given its number when it was not reached yet.
    assert [number for number, *_ in seen(store)] == list(range(29, 18, -1))


def test_those_of_a_deleted_cluster_go(store: Store, cluster: str) -> None:
    store.run(revisions.forget, "c")
    assert seen(store) == []


def test_an_action_of_another_kind_changes_nothing(store: Store, cluster: str) -> None:
    other = Action(
        id="a",
        name="",
        target="c",
        action=ActionKind.CLUSTER_UPDATE,
        cause=Cause.REQUEST,
        status=ActionStatus.RUNNING,
        status_reason="",
        inputs={"name": "other"},
    )
    store.run(revisions.end, other, ActionStatus.SUCCEEDED, "", 3.0)
    assert present(store) == 1
    assert store.run(lambda c: c.execute(tables.cluster.select()).one().profile_id) == "p1"
