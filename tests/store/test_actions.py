"""Submitting and cancelling: who stands in whose way."""

from __future__ import annotations

import pytest

from spinney.domain.action import Action, ActionKind, ActionStatus, Cause
from spinney.errors import ActionConflict, ActionImmutable, ResourceIsLocked, ResourceNotFound
from spinney.store import actions, work
from spinney.store.database import Store
from spinney.store.rows import ACTIONS
from spinney.store.tables import action as table
from store.made import Clock, action, begin_engine, in_memory, new_id

_DELETIONS = (ActionKind.CLUSTER_DELETE, ActionKind.NODE_DELETE)


@pytest.fixture
def store() -> Store:
    return in_memory(Clock())


def _get(store: Store, action_id: str) -> Action:
    found = store.run(ACTIONS.one, table.c.id == action_id)
    assert found is not None
    return found


def _live(
    store: Store, target: str, *, at_work: bool, kind: ActionKind = ActionKind.NODE_CHECK, **fields: str
) -> Action:
    made = action(target, kind, **fields)
    store.run(ACTIONS.insert, [made])
    if at_work:
        store.run(work.claim, begin_engine(store), 10)
    return made


@pytest.mark.parametrize("at_work", [True, False])
@pytest.mark.parametrize("kind", list(ActionKind))
def test_against_a_users_action_on_the_same_object(store: Store, kind: ActionKind, at_work: bool) -> None:
    target = new_id()
    other = _live(store, target, at_work=at_work)
    submitted = action(target, kind)
    if kind in (*_DELETIONS, ActionKind.NODE_OPERATION):
        store.run(actions.submit, submitted)
        assert _get(store, other.id).cancel_requested == (kind in _DELETIONS)
        return
    refusal = ResourceIsLocked if at_work else ActionConflict
    with pytest.raises(refusal, match=other.id[:8]):
        store.run(actions.submit, submitted)
    assert [a.id for a in store.run(ACTIONS.all)] == [other.id]
    assert not _get(store, other.id).cancel_requested


@pytest.mark.parametrize("at_work", [True, False])
def test_healing_yields_to_users(store: Store, at_work: bool) -> None:
    target = new_id()
    healing = _live(store, target, at_work=at_work, cause=Cause.HEALING)
    store.run(actions.submit, action(target, ActionKind.NODE_UPDATE))
    assert _get(store, healing.id).cancel_requested


@pytest.mark.parametrize("ordered", [ActionKind.CLUSTER_SCALE_IN, ActionKind.CLUSTER_REBALANCE])
@pytest.mark.parametrize("kind", [kind for kind in ActionKind if kind.about_policy])
def test_policies_change_beside_work_of_the_system(store: Store, kind: ActionKind, ordered: ActionKind) -> None:
    target = new_id()
    at_work = _live(store, target, at_work=True, kind=ordered, cause=Cause.HEALING)
    change = action(target, kind)
    store.run(actions.submit, change)
    assert [one.id for one in store.run(work.claim, begin_engine(store), 10)] == [change.id]
    assert not _get(store, at_work.id).cancel_requested


def test_finished_actions_and_those_on_other_objects_stand_in_nobodys_way(store: Store) -> None:
    target = new_id()
    store.run(ACTIONS.insert, [action(target, status=ActionStatus.FAILED), action()])
    store.run(actions.submit, action(target, ActionKind.NODE_UPDATE))


def test_a_waiting_parent_locks_its_cluster(store: Store) -> None:
    parent = action(kind=ActionKind.CLUSTER_RESIZE)
    store.run(ACTIONS.insert, [parent])
    (claimed,) = store.run(work.claim, begin_engine(store), 1)
    store.run(work.wait_for_children, claimed, {}, "")
    with pytest.raises(ResourceIsLocked, match=r"CLUSTER_RESIZE .* \(WAITING\) is at work"):
        store.run(actions.submit, action(parent.target, ActionKind.CLUSTER_SCALE_OUT))


def test_deleting_a_cluster_stops_whatever_lives_on_it_or_its_nodes(store: Store) -> None:
    home = new_id()
    on_cluster = action(home, ActionKind.CLUSTER_CHECK, cluster_id=home)
    on_member = action(kind=ActionKind.NODE_CHECK, cluster_id=home, ready_at=5000.0)
    elsewhere, over = action(cluster_id=new_id()), action(cluster_id=home, status=ActionStatus.SUCCEEDED)
    store.run(ACTIONS.insert, [on_cluster, on_member, elsewhere, over])
    deletion = action(home, ActionKind.CLUSTER_DELETE, cluster_id=home)
    store.run(actions.submit, deletion)
    asked = {a.id for a in store.run(ACTIONS.all) if a.cancel_requested}
    assert asked == {on_cluster.id, on_member.id}
    assert _get(store, on_member.id).ready_at == 0.0, "it is not waited for until its time comes"


def test_cancelling_asks_an_action_and_its_children(store: Store) -> None:
    parent = action(kind=ActionKind.CLUSTER_CHECK)
    children = [action(parent_id=parent.id), action(parent_id=parent.id, status=ActionStatus.SUCCEEDED)]
    store.run(ACTIONS.insert, [parent, *children, action()])
    store.run(actions.cancel, parent.id)
    assert {a.id for a in store.run(ACTIONS.all) if a.cancel_requested} == {parent.id, children[0].id}


@pytest.mark.parametrize("status", [ActionStatus.SUCCEEDED, ActionStatus.FAILED, ActionStatus.CANCELLED])
def test_what_is_final_stays_so(store: Store, status: ActionStatus) -> None:
    final = action(status=status)
    store.run(ACTIONS.insert, [final])
    with pytest.raises(ActionImmutable, match=f"already {status}"):
        store.run(actions.cancel, final.id)
    with pytest.raises(ResourceNotFound):
        store.run(actions.cancel, new_id())


def test_dependencies_are_the_live_children(store: Store) -> None:
    parent, alone = action(status=ActionStatus.WAITING), action()
    live, over = action(parent_id=parent.id), action(parent_id=parent.id, status=ActionStatus.FAILED)
    store.run(ACTIONS.insert, [parent, alone, live, over])
    assert store.run(actions.dependencies, [parent, alone]) == {parent.id: [live.id], alone.id: []}


def test_live_targets(store: Store) -> None:
    live, over = action(), action(status=ActionStatus.CANCELLED)
    store.run(ACTIONS.insert, [live, over])
    assert store.run(actions.live_targets, [live.target, over.target, new_id()]) == {live.target}
    assert store.run(actions.live_targets, []) == set()
