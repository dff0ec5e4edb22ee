"""Old actions and events go; what somebody still counts stays."""

from __future__ import annotations

import pytest

from spinney.config import RetentionSettings
from spinney.domain.action import LIVE_STATUSES, ActionStatus
from spinney.domain.event import Event, Level
from spinney.store import retention
from spinney.store.database import Store
from spinney.store.rows import ACTIONS, EVENTS
from spinney.store.tables import webhook_use
from store.made import Clock, action, in_memory, new_id

_KEEP = RetentionSettings(actions=100.0, events=50.0)


@pytest.fixture
def store() -> Store:
    return in_memory(Clock())  # it is 1000


def _event(at: float) -> Event:
    return Event(
        id=new_id(), timestamp=at, oid="o", oname="n", otype="NODE", cluster_id="", level=Level.INFO, user="u", project="p",
        action="x", status="end", status_reason="",
    )  # fmt: skip


def test_only_what_ended_long_ago_goes(store: Store) -> None:
    old = action(status=ActionStatus.SUCCEEDED, end_time=899.0)
    young = action(status=ActionStatus.FAILED, end_time=901.0)
    live = action(created_at=1.0)
    store.run(lambda c: (ACTIONS.insert(c, [old, young, live]), EVENTS.insert(c, [_event(949.0), _event(951.0)])))
    assert store.run(retention.prune, _KEEP) == 2
    assert {a.id for a in store.run(ACTIONS.all)} == {young.id, live.id}
    assert [e.timestamp for e in store.run(EVENTS.all)] == [951.0]
    assert store.run(retention.prune, _KEEP) == 0


@pytest.mark.parametrize("status", LIVE_STATUSES)
def test_children_stay_as_long_as_their_parent_lives(store: Store, status: ActionStatus) -> None:
    parent = action(status=status)
    child = action(status=ActionStatus.FAILED, end_time=1.0, parent_id=parent.id)
    orphan = action(status=ActionStatus.FAILED, end_time=1.0, parent_id=new_id())
    store.run(ACTIONS.insert, [parent, child, orphan])
    assert store.run(retention.prune, _KEEP) == 1
    assert {a.id for a in store.run(ACTIONS.all)} == {parent.id, child.id}


def test_signed_requests_are_remembered_as_long_as_they_could_come_again(store: Store) -> None:
    rows = [{"receiver_id": new_id(), "signature": "s", "expires_at": at} for at in (900.0, 1100.0)]
    store.run(lambda c: c.execute(webhook_use.insert(), rows))
    assert store.run(retention.prune, _KEEP) == 1
    assert store.run(lambda c: c.execute(webhook_use.select()).all())[0].expires_at == 1100.0


def test_nought_keeps_for_ever(store: Store) -> None:
    old = action(status=ActionStatus.SUCCEEDED, end_time=1.0)
    store.run(lambda c: (ACTIONS.insert(c, [old]), EVENTS.insert(c, [_event(1.0)])))
    assert store.run(retention.prune, RetentionSettings(actions=0.0, events=0.0)) == 0


def test_a_great_many_go_a_part_at_a_time(store: Store) -> None:
    store.run(EVENTS.insert, [_event(1.0) for _ in range(2500)])
    assert [store.run(retention.prune, _KEEP) for _ in range(3)] == [2000, 500, 0]
